/** One reading of a request: what can be read in two ways is refused, and the bytes judged are the bytes sent. */

export interface CanonicalRequest {
  readonly method: string;
  /** Path and query exactly as received: this goes upstream. */
  readonly target: string;
  /** Path only. */
  readonly path: string;
  /** Path split at `/`, without the leading one, each percent-decoded; `/` is one empty segment. */
  readonly segments: readonly string[];
  readonly host: string;
  /** A body follows: by length or in chunks. */
  readonly hasBody: boolean;
  /** Bytes of the body; undefined where it comes in chunks. */
  readonly bodyLength: number | undefined;
}

export interface RequestProblem {
  readonly problem: 'malformed' | 'method' | 'version' | 'too_many_headers';
  /** Never quotes the request. */
  readonly message: string;
}

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** "1.0" or "1.1" as the parser says it. */
  readonly httpVersion: string;
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
}

const MAX_HEADERS = 100;
const METHOD = /^[A-Z]+(-[A-Z]+)*$/;
/** Unreserved, sub-delims but `;`, `:`, `@` (RFC 3986 §3.3), and percent-encoded bytes. */
const PATH = /^(?:\/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+$/;
/** Encoded characters that stand for themselves, separators, dots, NUL and controls: each gives a second reading. */
const AMBIGUOUS_ESCAPE =
  /%(2[DdEeFf]|3[0-9]|3[Bb]|4[1-9A-Fa-f]|5[0-9AaCcFf]|6[1-9A-Fa-f]|7[0-9AaEeFf]|[01][0-9A-Fa-f]|25)/;
const QUERY = /^[!-"$-~]*$/;
/** A name or an IPv4 or bracketed IPv6 address, with an optional port. */
const HOST = /^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/;

export function parseRequest(line: RequestLine): CanonicalRequest | RequestProblem {
  const { method, target, httpVersion, rawHeaders } = line;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return refuse('version', 'HTTP/1.1 is spoken here');
  if (rawHeaders.length > 2 * MAX_HEADERS) return refuse('too_many_headers', `more than ${MAX_HEADERS} header fields`);
  if (!METHOD.test(method) || method === 'TRACE' || method === 'CONNECT')
    return refuse('method', 'the method is not one that is forwarded');
  const framing = readFraming(rawHeaders, httpVersion);
  if ('problem' in framing) return framing;
  if (framing.hasBody && (method === 'GET' || method === 'HEAD')) return refuse('malformed', `${method} with a body`);
  const at = target.indexOf('?');
  const path = at < 0 ? target : target.slice(0, at);
  const query = at < 0 ? '' : target.slice(at + 1);
  if (!QUERY.test(query)) return refuse('malformed', 'the query holds characters that must be percent-encoded');
  const segments = toSegments(path);
  if (!segments)
    return refuse(
      'malformed',
      'the path has two readings: no //, dot segment, backslash, semicolon, or needless or ambiguous escape',
    );
  return { method, target, path, segments, ...framing };
}

export function isProblem(parsed: CanonicalRequest | RequestProblem): parsed is RequestProblem {
  return 'problem' in parsed;
}

function refuse(problem: RequestProblem['problem'], message: string): RequestProblem {
  return { problem, message };
}

/** Undefined where the path has two readings. A last empty segment is a path that ends in `/`. */
function toSegments(path: string): readonly string[] | undefined {
  if (!PATH.test(path) || AMBIGUOUS_ESCAPE.test(path)) return undefined;
  const segments = path.slice(1).split('/');
  const isClean = segments.every(
    (segment, index) => segment !== '.' && segment !== '..' && (segment !== '' || index === segments.length - 1),
  );
  if (!isClean) return undefined;
  return path.includes('%') ? decodeAll(segments) : segments;
}

/** Undefined where the bytes are no UTF-8: an overlong form of a separator is one to some. */
function decodeAll(segments: readonly string[]): readonly string[] | undefined {
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function readFraming(
  rawHeaders: readonly string[],
  httpVersion: string,
): Pick<CanonicalRequest, 'host' | 'hasBody' | 'bodyLength'> | RequestProblem {
  let host: string | undefined;
  let length: string | undefined;
  let encoding: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1]!;
    switch (rawHeaders[index]!.toLowerCase()) {
      case 'host':
        if (host !== undefined) return refuse('malformed', 'more than one Host');
        host = value;
        break;
      case 'content-length':
        if (length !== undefined || !/^(0|[1-9][0-9]{0,15})$/.test(value))
          return refuse('malformed', 'Content-Length must be there once, as a number');
        length = value;
        break;
      case 'transfer-encoding':
        if (encoding !== undefined || value !== 'chunked')
          return refuse('malformed', 'Transfer-Encoding must be chunked and nothing else');
        encoding = value;
        break;
    }
  }
  if (host === undefined || !HOST.test(host)) return refuse('malformed', 'exactly one well-formed Host is needed');
  if (encoding !== undefined && (length !== undefined || httpVersion === '1.0'))
    return refuse('malformed', 'the end of the body has two readings');
  const bodyLength = encoding === undefined ? Number(length ?? 0) : undefined;
  return { host, hasBody: bodyLength !== 0, bodyLength };
}
