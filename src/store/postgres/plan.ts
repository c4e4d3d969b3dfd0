/** What a group of writes comes to, worked out while its zones are locked: an outcome for each, and the rows of them all. */
import { extend, ROOT, type Head } from '../../audit/entry.ts';
import {
  sealAuthority,
  sealRevocation,
  type AuthorityRow,
  type RevocationRow,
  type SealedRow,
} from '../authorityRows.ts';
import { withEpoch } from '../epochRecord.ts';
import type { DecisionRow, Operation, Outcome } from '../protocol.ts';
import { writeRuntime, type EntryRow, type ObjectRow } from '../runtimeRows.ts';
import type { Seal } from '../seal.ts';
import { raisedFor, type ZoneHead } from '../zoneHead.ts';

export type CommitOperation = Extract<Operation, { type: 'commit' }>;
export type RaiseOperation = Extract<Operation, { type: 'raiseEpoch' }>;
type SingleUseRow = CommitOperation['consume'][number];

/** What the database has of all that the group names; each set of unambiguous tuples (`toKey`). */
export interface Facts {
  readonly heads: ReadonlyMap<string, ZoneHead>;
  readonly logHeads: ReadonlyMap<string, Head>;
  readonly spent: ReadonlySet<string>;
  /** Ids and jtis of decisions. */
  readonly decisions: ReadonlySet<string>;
  readonly revocations: ReadonlySet<string>;
  readonly objectSeals: ReadonlyMap<string, string>;
}

export interface PlanContext {
  readonly seal: Seal;
  readonly writer: string;
  /** Unix milliseconds. */
  readonly now: number;
}

export interface LoggedRow {
  readonly decision: DecisionRow;
  readonly head: Head;
}

export interface EpochInsert {
  readonly zoneUID: string;
  readonly epoch: number;
  readonly digest: string;
  readonly change: string;
}

/** Facts and rows as they grow, operation after operation. */
export interface Plan {
  readonly outcomes: Outcome[];
  readonly heads: Map<string, ZoneHead>;
  /** Zones whose head changed. */
  readonly moved: Set<string>;
  readonly logHeads: Map<string, Head>;
  readonly singleUse: Map<string, SingleUseRow>;
  readonly logged: LoggedRow[];
  readonly authority: Map<string, SealedRow<AuthorityRow>>;
  readonly epochs: EpochInsert[];
  readonly revocations: Map<string, SealedRow<RevocationRow>>;
  readonly objects: Map<string, ObjectRow>;
  readonly entries: EntryRow[];
}

interface Planning extends Plan {
  readonly facts: Facts;
  readonly decisions: Set<string>;
  readonly context: PlanContext;
}

export const toKey = (...parts: readonly (string | null)[]): string => JSON.stringify(parts);

export function planGroup(facts: Facts, operations: readonly Operation[], context: PlanContext): Plan {
  const planning: Planning = {
    ...{ facts, context, outcomes: [], moved: new Set(), singleUse: new Map(), logged: [], authority: new Map() },
    ...{ epochs: [], revocations: new Map(), objects: new Map(), entries: [], decisions: new Set(facts.decisions) },
    heads: new Map(facts.heads),
    logHeads: new Map(facts.logHeads),
  };
  for (const operation of operations)
    planning.outcomes.push(operation.type === 'commit' ? commit(planning, operation) : raise(planning, operation));
  return planning;
}

/** Refusals come first: what is refused changes nothing. */
function commit(planning: Planning, operation: CommitOperation): Outcome {
  const { decision, consume, authorityRecord, runtime } = operation;
  const head = planning.heads.get(decision.zoneUID)!;
  const refusal = refuse(planning, operation, head);
  if (refusal) return refusal;
  for (const use of consume) planning.singleUse.set(toKey(use.class, use.zoneUID, use.key), use);
  log(planning, decision);
  if (authorityRecord) keepLatest(planning, authorityRecord);
  if (!runtime) return { type: 'committed', zoneEpoch: head.epoch };
  const entry = write(planning, head, runtime);
  const { epoch } = planning.heads.get(decision.zoneUID)!;
  return { type: 'committed', zoneEpoch: epoch, entry: { sequence: entry.sequence, epoch: entry.epoch } };
}

function refuse(planning: Planning, operation: CommitOperation, head: ZoneHead): Outcome | undefined {
  const { decision, consume, runtime } = operation;
  const replayed = findReplay(planning, consume);
  if (replayed >= 0) return { type: 'replayed', index: replayed };
  if (runtime && runtime.expected !== head.sequence) return { type: 'conflict' };
  return refuseKnown(planning, decision);
}

function refuseKnown({ decisions }: Planning, decision: DecisionRow): Outcome | undefined {
  const exists = decisionKeys(decision).some((key) => decisions.has(key));
  return exists ? { type: 'refused', message: `decision ${decision.id} or its jti exists` } : undefined;
}

function findReplay({ facts, singleUse }: Planning, consume: readonly SingleUseRow[]): number {
  const own = new Set<string>();
  return consume.findIndex((use) => {
    const key = toKey(use.class, use.zoneUID, use.key);
    const isSpent = facts.spent.has(key) || singleUse.has(key) || own.has(key);
    own.add(key);
    return isSpent;
  });
}

export function decisionKeys({ zoneUID, id, jti }: Pick<DecisionRow, 'zoneUID' | 'id' | 'jti'>): readonly string[] {
  return [toKey('id', zoneUID, id), ...(jti === null ? [] : [toKey('jti', zoneUID, jti)])];
}

function log(planning: Planning, decision: DecisionRow): void {
  const { zoneUID, record } = decision;
  const { logHeads, context } = planning;
  const head = extend({ zoneUID, writer: context.writer }, logHeads.get(zoneUID) ?? ROOT, record);
  logHeads.set(zoneUID, head);
  planning.logged.push({ decision, head });
  for (const key of decisionKeys(decision)) planning.decisions.add(key);
}

function keepLatest({ authority, context }: Planning, row: AuthorityRow): void {
  const key = toKey(row.zoneUID, row.sid);
  const present = authority.get(key);
  if (present && present.expiresAt >= row.expiresAt) return;
  authority.set(key, { ...row, seal: sealAuthority(context.seal, row) });
}

function write(planning: Planning, before: ZoneHead, runtime: NonNullable<CommitOperation['runtime']>): EntryRow {
  const { facts, objects, context } = planning;
  const { zoneUID } = before;
  const sealOf = (kind: string, id: string) => {
    const key = toKey(zoneUID, kind, id);
    return objects.get(key)?.seal ?? facts.objectSeals.get(key);
  };
  const written = writeRuntime(context.seal, before, runtime, context.now, sealOf);
  for (const row of written.objects) objects.set(toKey(zoneUID, row.kind, row.id), row);
  planning.entries.push(written.entry);
  move(planning, written.head, runtime.change);
  return written.entry;
}

function raise(planning: Planning, operation: RaiseOperation): Outcome {
  const { zoneUID, digest, decision } = operation;
  const { facts, context, revocations } = planning;
  const present = planning.heads.get(zoneUID)!;
  const added = new Map(
    operation.revocations.flatMap((row) => {
      const key = toKey(zoneUID, row.uid);
      return facts.revocations.has(key) || revocations.has(key) ? [] : [[key, row] as const];
    }),
  );
  const raised = raisedFor(present, operation, added.size, context.now);
  if (!raised) return { type: 'raised', row: { epoch: present.epoch, digest } };
  const refusal = decision && refuseKnown(planning, decision);
  if (refusal) return refusal;
  const { epoch } = raised.head;
  for (const [key, { uid, record }] of added) {
    const row = { zoneUID, uid, epoch, record };
    revocations.set(key, { ...row, seal: sealRevocation(context.seal, row) });
  }
  move(planning, raised.head, raised.change);
  if (decision) log(planning, withEpoch(decision, epoch));
  return { type: 'raised', row: { epoch, digest } };
}

/** `change`: of the epoch that was raised, if any. */
function move({ heads, moved, epochs }: Planning, head: ZoneHead, change: string | undefined): void {
  const { zoneUID, epoch, digest } = head;
  heads.set(zoneUID, head);
  moved.add(zoneUID);
  if (change !== undefined) epochs.push({ zoneUID, epoch, digest, change });
}
