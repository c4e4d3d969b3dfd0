/** Messages between the store and its thread: rows in, rows out, each answer under the id of its request. */
import type { AuthorityRow } from './authorityRows.ts';
import type { EntryRow, ObjectRow, RuntimeOperation } from './runtimeRows.ts';
import type { ZoneHead } from './zoneHead.ts';

/** One write; several share a transaction. Records travel as JSON text, so that each is serialised once. */
export type Operation =
  | {
      readonly type: 'commit';
      readonly decision: DecisionRow;
      readonly consume: readonly SingleUseRow[];
      readonly authorityRecord?: AuthorityRow;
      readonly runtime?: RuntimeOperation;
    }
  | {
      readonly type: 'raiseEpoch';
      readonly zoneUID: string;
      readonly digest: string;
      /** JSON of the AuthorityChange; null: the digest is another one, and the epoch stays. */
      readonly change: string | null;
      readonly revocations: readonly RevocationRow[];
      /** Written unless the digest is the present one; its text has no `epoch` yet (epochRecord.ts). */
      readonly decision?: DecisionRow;
    };

interface RevocationRow {
  readonly uid: string;
  readonly record: string;
}

export interface DecisionRow {
  readonly id: string;
  readonly zoneUID: string;
  readonly jti: string | null;
  readonly at: number;
  readonly outcome: string;
  readonly record: string;
}

interface SingleUseRow {
  readonly class: string;
  readonly zoneUID: string;
  readonly key: string;
  readonly expiresAt: number;
}

export interface EpochRow {
  readonly epoch: number;
  readonly digest: string;
}

/** What became of one write of a transaction. `refused`: a bug of the caller, such as an id that exists. */
export type Outcome =
  | { readonly type: 'committed'; readonly zoneEpoch: number; readonly entry?: WrittenEntry }
  /** The runtime state is not at the sequence that was expected. */
  | { readonly type: 'conflict' }
  /** Index into `consume`. */
  | { readonly type: 'replayed'; readonly index: number }
  | { readonly type: 'raised'; readonly row: EpochRow }
  /** The disk is full, and its last room is not for this. */
  | { readonly type: 'unavailable'; readonly message: string }
  | { readonly type: 'refused'; readonly message: string };

/** The sequence that a runtime write got, and the epoch that was raised with it, if any. */
export type WrittenEntry = Pick<EntryRow, 'sequence' | 'epoch'>;

/** Request and answer by method. */
export interface Methods {
  readonly open: { readonly request: Record<never, never>; readonly answer: string };
  readonly write: {
    readonly request: { readonly operations: readonly Operation[] };
    readonly answer: readonly Outcome[];
  };
  /** Signs what was written since the last one. */
  readonly checkpoint: { readonly request: Record<never, never>; readonly answer: undefined };
  readonly zoneEpoch: { readonly request: { readonly zoneUID: string }; readonly answer: EpochRow | undefined };
  readonly authorityRecord: { readonly request: ByKey; readonly answer: string | undefined };
  readonly decisionByJTI: { readonly request: ByKey; readonly answer: string | undefined };
  readonly decision: { readonly request: ByKey; readonly answer: string | undefined };
  readonly decisions: {
    readonly request: { readonly zoneUID: string; readonly limit: number };
    readonly answer: readonly string[];
  };
  readonly revocations: {
    readonly request: { readonly zoneUID: string };
    readonly answer: readonly { readonly epoch: number; readonly record: string }[];
  };
  readonly runtime: {
    readonly request: { readonly zoneUID: string };
    readonly answer: { readonly sequence: number; readonly objects: readonly Pick<ObjectRow, 'record'>[] };
  };
  readonly heads: {
    readonly request: Record<never, never>;
    readonly answer: readonly Pick<ZoneHead, 'zoneUID' | 'epoch' | 'sequence'>[];
  };
  /** Undefined: some of them were forgotten, or the store never had `after`. */
  readonly runtimeEntries: {
    readonly request: { readonly zoneUID: string; readonly after: number; readonly limit: number };
    readonly answer: readonly Pick<EntryRow, 'sequence' | 'epoch' | 'entry'>[] | undefined;
  };
  readonly close: { readonly request: Record<never, never>; readonly answer: undefined };
}

interface ByKey {
  readonly zoneUID: string;
  readonly key: string;
}

export type Method = keyof Methods;

export type ToWorker = {
  readonly [M in Method]: {
    readonly id: number;
    readonly method: M;
    readonly request: Methods[M]['request'];
    /** Unix milliseconds. */
    readonly now: number;
  };
}[Method];

export type FromWorker =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

export interface WorkerConfig {
  readonly path: string;
  /** Taken if the database is new or restored. */
  readonly newIncarnation: string;
  /** Set when a database was open before: it must still be the same. */
  readonly incarnation: string | undefined;
  /** How long to wait for another process that has the store open. */
  readonly lockTimeoutMs: number;
}
