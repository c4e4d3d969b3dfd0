/** A listener of the gateway: node's HTTP/1.1 parser at its strictest, and every way out of it answered. */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isRefused, refuse, sendRefusal } from './refusal.ts';

export interface ListenerTLS {
  readonly cert: string;
  readonly key: string;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void;

export interface ListenerOptions {
  readonly tls?: ListenerTLS;
  newRequestID(): string;
}

export interface Listener {
  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no new connection and ends idle ones. */
  stop(): void;
  /** Ends what is left; resolves when nothing is. */
  close(): Promise<void>;
}

const OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  // Bodies stream for as long as they move: who stalls is found among the active requests.
  requestTimeout: 0,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
  joinDuplicateHeaders: false,
  // The canonical request says what is wrong with Host, in our form.
  requireHostHeader: false,
  noDelay: true,
  // Clients that offer h2c on every request can be served without; anything else they would upgrade to cannot.
  shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() !== 'h2c',
};
const MAX_CONNECTIONS = 10_000;

export function createListener(handle: RequestHandler, { tls, newRequestID }: ListenerOptions): Listener {
  const server = tls ? createTLSServer({ ...OPTIONS, ...tls, minVersion: 'TLSv1.2' }) : createServer(OPTIONS);
  server.maxConnections = MAX_CONNECTIONS;
  // Node drops what is above its own maximum silently; we count ourselves, within maxHeaderSize.
  server.maxHeadersCount = 0;
  const refuseRaw = (socket: Duplex, status: RawStatus, code: string): void =>
    endRaw(socket, status, { error: code, error_description: PHRASES[status], requestId: newRequestID() });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => handle(request, response, false));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => handle(request, response, true));
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) =>
    sendRefusal(response, refuse('expectation_failed', 'the only expectation that is met is 100-continue'), {
      requestID: newRequestID(),
      closes: true,
    }),
  );
  server.on('upgrade', (_request: IncomingMessage, socket: Duplex) => refuseRaw(socket, 501, 'upgrade_not_supported'));
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => refuseRaw(socket, 405, 'method_not_allowed'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else if (error.code === 'HPE_HEADER_OVERFLOW') refuseRaw(socket, 431, 'header_too_large');
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') refuseRaw(socket, 408, 'invalid_request');
    else refuseRaw(socket, 400, 'invalid_request');
  });
  return {
    listen: (host, port) => listen(server, host, port),
    stop() {
      server.close();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
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

const PHRASES = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
} as const;

type RawStatus = keyof typeof PHRASES;

/** Where there is no response object: the connection ends with it. */
function endRaw(socket: Duplex, status: RawStatus, members: object): void {
  socket.on('error', () => socket.destroy());
  // An answer that is under way must not be continued with another one, nor look whole where it is not.
  const { _httpMessage: underWay } = socket as Duplex & { readonly _httpMessage?: ServerResponse | null };
  if (underWay && isRefused(underWay)) return void underWay.end(() => socket.destroy());
  if (underWay?.headersSent) return void socket.destroy();
  const body = JSON.stringify(members);
  const head = [
    `HTTP/1.1 ${status} ${PHRASES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
