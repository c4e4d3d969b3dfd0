/** Whether what the gateway knows is fresh: by a nonce's round trip on the monotonic clock, never by what anyone says. */
import type { Clock } from '../authority/clock.ts';

export interface Freshness {
  /** A nonce that goes out now. */
  issue(): string;
  /** A heartbeat brought it back: everything until it was sent is known. */
  confirm(nonce: string | null): void;
  isFresh(staleAfterMs: number): boolean;
  /** What time the STS says it is (Unix milliseconds): a wall clock far off can tell nothing of expiry. */
  compare(stsTime: number): void;
  /** Milliseconds since the last proof. */
  age(): number;
}

/** Monotonic and wall clock further apart than this since the last proof: one of them was changed (security.md 10). */
const MAX_DRIFT_MS = 2000;
/** The skew that mandates are given, the second of a Date header, and the time that a call takes. */
const MAX_SKEW_MS = 8000;
const MAX_OUTSTANDING = 16;

export function createFreshness(clock: Clock, newNonce: () => string): Freshness {
  const outstanding = new Map<string, { readonly monotonic: number; readonly wall: number }>();
  let isWallWrong = false;
  let proof = { monotonic: Number.NEGATIVE_INFINITY, wall: 0 };
  return {
    issue() {
      const nonce = newNonce();
      outstanding.set(nonce, { monotonic: clock.monotonic(), wall: clock.now() });
      if (outstanding.size > MAX_OUTSTANDING) outstanding.delete(outstanding.keys().next().value!);
      return nonce;
    },
    confirm(nonce) {
      const sent = nonce === null ? undefined : outstanding.get(nonce);
      if (!sent || sent.monotonic <= proof.monotonic) return;
      proof = sent;
      outstanding.delete(nonce!);
    },
    compare(stsTime) {
      isWallWrong = Math.abs(clock.now() - stsTime) > MAX_SKEW_MS;
    },
    isFresh(staleAfterMs) {
      if (isWallWrong) return false;
      const elapsed = clock.monotonic() - proof.monotonic;
      return elapsed <= staleAfterMs && Math.abs(clock.now() - proof.wall - elapsed) <= MAX_DRIFT_MS;
    },
    age: () => clock.monotonic() - proof.monotonic,
  };
}
