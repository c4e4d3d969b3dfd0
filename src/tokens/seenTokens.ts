/** Tokens that were found well signed a moment ago: the same bytes need no second reading, and under the same key no second check. */
import { hash, type KeyObject } from 'node:crypto';
import { createLRU, type LRU } from './lru.ts';
import { parseCompactJWT, type ParsedJWT } from './parse.ts';

/** What the bytes of a token say, under their SHA-256. It proves nothing: every check is made anew. */
export type Reading = Extract<ParsedJWT, { ok: true }> & { readonly name: string };

/** For each key; what is dropped is read and checked again. */
const MAX_SEEN = 4096;

/** By the whole token, of which a reading is nothing but another form: sharing it between zones shares nothing else. */
const readings = createLRU<Reading>(MAX_SEEN);

/** By the imported key itself: a key that is imported anew, or another, has seen nothing. */
const seen = new WeakMap<KeyObject, LRU<true>>();

/** As parseCompactJWT; header and payload of a token that was seen before are frozen and the very same objects. */
export function readToken(
  token: string,
  limits: { readonly maxBytes: number },
): Reading | Extract<ParsedJWT, { ok: false }> {
  const isTooLong = token.length > limits.maxBytes;
  const name = isTooLong ? '' : hash('sha256', token, 'base64url');
  const known = isTooLong ? undefined : readings.get(name);
  if (known) return known;
  const parsed = parseCompactJWT(token, limits);
  return parsed.ok ? { ...parsed, name } : parsed;
}

/** What `check` says of the token; it is asked only where these bytes were not good under this key before. */
export function isSignedOrSeen(reading: Reading, key: KeyObject, check: () => boolean): boolean {
  let good = seen.get(key);
  if (!good) seen.set(key, (good = createLRU(MAX_SEEN)));
  if (good.get(reading.name)) return true;
  if (!check()) return false;
  good.set(reading.name, true);
  freeze(reading.header);
  freeze(reading.payload);
  readings.set(reading.name, reading);
  return true;
}

/** Its depth is bounded by the parser. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}
