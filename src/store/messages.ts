/** What the store's two threads say to each other: rows as text, so that nothing is cloned twice. */
import type { SingleUse } from './store.ts';

export interface DecisionRow {
  readonly id: string;
  readonly zoneUID: string;
  readonly jti: string | null;
  readonly at: number;
  readonly json: string;
}

export interface AuthorityRecordRow {
  readonly zoneUID: string;
  readonly sid: string;
  readonly expiresAt: number;
  readonly json: string;
}

export interface CommitRequest {
  readonly type: 'commit';
  readonly decision: DecisionRow;
  readonly consume: readonly SingleUse[];
  readonly authorityRecord: AuthorityRecordRow | undefined;
}

export interface RaiseEpochRequest {
  readonly type: 'raiseEpoch';
  readonly zoneUID: string;
  readonly digest: string;
  readonly change: string;
}

export type ReadRequest =
  | { readonly type: 'zoneEpoch'; readonly zoneUID: string }
  | { readonly type: 'authorityRecord'; readonly zoneUID: string; readonly sid: string }
  | { readonly type: 'decisionByJTI'; readonly zoneUID: string; readonly jti: string }
  | { readonly type: 'decision'; readonly zoneUID: string; readonly id: string }
  | { readonly type: 'decisions'; readonly zoneUID: string; readonly limit: number };

export type StoreRequest = CommitRequest | RaiseEpochRequest | ReadRequest;

/** `now`: Unix milliseconds, since threads of ours read no clock. */
export interface ToStoreWorker {
  readonly id: number;
  readonly now: number;
  readonly request: StoreRequest;
}

export type FromStoreWorker =
  | { readonly type: 'open'; readonly incarnation: string }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly message: string };

export interface WorkerOptions {
  readonly path: string;
  /** For a database that is new. */
  readonly incarnation: string;
}
