/** Which header fields pass a gateway: never the hop's own, never the caller's credentials, never names that are ours. */

/** RFC 9110 §7.6.1, with the fields that frame a message. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'dpop']);

/** Names whose meaning only a gateway may set, and internals of frameworks that a client must not reach. */
const OWNED: ReadonlySet<string> = new Set([
  'forwarded',
  'x-real-ip',
  'x-request-id',
  'x-remote-user',
  'x-remote-group',
  'x-user',
  'x-original-url',
  'x-original-uri',
  'x-original-method',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-middleware-subrequest',
  'x-client-cert',
  'x-ssl-client-cert',
]);
const OWNED_PREFIXES = ['x-caracal-', 'x-forwarded-', 'x-envoy-', 'x-auth-request-'] as const;

/** Lower case with `_` as `-`: applications behind CGI-like interfaces cannot tell them apart. */
export function normalizeName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

export function isOwned(normalized: string): boolean {
  return OWNED.has(normalized) || OWNED_PREFIXES.some((prefix) => normalized.startsWith(prefix));
}

export interface ForwardedValues {
  readonly requestID: string;
  readonly host: string;
  readonly proto: 'http' | 'https';
  readonly clientAddress: string;
  /** Used when the request has no valid one. */
  readonly newTraceparent: () => string;
  /** Names and values that are set last, alternating. */
  readonly owned: readonly string[];
  /** The Host that goes upstream. */
  readonly upstreamHost: string;
}

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The header fields of the request upstream, alternating names and values, without the framing. */
export function toUpstreamHeaders(rawHeaders: readonly string[], values: ForwardedValues): string[] {
  const named = namedByConnection(rawHeaders);
  const headers: string[] = ['Host', values.upstreamHost];
  let traceparent: string | undefined;
  let tracestate: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    const value = rawHeaders[index + 1]!;
    const normalized = normalizeName(name);
    if (normalized === 'traceparent') traceparent = traceparent === undefined ? value : '';
    else if (normalized === 'tracestate') tracestate = value;
    else if (normalized === 'baggage') pushBaggage(headers, value);
    else if (passes(normalized) && !named?.has(normalized)) headers.push(name, value);
  }
  const isTraced = traceparent !== undefined && TRACEPARENT.test(traceparent);
  headers.push('traceparent', isTraced ? traceparent! : values.newTraceparent());
  if (isTraced && tracestate !== undefined) headers.push('tracestate', tracestate);
  headers.push('X-Request-Id', values.requestID, 'X-Forwarded-For', values.clientAddress);
  headers.push('X-Forwarded-Proto', values.proto, 'X-Forwarded-Host', values.host, ...values.owned);
  return headers;
}

function passes(normalized: string): boolean {
  if (normalized === 'host' || normalized === 'content-length' || normalized === 'expect') return false;
  return !HOP_BY_HOP.has(normalized) && !CREDENTIALS.has(normalized) && !isOwned(normalized);
}

/** Correlation of ours is set by gateways, not by callers (W3C Baggage). */
function pushBaggage(headers: string[], value: string): void {
  const members = value.split(',').filter((member) => !member.trim().toLowerCase().startsWith('caracal.'));
  if (members.length > 0) headers.push('baggage', members.join(','));
}

/** Fields that `Connection` names are of this hop too; undefined in the common case. */
function namedByConnection(rawHeaders: readonly string[]): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]!.length !== 10 || rawHeaders[index]!.toLowerCase() !== 'connection') continue;
    const value = rawHeaders[index + 1]!.toLowerCase();
    if (value === 'keep-alive' || value === 'close') continue;
    named ??= new Set();
    for (const token of value.split(',')) named.add(normalizeName(token.trim()));
  }
  return named;
}

/** The header fields of the response to the client, alternating names and values. */
export function toClientHeaders(rawHeaders: readonly string[], requestID: string): string[] {
  const named = namedByConnection(rawHeaders);
  const headers: string[] = ['X-Request-Id', requestID];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    const normalized = normalizeName(name);
    const isOurs = normalized.startsWith('x-caracal-') || normalized === 'x-request-id';
    if (!HOP_BY_HOP.has(normalized) && !isOurs && !named?.has(normalized)) headers.push(name, rawHeaders[index + 1]!);
  }
  return headers;
}
