/** The gateway's own endpoints, on a listener of their own: /health, /ready, /metrics. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GatewayMetrics } from './metrics.ts';

export interface GatewayReadiness {
  readonly ready: boolean;
  readonly reason?: string;
}

export function createAdminHandler(metrics: GatewayMetrics, readiness: () => GatewayReadiness) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    switch (request.url) {
      case '/health':
        return sendJSON(response, 200, { ok: true });
      case '/ready': {
        const { ready, reason } = readiness();
        return sendJSON(response, ready ? 200 : 503, { ok: ready, ready, ...(reason !== undefined && { reason }) });
      }
      case '/metrics':
        response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(metrics.text());
        return undefined;
      default:
        return sendJSON(response, 404, { error: 'invalid_request' });
    }
  };
}

function sendJSON(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
