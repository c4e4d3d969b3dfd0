/** The STS' HTTP edge: routes, limits, request ids and errors; everything behind it deals in values. */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { isIP } from 'node:net';
import { OAuthError, toErrorBody } from './errors.ts';
import type { CertificatePair } from './tls.ts';

export interface ServerPorts {
  newRequestID(): string;
  /** Every refusal, once, with what it belongs to. */
  refused(error: OAuthError, requestID: string, request: FastifyRequest): void;
  /** Anything that is not a refusal: a bug or an outage that nobody turned into one. */
  failed(error: unknown, requestID: string): void;
}

export const TOKEN_PATH = '/oauth/2/token';
const FORM = 'application/x-www-form-urlencoded';
/** What a caller may send before anyone knows who it is. */
const FORM_LIMIT = 64 * 1024;

/** A server without routes of ours; `tls` undefined: plain HTTP, for loopback addresses only. */
export function createServer(tls: CertificatePair | undefined, ports: ServerPorts): FastifyInstance {
  const options = {
    logger: false,
    bodyLimit: FORM_LIMIT,
    requestTimeout: 15_000,
    keepAliveTimeout: 72_000,
    genReqId: (request: { headers: Readonly<Record<string, string | string[] | undefined>> }) =>
      toRequestID(request.headers['x-request-id'], ports),
    routerOptions: { ignoreTrailingSlash: false },
    return503OnClosing: true,
    forceCloseConnections: true as const,
  };
  const server = (
    tls ? fastify({ ...options, https: { ...tls, minVersion: 'TLSv1.2' } }) : fastify(options)
  ) as FastifyInstance;
  server.removeAllContentTypeParsers();
  server.addContentTypeParser([FORM, 'application/json'], { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  server.addHook('onRequest', async (request, reply) => {
    reply.header('X-Request-Id', request.id).header('Cache-Control', 'no-store');
    checkHeaders(request);
  });
  server.setErrorHandler((error, request, reply) => sendError(error, request, reply, ports));
  server.setNotFoundHandler((request, reply) =>
    sendError(new OAuthError('invalid_request', 'no such endpoint', { status: 404 }), request, reply, ports),
  );
  return server;
}

function toRequestID(sent: string | string[] | undefined, { newRequestID }: ServerPorts): string {
  return typeof sent === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(sent) ? sent : newRequestID();
}

/** node:http drops the second of some headers silently: one that decides who asks must be there once. */
function checkHeaders({ raw, url }: FastifyRequest): void {
  let authorizations = 0;
  let proofs = 0;
  for (let index = 0; index < raw.rawHeaders.length; index += 2) {
    const name = raw.rawHeaders[index]!.toLowerCase();
    if (name === 'authorization') authorizations += 1;
    if (name === 'dpop') proofs += 1;
  }
  if (proofs > 1) throw new OAuthError('invalid_dpop_proof', 'more than one DPoP header');
  if (proofs > 0 && url !== TOKEN_PATH)
    throw new OAuthError('invalid_request', 'this endpoint takes no DPoP proof: leave the header out');
  if (authorizations > 1) throw new OAuthError('invalid_request', 'more than one Authorization header');
}

/** Answers other methods of a path with 405 and those it takes. */
export function refuseOtherMethods(server: FastifyInstance, url: string, allowed: readonly string[]): void {
  const others = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
    (method) => !allowed.includes(method),
  );
  server.route({
    method: others as never,
    url,
    // Before the body is looked at: the method is the first thing that is wrong.
    onRequest: async () => {
      const headers = { Allow: allowed.join(', ') };
      throw new OAuthError('invalid_request', `this endpoint takes ${allowed.join(' and ')} only`, {
        status: 405,
        headers,
      });
    },
    handler: async () => undefined,
  });
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, ports: ServerPorts): FastifyReply {
  const refusal = toRefusal(error);
  if (refusal.code === 'sts_unavailable' && !(error instanceof OAuthError)) ports.failed(error, request.id);
  ports.refused(refusal, request.id, request);
  return reply
    .code(refusal.status)
    .headers(refusal.details.headers ?? {})
    .type('application/json')
    .send({ ...toErrorBody(refusal, request.id), ...(isAgentCall(request) && { request_id: request.id }) });
}

/** Clients of agent sessions and delegations read `request_id` (wire.md). */
function isAgentCall({ url }: FastifyRequest): boolean {
  return url.startsWith('/zones/');
}

function toRefusal(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error;
  const { code, statusCode } = error as { readonly code?: string; readonly statusCode?: number };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new OAuthError('payload_too_large', 'the body is larger than this endpoint takes');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new OAuthError('invalid_request', `Content-Type must be ${FORM}`, { status: 415 });
  if (statusCode !== undefined && statusCode < 500)
    return new OAuthError('invalid_request', 'the request is malformed');
  return new OAuthError('sts_unavailable', 'the service cannot answer now; nothing was issued', {
    headers: { 'Retry-After': '1' },
  });
}

/** Other than by TLS, only the machine itself is served. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Throws OAuthError. */
export function refuseQuery(request: FastifyRequest): void {
  if (request.raw.url!.includes('?'))
    throw new OAuthError('invalid_request', 'query parameters are not accepted here: use the form body');
}

/** The one value of `zone_id`. Throws OAuthError. */
export function parseZoneQuery(request: FastifyRequest): string {
  const zoneID = (request.query as Readonly<Record<string, unknown>>)['zone_id'];
  if (typeof zoneID === 'string' && zoneID !== '' && zoneID.length <= 128) return zoneID;
  throw new OAuthError('invalid_request', 'the query parameter zone_id is required, once');
}

/** Throws OAuthError. */
export function parseJSONBody(request: FastifyRequest): unknown {
  try {
    return JSON.parse((request.body as Buffer | undefined)?.toString('utf8') ?? '');
  } catch {
    throw new OAuthError('invalid_request', 'the body is not JSON');
  }
}
