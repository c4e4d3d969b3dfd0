/** Every refusal of a gateway: one table of codes, and how one is written to the wire (RFC 6750, RFC 9728). */
import type { IncomingMessage, ServerResponse } from 'node:http';

export const REFUSALS = {
  invalid_request: {
    status: 400,
    meaning: 'malformed, a path with two readings, or missing or forbidden routing headers',
  },
  missing_token: { status: 401, meaning: 'no mandate was sent' },
  invalid_token: { status: 401, meaning: 'the mandate is not valid here, or is no longer in force' },
  credential_expired_not_renewable: {
    status: 401,
    meaning: 'a mandate of single use has less than 35 s left: get another',
  },
  invalid_dpop_proof: {
    status: 401,
    meaning: 'the mandate is bound to a key, and the DPoP proof of it is missing, wrong or used before',
  },
  use_dpop_nonce: { status: 401, meaning: 'the DPoP proof needs the nonce that the answer carries in `DPoP-Nonce`' },
  invalid_zone: { status: 401, meaning: 'the mandate is of another zone' },
  insufficient_scope: { status: 403, meaning: 'the operation needs a scope that the mandate does not carry' },
  operation_not_permitted: { status: 403, meaning: 'the Resource declares no such operation' },
  resource_not_found: {
    status: 404,
    meaning: 'no zone of this edge has a Resource of this identifier with an upstream',
  },
  method_not_allowed: { status: 405, meaning: 'CONNECT, TRACE and unknown methods are never forwarded' },
  expectation_failed: { status: 417, meaning: 'another expectation than 100-continue' },
  rate_limited: { status: 429, meaning: 'too many mandates of this address had a wrong signature' },
  header_too_large: { status: 431, meaning: 'too many or too large header fields' },
  upgrade_not_supported: { status: 501, meaning: 'the connection cannot be upgraded' },
  upstream_unavailable: { status: 502, meaning: 'the upstream cannot be reached, or its answer is malformed' },
  audit_unavailable: {
    status: 503,
    meaning: 'what is admitted could not be recorded: the spool is full or cannot be written',
  },
  sts_unavailable: { status: 503, meaning: 'the gateway cannot prove that what it knows is fresh, so it denies' },
  upstream_timeout: { status: 504, meaning: 'the upstream did not answer in time' },
  version_not_supported: { status: 505, meaning: 'HTTP/1.1 is spoken here' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly meaning: string }>>;

export type RefusalCode = keyof typeof REFUSALS;

export interface Refusal {
  readonly type: 'refusal';
  readonly code: RefusalCode;
  /** For the caller: never a token or an unverified claim. */
  readonly message: string;
  /** The scope that is missing. */
  readonly scope?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  /** The mandate must come with a proof (RFC 9449): how, and with which nonce. */
  readonly dpop?: { readonly algs: string; readonly nonce: string };
  /** For the log only. */
  readonly evidence?: string;
}

export function refuse(
  code: RefusalCode,
  message: string,
  details: Pick<Refusal, 'scope' | 'retryAfter' | 'dpop' | 'evidence'> = {},
): Refusal {
  return { type: 'refusal', code, message, ...details };
}

export interface RefusalContext {
  readonly requestID: string;
  /** Where RFC 9728 metadata of the Resource is; only where its identifier is https. */
  readonly metadataURL?: string;
  /** A body that nobody wants may still come: the connection ends with the answer. */
  readonly closes: boolean;
}

const LINGER_MS = 1000;
const LINGER_BYTES = 1024 * 1024;

const refused = new WeakSet<ServerResponse>();

/** True for an answer that is whole as it stands, whatever becomes of the request. */
export function isRefused(response: ServerResponse): boolean {
  return refused.has(response);
}

/** Writes the refusal and ends the response. */
export function sendRefusal(response: ServerResponse, refusal: Refusal, context: RefusalContext): void {
  refused.add(response);
  const { status } = REFUSALS[refusal.code];
  const body = JSON.stringify({
    error: refusal.code,
    error_description: refusal.message,
    requestId: context.requestID,
  });
  const challenge = status === 400 || status === 401 || status === 403 ? toChallenge(refusal, context) : undefined;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Request-Id': context.requestID,
    ...(challenge !== undefined && { 'WWW-Authenticate': challenge }),
    ...(refusal.dpop && { 'DPoP-Nonce': refusal.dpop.nonce }),
    ...(refusal.retryAfter !== undefined && { 'Retry-After': String(refusal.retryAfter) }),
    ...(context.closes && { Connection: 'close' }),
  });
  if (!context.closes || response.req.complete) response.end(body);
  else endAfterBody(response, body);
}

/** Closing on unread bytes resets the connection and loses the answer: a little more is read, and thrown away. */
function endAfterBody(response: ServerResponse<IncomingMessage>, body: string): void {
  const { req: request } = response;
  let left = LINGER_BYTES;
  const end = (): void => {
    clearTimeout(timer);
    if (!response.writableEnded) response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  response.write(body);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) end();
  });
  request.once('end', end);
  response.once('close', end);
  request.resume();
}

/** Bare without credentials; codes of RFC 6750 §3.1 and RFC 9449 §7.1 in the header, ours in the body. */
function toChallenge({ code, scope, dpop }: Refusal, { metadataURL }: RefusalContext): string {
  const error = toBearerError(code);
  const parameters = [
    metadataURL !== undefined && `resource_metadata="${metadataURL}"`,
    error !== undefined && `error="${error}"`,
    scope !== undefined && `scope="${scope}"`,
    dpop && `algs="${dpop.algs}"`,
  ].filter((parameter) => typeof parameter === 'string');
  const scheme = dpop ? 'DPoP' : 'Bearer';
  return parameters.length === 0 ? scheme : `${scheme} ${parameters.join(', ')}`;
}

function toBearerError(code: RefusalCode): string | undefined {
  switch (code) {
    case 'missing_token':
      return undefined;
    case 'invalid_dpop_proof':
    case 'use_dpop_nonce':
      return code;
    case 'invalid_request':
      return 'invalid_request';
    case 'insufficient_scope':
    case 'operation_not_permitted':
      return 'insufficient_scope';
    default:
      return 'invalid_token';
  }
}
