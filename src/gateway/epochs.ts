/** Whether a mandate that was good under one epoch can be touched by what has changed since. */
import type { AuthorityChange, FeedEpoch } from '../authority/feed.ts';
import type { ChainLink, MandateClaims } from '../authority/claims.ts';

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

/** Whoever passed authority on, and every session and edge that it came by: all of the chain, not only its leaf. */
function touches(change: AuthorityChange, claims: MandateClaims): boolean {
  const { all, applications, resources, sessions, edges } = change;
  if (all || applications.includes(claims.client_id)) return true;
  if (claims.aud.some((audience) => resources.includes(audience))) return true;
  const { agent_session_id: own, source_session_id: source, delegation_path: path, delegation_chain: chain } = claims;
  if (own !== undefined && sessions?.includes(own)) return true;
  if (source !== undefined && sessions?.includes(source)) return true;
  if (path && edges?.some((edge) => path.includes(edge))) return true;
  return chain?.some((link) => touchesLink(change, link)) === true;
}

function touchesLink({ applications, sessions }: AuthorityChange, link: ChainLink): boolean {
  const { application_id: application, agent_session_id: session } = link;
  return applications.includes(application) || (session !== undefined && sessions?.includes(session) === true);
}
