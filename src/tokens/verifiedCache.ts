/** Tokens that were verified a moment ago: the same bytes again need no signature check. */
import { hash } from 'node:crypto';
import type { MandateClaims } from '../authority/claims.ts';
import { checkTimes } from './instants.ts';
import { createLRU } from './lru.ts';
import type { MandateVerifierConfig } from './verify.ts';
import { isSameKeys, type ZonePublicKey } from './zoneKeys.ts';

export interface VerifiedCacheConfig {
  readonly maxEntries: number;
  /**
   * Whose verdicts these are: entries are then bound to its issuer, zone, audience and use, and all vanish when its
   * keys change. Without it, keep one cache per verifier and `clear()` it when a key is taken away.
   */
  readonly verifier?: MandateVerifierConfig;
}

export interface VerifiedCache {
  /** The very object that `set` was given, or undefined. Authentication only: authority is asked for every time. */
  get(token: string, nowMs: number): MandateClaims | undefined;
  set(token: string, claims: MandateClaims, nowMs: number): void;
  clear(): void;
  size(): number;
}

/** Entries are keyed by SHA-256 and vanish at `exp`; `mandateIdentity` is what revocation goes by. */
export function createVerifiedCache({ maxEntries, verifier }: VerifiedCacheConfig): VerifiedCache {
  const entries = createLRU<MandateClaims>(maxEntries);
  const binding = verifier ? JSON.stringify([verifier.issuer, verifier.zoneID, verifier.audience, verifier.use]) : '[]';
  const keyOf = (token: string) => hash('sha256', binding + token, 'base64url');
  let keys: readonly ZonePublicKey[] = verifier?.keys() ?? [];
  const dropForOtherKeys = () => {
    const current = verifier?.keys() ?? keys;
    if (!isSameKeys(current, keys)) entries.clear();
    keys = current;
  };
  return {
    get(token, nowMs) {
      dropForOtherKeys();
      const key = keyOf(token);
      const claims = entries.get(key);
      if (!claims || isLive(claims, nowMs)) return claims;
      entries.delete(key);
      return undefined;
    },
    set(token, claims, nowMs) {
      dropForOtherKeys();
      if (isLive(claims, nowMs)) entries.set(keyOf(token), claims);
    },
    clear: () => entries.clear(),
    size: () => entries.size(),
  };
}

function isLive({ exp, iat }: MandateClaims, nowMs: number): boolean {
  return nowMs < exp * 1000 && checkTimes(exp, [iat], nowMs) === undefined;
}
