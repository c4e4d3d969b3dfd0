/** Whether a mandate that was good under one epoch can be touched by what has changed since. */
import type { AuthorityChange, FeedEpoch } from '../authority/feed.ts';
import type { MandateClaims } from '../authority/claims.ts';

export interface Epochs {
  current(): number;
  /** Another store or another zone counts anew: nothing that was known holds. */
  reset(): void;
  /** A whole configuration of this epoch: what changed before it is not known. */
  restart(epoch: number): void;
  add(event: FeedEpoch): void;
  /** `good`: nothing after `epoch` touches it. `ask`: something does or may. `ahead`: the feed has not got there. */
  judge(claims: MandateClaims, epoch: number): 'good' | 'ask' | 'ahead';
}

const KEPT = 1024;

export function createEpochs(): Epochs {
  let current = 0;
  /** Every change after this epoch is in `changes`. */
  let knownSince = 0;
  let changes: FeedEpoch[] = [];
  return {
    current: () => current,
    reset() {
      current = 0;
      knownSince = 0;
      changes = [];
    },
    restart(epoch) {
      if (epoch <= current) return;
      current = epoch;
      knownSince = epoch;
      changes = [];
    },
    add(event) {
      if (event.epoch <= current) return;
      if (event.epoch !== current + 1) {
        knownSince = event.epoch - 1;
        changes = [];
      }
      current = event.epoch;
      changes.push(event);
      if (changes.length > KEPT) knownSince = changes.shift()!.epoch;
    },
    judge(claims, epoch) {
      if (epoch === current) return 'good';
      if (epoch > current) return 'ahead';
      if (epoch < knownSince) return 'ask';
      return changes.some((event) => event.epoch > epoch && touches(event.change, claims)) ? 'ask' : 'good';
    },
  };
}

function touches(
  { all, applications, resources }: AuthorityChange,
  { client_id: client, aud }: MandateClaims,
): boolean {
  return all || applications.includes(client) || aud.some((audience) => resources.includes(audience));
}
