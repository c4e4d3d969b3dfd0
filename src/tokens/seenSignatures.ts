/** Signatures that were found good a moment ago: the same bytes under the same key need no second check. */
import { hash, type KeyObject } from 'node:crypto';
import { createLRU, type LRU } from './lru.ts';

/** For each key; what is dropped is checked again. */
const MAX_SEEN = 4096;

/** By the imported key itself: a key that is imported anew, or another, has seen nothing. */
const seen = new WeakMap<KeyObject, LRU<true>>();

/** What `check` says of the token; it is asked only where these bytes were not good under this key before. */
export function isSignedOrSeen(token: string, key: KeyObject, check: () => boolean): boolean {
  let good = seen.get(key);
  if (!good) seen.set(key, (good = createLRU(MAX_SEEN)));
  const name = hash('sha256', token, 'base64url');
  if (good.get(name)) return true;
  if (!check()) return false;
  good.set(name, true);
  return true;
}
