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

/** Lower case, and `-` for all but letters and digits: applications behind CGI-like interfaces cannot tell them apart. */
export function normalizeName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

export function isOwned(normalized: string): boolean {
  return OWNED.has(normalized) || OWNED_PREFIXES.some((prefix) => normalized.startsWith(prefix));
}

type Fate = 'pass' | 'drop' | 'traceparent' | 'tracestate' | 'baggage';

/** Names as they are sent are few: what was decided of one is remembered, within a bound. */
function createFates(decide: (name: string) => Fate): (name: string) => Fate {
  const known = new Map<string, Fate>();
  return (name) => {
    const remembered = known.get(name);
    if (remembered !== undefined) return remembered;
    const fate = decide(name);
    if (known.size < MAX_KNOWN_NAMES) known.set(name, fate);
    return fate;
  };
}

const MAX_KNOWN_NAMES = 1000;

const requestFate = createFates((name) => {
  const normalized = normalizeName(name);
  switch (normalized) {
    case 'traceparent':
    case 'tracestate':
    case 'baggage':
      return normalized;
    case 'content-length':
      // The parser has held the body to it; an alias of it frames nothing.
      return name.toLowerCase() === normalized ? 'pass' : 'drop';
    case 'host':
    case 'expect':
      return 'drop';
    default:
      return HOP_BY_HOP.has(normalized) || CREDENTIALS.has(normalized) || isOwned(normalized) ? 'drop' : 'pass';
  }
});

const responseFate = createFates((name) => {
  const normalized = normalizeName(name);
  const isOurs = normalized.startsWith('x-caracal-') || normalized === 'x-request-id';
  return HOP_BY_HOP.has(normalized) || isOurs ? 'drop' : 'pass';
});

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

/** The header fields of the request upstream, alternating names and values; `Content-Length` is the only framing. */
export function toUpstreamHeaders(rawHeaders: readonly string[], values: ForwardedValues): string[] {
  const named = namedByConnection(rawHeaders);
  const headers: string[] = ['Host', values.upstreamHost];
  let traceparent: string | undefined;
  let tracestate: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    const value = rawHeaders[index + 1]!;
    if (named?.has(normalizeName(name))) continue;
    switch (requestFate(name)) {
      case 'pass':
        headers.push(name, value);
        break;
      case 'traceparent':
        traceparent = traceparent === undefined ? value : '';
        break;
      case 'tracestate':
        tracestate = tracestate === undefined ? value : `${tracestate},${value}`;
        break;
      case 'baggage':
        pushBaggage(headers, value);
        break;
      case 'drop':
        break;
    }
  }
  const isTraced = traceparent !== undefined && TRACEPARENT.test(traceparent);
  headers.push('traceparent', isTraced ? traceparent! : values.newTraceparent());
  if (isTraced && tracestate !== undefined) headers.push('tracestate', tracestate);
  headers.push('X-Request-Id', values.requestID, 'X-Forwarded-For', values.clientAddress);
  headers.push('X-Forwarded-Proto', values.proto, 'X-Forwarded-Host', values.host, ...values.owned);
  return headers;
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
    // What frames the body is not for the client to take away.
    for (const token of value.split(',')) named.add(normalizeName(token.trim()));
    named.delete('content-length');
  }
  return named;
}

/** The header fields of the response to the client, alternating names and values. */
export function toClientHeaders(rawHeaders: readonly string[], requestID: string): string[] {
  const named = namedByConnection(rawHeaders);
  const headers: string[] = ['X-Request-Id', requestID];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (responseFate(name) === 'pass' && !named?.has(normalizeName(name))) headers.push(name, rawHeaders[index + 1]!);
  }
  return headers;
}

const PLAIN = /^[!-$&-~]*$/;

/** Visible ASCII but `%` as it is, every other byte of its UTF-8 percent-encoded: no two texts become one value. */
export function toHeaderValue(text: string): string {
  if (PLAIN.test(text)) return text;
  return Array.from(Buffer.from(text, 'utf8'), (byte) => {
    const character = String.fromCharCode(byte);
    return PLAIN.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
