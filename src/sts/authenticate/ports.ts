/** What authentication needs, and the two ways it ends. */
import type { Principal } from '../../authority/decision.ts';
import type { ApplicationEntry, KeySource, PublicJWK } from '../../authority/snapshot.ts';
import type { SingleUse } from '../../store/store.ts';
import type { WorkloadDirectory } from '../ports.ts';

export interface KeySets {
  get(source: KeySource, nowMs: number): Promise<readonly PublicJWK[]>;
  /** After a token named a key that the set does not hold; bounded per URL. */
  refresh(source: KeySource, nowMs: number): Promise<readonly PublicJWK[]>;
}

export interface AuthenticationPorts {
  /** The STS base URL. */
  readonly issuer: string;
  readonly workloads: WorkloadDirectory;
  readonly keySets: KeySets;
}

export interface Authenticated {
  readonly principal: Principal;
  readonly application: ApplicationEntry;
  /** Spent in the transaction of the decision. */
  readonly consume: readonly SingleUse[];
}
