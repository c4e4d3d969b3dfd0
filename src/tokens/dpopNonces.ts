/** Nonces that a server gives to those who prove possession (RFC 9449 §8): one at a time, the last one good for a while. */
import type { Clock, RandomBytes } from '../authority/clock.ts';

export interface Nonces {
  current(): string;
  /** The present one or that before it. */
  isGood(nonce: string): boolean;
}

const ROTATE_MS = 300_000;
const BYTES = 18;

/** Turned when it is asked for, by the monotonic clock: what nobody uses costs nothing. */
export function createNonces({
  clock,
  randomBytes,
}: {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly randomBytes: RandomBytes;
}): Nonces {
  const make = () => Buffer.from(randomBytes(BYTES)).toString('base64url');
  let present = make();
  let previous: string | undefined;
  let since = clock.monotonic();
  const turn = (): void => {
    const age = clock.monotonic() - since;
    if (age < ROTATE_MS) return;
    previous = age < 2 * ROTATE_MS ? present : undefined;
    present = make();
    since = clock.monotonic();
  };
  return {
    current() {
      turn();
      return present;
    },
    isGood(nonce) {
      turn();
      return nonce === present || nonce === previous;
    },
  };
}
