/** A listener of the gateway: node's HTTP/1.1 parser at its strictest, and every way out of it answered. */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ListenerTLS {
  readonly cert: string;
  readonly key: string;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void;

export interface Listener {
  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no new connection and ends idle ones. */
  stop(): Promise<void>;
}

const OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  // Bodies stream for as long as they move; the socket's own timeout ends one that does not.
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  joinDuplicateHeaders: false,
  noDelay: true,
};
const SILENT_SOCKET_MS = 120_000;
const MAX_CONNECTIONS = 10_000;

export function createListener(handle: RequestHandler, tls: ListenerTLS | undefined): Listener {
  const server = tls ? createTLSServer({ ...OPTIONS, ...tls, minVersion: 'TLSv1.2' }) : createServer(OPTIONS);
  server.maxConnections = MAX_CONNECTIONS;
  // Node drops what is above its own maximum silently; we count ourselves, within maxHeaderSize.
  server.maxHeadersCount = 0;
  server.timeout = SILENT_SOCKET_MS;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => handle(request, response, false));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => handle(request, response, true));
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(417, { Connection: 'close', 'Content-Length': 0 }).end();
  });
  server.on('upgrade', (_request: IncomingMessage, socket: Duplex) => refuseRaw(socket, 501, 'upgrade_not_supported'));
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => refuseRaw(socket, 405, 'method_not_allowed'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseMalformed(error, socket));
  return {
    listen: (host, port) => listen(server, host, port),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') refuseRaw(socket, 431, 'header_too_large');
  else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') refuseRaw(socket, 408, 'invalid_request');
  else refuseRaw(socket, 400, 'invalid_request');
}

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
};

/** Where there is no response object: the connection ends with it. */
function refuseRaw(socket: Duplex, status: number, code: string): void {
  socket.on('error', () => socket.destroy());
  const body = JSON.stringify({ error: code, error_description: PHRASES[status] });
  const head = `HTTP/1.1 ${status} ${PHRASES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body, () => socket.destroy());
}
