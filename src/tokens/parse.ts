/** Compact JWTs (RFC 7515 §3.1, RFC 7519 §7.2) read closed-world: one canonical form per token, and total. */
import { isUtf8 } from 'node:buffer';
import { parseStrictJSON } from './json.ts';

export type ParsedJWT =
  | {
      readonly ok: true;
      readonly header: Record<string, unknown>;
      readonly payload: Record<string, unknown>;
      /** What is signed: the first two segments with their dot. */
      readonly signingInput: string;
      readonly signature: Uint8Array;
    }
  | { readonly ok: false; readonly problem: string };

const MAX_DEPTH = 32;

type Segment =
  { readonly ok: true; readonly value: Record<string, unknown> } | { readonly ok: false; readonly problem: string };

/**
 * Never throws and never checks a signature. Exactly three segments of canonical base64url (no padding, no space, no
 * stray bits), header and payload JSON objects in UTF-8 without byte order mark, no member twice at any depth.
 */
export function parseCompactJWT(token: string, limits: { readonly maxBytes: number }): ParsedJWT {
  if (token.length > limits.maxBytes) return refuse(`is longer than ${limits.maxBytes} bytes`);
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  if (first < 0 || second < 0 || token.includes('.', second + 1)) return refuse('has not exactly three segments');
  const signature = decode(token.slice(second + 1));
  if (!signature) return refuse('has a signature that is not canonical base64url');
  const header = parseSegment(token.slice(0, first));
  if (!header.ok) return refuse(`has a header that ${header.problem}`);
  const payload = parseSegment(token.slice(first + 1, second));
  if (!payload.ok) return refuse(`has a payload that ${payload.problem}`);
  return { ok: true, header: header.value, payload: payload.value, signingInput: token.slice(0, second), signature };
}

function refuse(problem: string): ParsedJWT {
  return { ok: false, problem: `the token ${problem}` };
}

function parseSegment(segment: string): Segment {
  const bytes = decode(segment);
  if (!bytes) return { ok: false, problem: 'is not canonical base64url' };
  if (!isUtf8(bytes)) return { ok: false, problem: 'is not UTF-8' };
  const parsed = parseStrictJSON(bytes.toString('utf8'), MAX_DEPTH);
  if (!parsed.ok) return parsed;
  if (isObject(parsed.value)) return { ok: true, value: parsed.value };
  return { ok: false, problem: 'is not a JSON object' };
}

/** Undefined unless encoding again gives the same text. */
function decode(segment: string): Buffer | undefined {
  if (segment === '') return undefined;
  const bytes = Buffer.from(segment, 'base64url');
  return bytes.toString('base64url') === segment ? bytes : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
