/** The port to what must be durable: decisions, single-use ids, authority records, revocations and zone epochs. */
import type { DecisionRecord, Principal } from '../authority/decision.ts';
import type { PolicySubject } from '../authority/policyInput.ts';
import type { AuthorityChange } from '../authority/feed.ts';
import type { RevocationEntry } from '../authority/revocation.ts';
import type { BeforeEpoch } from './epochRecord.ts';
import type { RuntimeEntry, RuntimeObject, RuntimeWrite } from '../authority/runtime.ts';

export type { BeforeEpoch };

/** One login: who, for whom, until when. `sid` is deterministic (tokens of one instance share it). */
export interface AuthorityRecord {
  readonly sid: string;
  readonly rootSid: string;
  readonly zoneUID: string;
  readonly principal: Principal;
  readonly subject: PolicySubject;
  /** URL of the user's issuer at the login. */
  readonly subjectIssuer?: string;
  /** Of the ID token, where it had one: an approval in person repeats its binding here. */
  readonly nonce?: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** A single-use id: unique in (class, zone, key). Empty zone: keyed across zones. */
export interface SingleUse {
  readonly class: 'private_key_jwt' | 'login_token' | 'mandate' | 'dpop';
  readonly zoneUID: string;
  readonly key: string;
  /** Unix seconds until which it must be remembered. */
  readonly expiresAt: number;
}

export interface Commit {
  readonly decision: DecisionRecord;
  /** Spent in the same transaction; if any was spent before, nothing of the commit happens. */
  readonly consume?: readonly SingleUse[];
  /** Upserted in the same transaction (latest expiry wins). */
  readonly authorityRecord?: AuthorityRecord;
  /** Written in the same transaction; where another write of the zone came first, nothing of the commit happens. */
  readonly runtime?: RuntimeWrite;
}

export type CommitResult =
  | {
      readonly ok: true;
      /** Highest epoch of the zone known to the store. */
      readonly zoneEpoch: number;
      /** What was written of the runtime state, with its sequence. */
      readonly entry?: RuntimeEntry;
    }
  | { readonly ok: false; readonly replayed: SingleUse }
  /** `runtime.expected` is not the present sequence. */
  | { readonly ok: false; readonly conflict: true };

/** All runtime objects of a zone that are not forgotten yet, as of a sequence (0: nothing was ever written). */
export interface RuntimeState {
  readonly sequence: number;
  readonly objects: readonly RuntimeObject[];
}

export interface ZoneEpoch {
  readonly zoneUID: string;
  readonly epoch: number;
  /** Snapshot digest that this epoch was raised for. */
  readonly digest: string;
}

/**
 * Durable state of the STS. Every method resolves only after its effect is on disk (group commit).
 * A method rejects with StoreUnavailable when the store cannot be written; nothing then has happened, unless the store
 * was lost between its disk and its answer: what was spent or written then is so, and its caller never acted on it.
 */
export interface Store {
  /** Random id of this database's life; a restored or new database has another. */
  readonly incarnation: string;
  commit(commit: Commit): Promise<CommitResult>;
  /**
   * Compare-and-set on (epoch, digest): same digest → the present epoch, another → epoch + 1, or without `change` the
   * present epoch, since what is issued stays good; the digest is kept, so that the way back is a change again. `revocations` that are not
   * known take effect with the raised epoch, in the same transaction, and are remembered for good. `record` is written with
   * the new digest, under the epoch that it comes to; once, however many ask.
   */
  raiseEpoch(
    zoneUID: string,
    digest: string,
    change: AuthorityChange | undefined,
    revocations?: readonly RevocationEntry[],
    record?: BeforeEpoch,
  ): Promise<ZoneEpoch>;
  /** Every one that ever took effect in the zone, each with its epoch. */
  revocations(zoneUID: string): Promise<readonly RevocationEntry[]>;
  zoneEpoch(zoneUID: string): Promise<ZoneEpoch | undefined>;
  authorityRecord(zoneUID: string, sid: string): Promise<AuthorityRecord | undefined>;
  runtime(zoneUID: string): Promise<RuntimeState>;
  /**
   * What was written after the sequence `after`, in order and without a gap, at most `limit`. Rejects with
   * RuntimeEntriesGone where some of it was forgotten, or where the state never came as far as `after`.
   */
  runtimeEntries(zoneUID: string, after: number, limit: number): Promise<readonly RuntimeEntry[]>;
  decisionByJTI(zoneUID: string, jti: string): Promise<DecisionRecord | undefined>;
  decision(zoneUID: string, id: string): Promise<DecisionRecord | undefined>;
  /** Newest first. */
  decisions(zoneUID: string, limit: number): Promise<readonly DecisionRecord[]>;
  /** Where each zone is: who has applied less proves nothing. Zones without an epoch and a runtime write are absent. */
  heads(): Promise<ReadonlyMap<string, Head>>;
  /** Calls `listener` when heads may have moved, here or at another replica: soon, but not for certain. Returns its end. */
  onHint(listener: () => void): () => void;
  /** How far the store's clock is ahead of ours, as last measured (with `heads`). */
  clockSkewMs(): number;
  close(): Promise<void>;
}

/** The epoch of a zone (0: none yet), and the sequence of its runtime state. */
export interface Head {
  readonly epoch: number;
  readonly sequence: number;
}

export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** The runtime entries that were asked for are not kept: load the zone's state whole. */
export class RuntimeEntriesGone extends Error {
  override readonly name = 'RuntimeEntriesGone';
}
