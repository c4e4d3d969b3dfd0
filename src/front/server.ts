/** The TLS server of the aggregated API: bounded bodies, the peer's certificate, and answers that stream. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { CertificatePair } from '../http/certificate.ts';
import { APIError } from '../runtimeapi/errors.ts';
import { toRefusal } from '../runtimeapi/handle.ts';
import type { FrontAnswer, FrontRequest } from './answer.ts';
import type { Peer } from './requestHeader.ts';

/** Larger than any decision or question. */
const MAX_BODY = 256 * 1024;

export interface ServerPorts {
  /** Kubelet's probes, which show no certificate. */
  ready(): { readonly ready: boolean; readonly reason?: string };
  /** Who the peer says that asks; undefined where it may not say. */
  userOf(rawHeaders: readonly string[], peer: Peer): FrontRequest['user'];
  answer(request: FrontRequest): Promise<FrontAnswer>;
  failed(error: unknown): void;
}

export interface FrontServer {
  /** Takes effect for new connections. */
  setTLS(pair: CertificatePair, clientCA: string): void;
  listen(at: { readonly host: string; readonly port: number }): Promise<{ readonly url: string }>;
  close(): Promise<void>;
}

export function createFrontServer(pair: CertificatePair, clientCA: string, ports: ServerPorts): FrontServer {
  const options = {
    ...pair,
    ca: clientCA,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  } as const;
  const server = createServer({ ...options, requestTimeout: 15_000, maxHeaderSize: 64 * 1024 }, (request, response) => {
    void serve(request, response, ports).catch((error: unknown) => {
      ports.failed(error);
      if (response.headersSent) response.destroy();
      else send(response, toRefusal(new APIError(503, 'ServiceUnavailable', 'this cannot be answered now', 1)));
    });
  });
  return {
    setTLS: (next, ca) => server.setSecureContext({ ...options, ...next, ca }),
    async listen({ host, port }) {
      server.listen(port, host);
      await once(server, 'listening');
      return { url: `https://${host}:${(server.address() as AddressInfo).port}` };
    },
    close: () => closeServer(server),
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, ports: ServerPorts): Promise<void> {
  const { method = '', url = '', rawHeaders } = request;
  if (url === '/health') return send(response, { status: 200, body: { ok: true } });
  if (url === '/ready') {
    const state = ports.ready();
    return send(response, { status: state.ready ? 200 : 503, body: { ok: state.ready, ...state } });
  }
  const control = new AbortController();
  response.once('close', () => control.abort());
  const body = await readBody(request);
  if (body === undefined)
    return send(response, toRefusal(new APIError(413, 'RequestEntityTooLarge', 'the body is too large')));
  const user = ports.userOf(rawHeaders, toPeer(request.socket as TLSSocket));
  const { accept } = request.headers;
  const asked = { method, url, accept, body: body === '' ? undefined : body, user, signal: control.signal };
  send(response, await ports.answer(asked));
}

function toPeer(socket: TLSSocket): Peer {
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return { isVerified: socket.authorized, commonName: typeof name === 'string' ? name : undefined };
}

/** Undefined where it is larger than may be. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, { status, headers = {}, body }: FrontAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  if (!(body instanceof Readable)) return void response.end(JSON.stringify(body));
  // A watch that nothing happens to is open all the same.
  response.flushHeaders();
  body.on('error', () => response.destroy());
  response.once('close', () => body.destroy());
  body.pipe(response);
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
