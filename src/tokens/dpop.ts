/** Proof of possession (RFC 9449) at one instance of a server: proofs, the nonces they must carry, and each of them once. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { createNonces } from './dpopNonces.ts';
import { checkProof, type DPoPExpectation, type DPoPRefusal } from './dpopProof.ts';
import { createReplayMemory } from './replayMemory.ts';

export { DPOP_ALG, type DPoPExpectation } from './dpopProof.ts';

export type DPoPVerdict = { readonly ok: true; /** Thumbprint of its key. */ readonly jkt: string } | DPoPRefusal;

export interface DPoPVerifier {
  /**
   * `proof`: the value of the one DPoP header. Total and synchronous. Whoever gets `ok` has spent the proof. Messages never
   * quote it. The order is by cost: form, key, claims, nonce, signature, replay.
   */
  verify(proof: string, expected: DPoPExpectation): DPoPVerdict;
  /** For `DPoP-Nonce`, with every refusal. */
  nonce(): string;
}

export interface DPoPPorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/** Proofs of the last 75 s; about 10 MB when full. */
const MAX_PROOFS = 100_000;

/**
 * One for each process, and all of its listeners. A proof needs a nonce of this very instance, so that the memory of what
 * was used need not be shared, and proofs made ahead of time, or taken by a relay for another server, are good for nothing.
 */
export function createDPoPVerifier({ clock, randomBytes }: DPoPPorts, maxProofs = MAX_PROOFS): DPoPVerifier {
  const nonces = createNonces({ clock, randomBytes });
  const seen = createReplayMemory(clock, maxProofs);
  return {
    verify(text, expected) {
      const checked = checkProof(text, expected, nonces.isGood, clock.now());
      if (!checked.ok) return checked;
      const { jkt, jti } = checked.proof;
      // A thumbprint has 43 characters: no two pairs give one name.
      switch (seen.add(`${jkt}${jti}`)) {
        case 'new':
          return { ok: true, jkt };
        case 'known':
          return { ok: false, problem: 'replayed', message: 'the proof was used before' };
        case 'full':
          return { ok: false, problem: 'full', message: 'more proofs came than can be told apart; try again' };
      }
    },
    nonce: nonces.current,
  };
}
