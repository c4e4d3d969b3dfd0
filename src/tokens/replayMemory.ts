/** Which proofs were used in their window: never one twice, and never more memory than it was given. */
import type { Clock } from '../authority/clock.ts';
import { MAX_PROOF_AGE } from './dpopProof.ts';
import { CLOCK_SKEW } from './instants.ts';

export interface ReplayMemory {
  /** `full`: nothing may be forgotten yet, so that nothing new can be taken. */
  add(name: string): 'new' | 'known' | 'full';
}

/** From when a proof was taken, at the earliest a skew before its `iat`, until it is too old; and a little. */
const KEPT_MS = (MAX_PROOF_AGE + 2 * CLOCK_SKEW + 5) * 1000;

export function createReplayMemory(clock: Pick<Clock, 'monotonic'>, max: number): ReplayMemory {
  /** Monotonic milliseconds at which each came, the oldest first. */
  const seen = new Map<string, number>();
  return {
    add(name) {
      const now = clock.monotonic();
      for (const [oldest, at] of seen) {
        if (now - at < KEPT_MS) break;
        seen.delete(oldest);
      }
      if (seen.has(name)) return 'known';
      if (seen.size >= max) return 'full';
      seen.set(name, now);
      return 'new';
    },
  };
}
