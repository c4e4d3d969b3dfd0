/** A request from its arrival to its end: canonical → target → admit → forward, or the refusal. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { uuidv7, type Clock, type RandomBytes } from '../authority/clock.ts';
import { isProblem, parseRequest, type CanonicalRequest, type RequestProblem } from '../http/canonical.ts';
import { normalizeName, toUpstreamHeaders, type ForwardedValues } from '../http/headers.ts';
import type { ActiveRequests } from './active.ts';
import { admit, type Admission, type AdmitPorts } from './admit.ts';
import { forward, type Upstream } from './forward.ts';
import { toOwnedHeaders } from './identityHeaders.ts';
import type { GatewayLog } from './log.ts';
import { isMetadataTarget, sendMetadata } from './metadata.ts';
import type { GatewayMetrics } from './metrics.ts';
import { toRecord } from './audit/record.ts';
import type { Recorder } from './audit/recorder.ts';
import type { Presented } from './possession.ts';
import { refuse, sendRefusal, type Refusal } from './refusal.ts';
import type { RequestHandler } from './server.ts';
import type { GatewayZone } from './zone.ts';
import type { ServedResource } from './zoneState.ts';

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
  /** Of what has no target, where there is only one zone that it can be of. */
  readonly records: Recorder | undefined;
  /** True from the moment the gateway is to stop: connections end with their answer. */
  isStopping(): boolean;
}

export function createRequestHandler(findTarget: FindTarget, ports: ServePorts): RequestHandler {
  return (request, response, expectsContinue) => {
    const requestID = uuidv7(ports.clock.now(), ports.randomBytes);
    const call: Call = { request, response, requestID, expectsContinue, ports };
    if (ports.isStopping()) response.shouldKeepAlive = false;
    try {
      handle(call, findTarget);
    } catch (error) {
      fail(call, error);
    }
  };
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestID: string;
  readonly expectsContinue: boolean;
  readonly ports: ServePorts;
}

function handle(call: Call, findTarget: FindTarget): void {
  const { request, ports } = call;
  const { method = '', url: target = '', httpVersion, rawHeaders } = request;
  const parsed = parseRequest({ method, target, httpVersion, rawHeaders });
  if (isProblem(parsed)) return end(call, toRefusal(parsed), {});
  const headers = readHeaders(request);
  if ('type' in headers) return end(call, headers, { parsed });
  const found = findTarget(request);
  if ('type' in found) return end(call, found, { parsed });
  if (method === 'GET' && isMetadataTarget(target, found.served)) {
    return sendMetadata(call.response, found.served, { issuer: found.zone.issuer, requestID: call.requestID });
  }
  if (!found.zone.records.hasRoom()) return end(call, UNRECORDED, { parsed, target: found });
  const admitted = admit(parsed, headers, found, ports);
  if (!(admitted instanceof Promise)) return conclude(call, parsed, found, admitted);
  admitted.then((outcome) => conclude(call, parsed, found, outcome)).catch((error: unknown) => fail(call, error));
  return undefined;
}

const UNRECORDED = refuse('audit_unavailable', 'the request could not be recorded, so it is denied', { retryAfter: 1 });

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
function readHeaders({ rawHeaders, socket }: IncomingMessage): Presented | Refusal {
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
  return { authorization, rawHeaders, source: socket.remoteAddress ?? '' };
}

function conclude(call: Call, parsed: CanonicalRequest, target: Target, outcome: Admission | Refusal): void {
  if (outcome.type === 'refusal') return end(call, outcome, { parsed, target });
  // The client left while the STS was asked.
  if (call.response.destroyed || call.request.destroyed) return undefined;
  return send(call, parsed, target, outcome);
}

function send(call: Call, parsed: CanonicalRequest, target: Target, admission: Admission): void {
  const { request, response, requestID, ports } = call;
  target.zone.records.allowed(toRecord(call, ports.now(), { parsed, target, jti: admission.claims.jti }));
  if (call.expectsContinue) response.writeContinue();
  let hasEnded = false;
  let remove: (() => void) | undefined;
  const forwarded = forward({
    request,
    response,
    canonical: parsed,
    headers: toUpstreamHeaders(request.rawHeaders, toForwardedValues(call, parsed, target, admission)),
    requestID,
    upstream: target.upstream,
    onEnd(outcome) {
      hasEnded = true;
      ports.metrics.count('caracal_gateway_requests_total', outcome);
      remove?.();
    },
  });
  if (!hasEnded) remove = ports.active.add(admission, forwarded);
}

function toForwardedValues(
  call: Call,
  parsed: CanonicalRequest,
  target: Target,
  admission: Admission,
): ForwardedValues {
  const { request, requestID, ports } = call;
  return {
    requestID,
    host: parsed.host,
    proto: ports.proto,
    clientAddress: toAddress(request.socket.remoteAddress),
    newTraceparent: () => `00-${hex(ports.randomBytes(16))}-${hex(ports.randomBytes(8))}-00`,
    upstreamHost: target.host ?? parsed.host,
    owned: toOwnedHeaders(admission, target.tellsIdentity),
  };
}

/** A listener of both families sees IPv4 as mapped. */
function toAddress(address = 'unknown'): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** A refused body that is no longer than this is read and thrown away: the connection stays good. */
const SMALL_BODY = 64 * 1024;

/** Answers and leaves evidence. */
function end(
  call: Call,
  refusal: Refusal,
  { parsed, target }: { readonly parsed?: CanonicalRequest; readonly target?: Target },
): void {
  const { request, response, requestID, expectsContinue, ports } = call;
  const records = target?.zone.records ?? ports.records;
  records?.refused(toRecord(call, ports.now(), { parsed, target, refusal }));
  const metadataURL = target?.served.metadataURL;
  const closes = !parsed || expectsContinue || (parsed.bodyLength ?? Infinity) > SMALL_BODY;
  sendRefusal(response, refusal, { requestID, closes, ...(metadataURL !== undefined && { metadataURL }) });
  ports.metrics.count('caracal_gateway_requests_total', refusal.code);
  ports.log.info(
    {
      request_id: requestID,
      error: refusal.code,
      resource: target?.served.resource.identifier,
      method: parsed?.method,
      source: request.socket.remoteAddress,
      evidence: refusal.evidence ?? refusal.message,
    },
    'refused',
  );
}

/** What nobody foresaw denies. */
function fail(call: Call, error: unknown): void {
  const { response, requestID, ports } = call;
  ports.log.error(
    { request_id: requestID, error: error instanceof Error ? error.stack : String(error) },
    'request failed',
  );
  if (response.headersSent) response.destroy();
  else end(call, refuse('sts_unavailable', 'the request could not be judged'), {});
}
