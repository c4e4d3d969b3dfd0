/** A request from its arrival to its end: canonical → target → admit → forward, or the refusal. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { uuidv7, type Clock, type RandomBytes } from '../authority/clock.ts';
import { isProblem, parseRequest, type CanonicalRequest, type RequestProblem } from '../http/canonical.ts';
import { normalizeName, toUpstreamHeaders } from '../http/headers.ts';
import type { ActiveRequests } from './active.ts';
import { admit, type Admission, type AdmitPorts } from './admit.ts';
import { forward, type Upstream } from './forward.ts';
import type { GatewayLog } from './log.ts';
import type { GatewayMetrics } from './metrics.ts';
import { refuse, sendRefusal, type Refusal } from './refusal.ts';
import type { RequestHandler } from './server.ts';
import type { GatewayZone, ServedResource } from './zone.ts';

/** Where an admitted request goes. */
export interface Target {
  readonly zone: GatewayZone;
  readonly served: ServedResource;
  readonly upstream: Upstream;
  /** Host for the upstream; undefined: the client's own. */
  readonly host: string | undefined;
  /** Tells the app for whom; not for third parties. */
  readonly tellsIdentity: boolean;
}

/** Which Resource a request is for, by listener or by its routing headers. */
export type FindTarget = (request: IncomingMessage) => Target | Refusal;

export interface ServePorts extends AdmitPorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
  readonly active: ActiveRequests;
  readonly proto: 'http' | 'https';
}

const METADATA_PATH = '/.well-known/oauth-protected-resource';

export function createRequestHandler(findTarget: FindTarget, ports: ServePorts): RequestHandler {
  return (request, response, expectsContinue) => {
    const requestID = uuidv7(ports.clock.now(), ports.randomBytes);
    const call: Call = { request, response, requestID, expectsContinue, ports };
    const parsed = parseRequest({
      method: request.method ?? '',
      target: request.url ?? '',
      httpVersion: request.httpVersion,
      rawHeaders: request.rawHeaders,
    });
    if (isProblem(parsed)) return end(call, toRefusal(parsed), undefined, undefined);
    const headers = readHeaders(request.rawHeaders);
    if ('type' in headers) return end(call, headers, parsed, undefined);
    const target = findTarget(request);
    if ('type' in target) return end(call, target, parsed, undefined);
    if (parsed.path === METADATA_PATH && isHTTPS(target.served)) return sendMetadata(call, target);
    const admitted = admit(parsed, headers.authorization, request.socket.remoteAddress ?? '', target, ports);
    if (admitted instanceof Promise) {
      admitted.then(
        (outcome) => conclude(call, parsed, target, outcome),
        (error: unknown) => fail(call, parsed, error),
      );
      return undefined;
    }
    return conclude(call, parsed, target, admitted);
  };
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestID: string;
  readonly expectsContinue: boolean;
  readonly ports: ServePorts;
}

function toRefusal({ problem, message }: RequestProblem): Refusal {
  switch (problem) {
    case 'malformed':
      return refuse('invalid_request', message);
    case 'method':
      return refuse('method_not_allowed', message);
    case 'version':
      return refuse('version_not_supported', message);
    case 'too_many_headers':
      return refuse('header_too_large', message);
  }
}

/** The one Authorization header; headers that only a gateway sets are an attempt when they name a client. */
function readHeaders(rawHeaders: readonly string[]): { readonly authorization: string | undefined } | Refusal {
  let authorization: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length !== 13 && name.length !== 19) continue;
    const normalized = normalizeName(name);
    if (normalized === 'x-caracal-client-id')
      return refuse('invalid_request', 'X-Caracal-Client-ID is not for clients to send');
    if (normalized !== 'authorization') continue;
    if (authorization !== undefined) return refuse('invalid_request', 'more than one Authorization header');
    authorization = rawHeaders[index + 1]!;
  }
  return { authorization };
}

function conclude(call: Call, parsed: CanonicalRequest, target: Target, outcome: Admission | Refusal): void {
  if (outcome.type === 'refusal') return end(call, outcome, parsed, target);
  if (call.response.destroyed || call.request.destroyed) return undefined;
  return send(call, parsed, target, outcome);
}

function send(call: Call, parsed: CanonicalRequest, target: Target, admission: Admission): void {
  const { request, response, requestID, ports } = call;
  if (call.expectsContinue) response.writeContinue();
  let done: () => void = () => undefined;
  const forwarded = forward({
    request,
    response,
    canonical: parsed,
    headers: toUpstreamHeaders(request.rawHeaders, toForwardedValues(call, parsed, target, admission)),
    requestID,
    upstream: target.upstream,
    onEnd(outcome) {
      ports.metrics.count('caracal_gateway_requests_total', outcome);
      done();
    },
  });
  done = ports.active.add(admission, forwarded);
  if (response.writableEnded) done();
}

function toForwardedValues(
  { request, requestID, ports }: Call,
  parsed: CanonicalRequest,
  target: Target,
  { claims }: Admission,
) {
  return {
    requestID,
    host: parsed.host,
    proto: ports.proto,
    clientAddress: request.socket.remoteAddress ?? 'unknown',
    newTraceparent: () => `00-${hex(ports.randomBytes(16))}-${hex(ports.randomBytes(8))}-00`,
    upstreamHost: target.host ?? parsed.host,
    owned: target.tellsIdentity
      ? [
          ...['X-Caracal-Subject', claims.sub, 'X-Caracal-Client', claims.client_id],
          ...['X-Caracal-Scope', claims.scope ?? '', 'X-Caracal-Decision', claims.jti],
          ...(claims.sub_iss === undefined ? [] : ['X-Caracal-Subject-Issuer', claims.sub_iss]),
        ]
      : [],
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Answers and leaves evidence. */
function end(call: Call, refusal: Refusal, parsed: CanonicalRequest | undefined, target: Target | undefined): void {
  const { request, response, requestID, ports } = call;
  const metadata =
    target && isHTTPS(target.served)
      ? `${new URL(target.served.resource.identifier).origin}${METADATA_PATH}`
      : undefined;
  const closes = parsed === undefined || parsed.hasBody;
  sendRefusal(response, refusal, { requestID, closes, ...(metadata !== undefined && { metadataURL: metadata }) });
  if (closes) response.once('finish', () => request.socket.destroySoon());
  ports.metrics.count('caracal_gateway_requests_total', refusal.code);
  const { code, evidence } = refusal;
  ports.log.info(
    {
      request_id: requestID,
      error: code,
      resource: target?.served.resource.identifier,
      method: parsed?.method,
      source: request.socket.remoteAddress,
      ...(evidence !== undefined && { evidence }),
    },
    'refused',
  );
}

/** What nobody foresaw denies. */
function fail(call: Call, parsed: CanonicalRequest, error: unknown): void {
  call.ports.log.error(
    { request_id: call.requestID, error: error instanceof Error ? (error.stack ?? '') : '' },
    'request failed',
  );
  end(call, refuse('sts_unavailable', 'the request could not be judged'), parsed, undefined);
}

function isHTTPS({ resource }: ServedResource): boolean {
  return resource.identifier.startsWith('https://');
}

/** Protected resource metadata (RFC 9728): for Resources whose identifier is a URL. */
function sendMetadata({ response, requestID }: Call, { served }: Target): void {
  const { identifier, scopes } = served.resource;
  const body = JSON.stringify({ resource: identifier, scopes_supported: scopes, bearer_methods_supported: ['header'] });
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'X-Request-Id': requestID,
  });
  response.end(body);
}
