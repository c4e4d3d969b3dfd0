/** The controller's own small server: /health (the process lives), /ready (its watches are heard) and /metrics. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthPorts {
  ready(): { readonly ready: boolean; readonly reason?: string };
  readonly metrics: { metrics(): Promise<string>; readonly contentType: string };
}

export interface HealthServer {
  /** `http://host:port` that it listens on. */
  readonly url: string;
  close(): Promise<void>;
}

/** `listen` is HOST:PORT ([…]:PORT for IPv6). Rejects when the address cannot be used. */
export async function startHealth(listen: string, ports: HealthPorts): Promise<HealthServer> {
  const { host, port } = parseListen(listen);
  const server = createServer({ maxHeaderSize: 8192, requestTimeout: 5000 }, (request, response) => {
    void answer(request.method ?? '', request.url ?? '', response, ports);
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(method: string, path: string, response: ServerResponse, ports: HealthPorts): Promise<void> {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
    response.end(method === 'HEAD' ? undefined : body);
  };
  if (method !== 'GET' && method !== 'HEAD') return send(405, 'text/plain', 'only GET\n');
  switch (path) {
    case '/health':
      return send(200, 'application/json', '{"status":"ok"}\n');
    case '/ready': {
      const state = ports.ready();
      return send(state.ready ? 200 : 503, 'application/json', `${JSON.stringify(state)}\n`);
    }
    case '/metrics':
      return ports.metrics.metrics().then(
        (text) => send(200, ports.metrics.contentType, text),
        () => send(500, 'text/plain', 'the metrics cannot be read\n'),
      );
    default:
      return send(404, 'text/plain', 'only /health, /ready and /metrics\n');
  }
}

function parseListen(listen: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new Error(`--listen ${listen}: give HOST:PORT, such as 127.0.0.1:8081`);
  return { host: (match[1] ?? match[2])!, port };
}
