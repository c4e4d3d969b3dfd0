/** The port on top of an engine: writes in groups, checkpoints of the log after them, and rows as what they mean. */
import type { DecisionRecord } from '../authority/decision.ts';
import type { AuthorityChange } from '../authority/feed.ts';
import type { RevocationEntry } from '../authority/revocation.ts';
import type { RuntimeEntry, RuntimeObject, RuntimeWrite } from '../authority/runtime.ts';
import type { BeforeEpoch } from './epochRecord.ts';
import { createGroups, type Groups } from './groups.ts';
import type { DecisionRow, Method, Methods, Operation, Outcome, WrittenEntry } from './protocol.ts';
import { parseEntry, toRuntimeOperation } from './runtimeRows.ts';
import type { AuthorityRecord, Commit, CommitResult, Store, ZoneEpoch } from './store.ts';
import { RuntimeEntriesGone, StoreUnavailable } from './store.ts';

/** An engine: where rows are, and how they are made durable. */
export interface Connection {
  /** Rejects with StoreUnavailable. */
  ask<M extends Method>(method: M, request: Methods[M]['request']): Promise<Methods[M]['answer']>;
  /** Resolves when nothing of it is left; later requests reject. */
  close(): Promise<void>;
}

export interface EngineStore extends Store {
  /** Since it was opened: transactions are fewer than writes where they came together. */
  written(): { readonly writes: number; readonly transactions: number };
}

export interface EngineStoreConfig {
  readonly incarnation: string;
  /** How many writes may wait for the disk before more are refused. Default 4096. */
  readonly maxWaiting?: number | undefined;
  /** How long a record of the log may wait for a checkpoint that covers it. Default 5000. */
  readonly checkpointMs?: number | undefined;
  /** When one group cannot be written, those that wait behind it are refused as well, so that none waits twice. */
  readonly failsTogether?: boolean;
  readonly clockSkewMs: Store['clockSkewMs'];
  /** Told of what others write, where there are others. */
  readonly onForeignHint?: Store['onHint'];
}

const MAX_WAITING = 4096;
const MAX_GROUP = 1024;
const CHECKPOINT_MS = 5000;

export function createEngineStore(connection: Connection, config: EngineStoreConfig): EngineStore {
  const { incarnation, maxWaiting = MAX_WAITING, checkpointMs = CHECKPOINT_MS, failsTogether = false } = config;
  const checkpoints = createCheckpoints(connection, checkpointMs);
  const counts = { writes: 0, transactions: 0 };
  const listeners = new Set<() => void>();
  const groups = createGroups<Operation, Outcome>({
    maxWaiting,
    maxGroup: MAX_GROUP,
    failsTogether,
    async send(operations) {
      const outcomes = await connection.ask('write', { operations });
      counts.writes += operations.length;
      counts.transactions += 1;
      checkpoints.arm();
      // What is written is written, whatever a listener makes of it.
      if (outcomes.some(isNews)) for (const listener of listeners) queueMicrotask(listener);
      return outcomes;
    },
  });
  let closing: Promise<void> | undefined;
  const write = (operation: Operation): Promise<Outcome> =>
    closing ? Promise.reject(new StoreUnavailable('the store is closed')) : groups.add(operation);
  return {
    incarnation,
    commit: async (commit) => toCommitResult(await write(toCommitOperation(commit)), commit),
    raiseEpoch: async (zoneUID, digest, change, revocations = [], record) =>
      toZoneEpoch(await write(toRaiseOperation(zoneUID, digest, change, revocations, record)), zoneUID),
    ...toReads(connection),
    clockSkewMs: config.clockSkewMs,
    onHint(listener) {
      listeners.add(listener);
      const unsubscribe = config.onForeignHint?.(listener);
      return () => {
        listeners.delete(listener);
        unsubscribe?.();
      };
    },
    written: () => ({ ...counts }),
    close: () => (closing ??= end(groups, checkpoints, connection)),
  };
}

function isNews(outcome: Outcome): boolean {
  return outcome.type === 'raised' || (outcome.type === 'committed' && outcome.entry !== undefined);
}

/** What was accepted is written before the file is closed. */
async function end(
  groups: Groups<Operation, Outcome>,
  checkpoints: Checkpoints,
  connection: Connection,
): Promise<void> {
  await groups.drained();
  checkpoints.disarm();
  await connection.close();
}

interface Checkpoints {
  /** One follows, unless one is under way to it already. */
  arm(): void;
  disarm(): void;
}

/** A checkpoint that cannot be written is written with the next write that can, or when the store is opened. */
function createCheckpoints(connection: Connection, afterMs: number): Checkpoints {
  let timer: NodeJS.Timeout | undefined;
  return {
    arm() {
      timer ??= setTimeout(() => {
        timer = undefined;
        connection.ask('checkpoint', {}).catch(() => undefined);
      }, afterMs).unref();
    },
    disarm: () => clearTimeout(timer),
  };
}

function toReads(
  connection: Connection,
): Omit<Store, 'incarnation' | 'commit' | 'raiseEpoch' | 'clockSkewMs' | 'onHint' | 'close'> {
  return {
    async heads() {
      const rows = await connection.ask('heads', {});
      return new Map(rows.map(({ zoneUID, epoch, sequence }) => [zoneUID, { epoch, sequence }]));
    },
    async runtime(zoneUID) {
      const { sequence, objects } = await connection.ask('runtime', { zoneUID });
      return { sequence, objects: objects.map(({ record }) => JSON.parse(record) as RuntimeObject) };
    },
    async runtimeEntries(zoneUID, after, limit) {
      const rows = await connection.ask('runtimeEntries', { zoneUID, after, limit });
      if (!rows) throw new RuntimeEntriesGone(`the runtime entries of zone ${zoneUID} after ${after} are not kept`);
      return rows.map(parseEntry);
    },
    async zoneEpoch(zoneUID) {
      const row = await connection.ask('zoneEpoch', { zoneUID });
      return row && { zoneUID, ...row };
    },
    async revocations(zoneUID) {
      const rows = await connection.ask('revocations', { zoneUID });
      return rows.map(({ epoch, record }) => ({ ...(JSON.parse(record) as RevocationEntry), epoch }));
    },
    async authorityRecord(zoneUID, sid) {
      const text = await connection.ask('authorityRecord', { zoneUID, key: sid });
      return text === undefined ? undefined : (JSON.parse(text) as AuthorityRecord);
    },
    decisionByJTI: async (zoneUID, key) => parseDecision(await connection.ask('decisionByJTI', { zoneUID, key })),
    decision: async (zoneUID, key) => parseDecision(await connection.ask('decision', { zoneUID, key })),
    async decisions(zoneUID, limit) {
      const texts = await connection.ask('decisions', { zoneUID, limit });
      return texts.map((text) => JSON.parse(text) as DecisionRecord);
    },
  };
}

export function parseDecision(text: string | undefined): DecisionRecord | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as DecisionRecord);
}

function toCommitOperation({ decision, consume = [], authorityRecord, runtime }: Commit): Operation {
  return {
    type: 'commit',
    decision: toDecisionRow(decision),
    consume,
    ...(authorityRecord && { authorityRecord: toAuthorityRow(authorityRecord) }),
    ...(runtime && { runtime: toRuntimeOperation(runtime) }),
  };
}

function toRaiseOperation(
  zoneUID: string,
  digest: string,
  change: AuthorityChange | undefined,
  revocations: readonly RevocationEntry[],
  record: BeforeEpoch | undefined,
): Operation {
  const rows = revocations.map((entry) => ({ uid: entry.uid, record: JSON.stringify(entry) }));
  return {
    ...{ type: 'raiseEpoch', zoneUID, digest, revocations: rows },
    change: change ? JSON.stringify(change) : null,
    ...(record && { decision: toDecisionRow(record) }),
  };
}

function toDecisionRow(record: BeforeEpoch): DecisionRow {
  const { id, zoneUID, jti = null, at, outcome } = record;
  return { id, zoneUID, jti, at, outcome, record: JSON.stringify(record) };
}

function toAuthorityRow(record: AuthorityRecord) {
  const { zoneUID, sid, expiresAt } = record;
  return { zoneUID, sid, expiresAt, record: JSON.stringify(record) };
}

function toCommitResult(outcome: Outcome, { consume, runtime }: Commit): CommitResult {
  if (outcome.type === 'committed') {
    const { zoneEpoch, entry } = outcome;
    return { ok: true, zoneEpoch, ...(entry && runtime && { entry: toEntry(entry, runtime) }) };
  }
  if (outcome.type === 'conflict') return { ok: false, conflict: true };
  if (outcome.type === 'replayed') return { ok: false, replayed: consume![outcome.index]! };
  throw toFailure(outcome);
}

function toEntry({ sequence, epoch }: WrittenEntry, { puts, change }: RuntimeWrite): RuntimeEntry {
  return { sequence, puts, ...(epoch !== null && change && { raised: { epoch, change } }) };
}

function toZoneEpoch(outcome: Outcome, zoneUID: string): ZoneEpoch {
  if (outcome.type === 'raised') return { zoneUID, ...outcome.row };
  throw toFailure(outcome);
}

/** Unless the disk is full: the store can be written, and what was given to it cannot. */
function toFailure(outcome: Outcome): Error {
  if (outcome.type === 'unavailable') return new StoreUnavailable(outcome.message);
  return new Error(
    outcome.type === 'refused' ? `the store refused a write: ${outcome.message}` : `unexpected ${outcome.type}`,
  );
}
