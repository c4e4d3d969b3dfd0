/** One transaction over many writes: each keeps to itself, so that a replayed id refuses only its own commit. */
import type { Head } from '../audit/entry.ts';
import { sealAuthority, sealRevocation, type AuthorityRow } from './authorityRows.ts';
import { together, type Database } from './database.ts';
import { withEpoch } from './epochRecord.ts';
import { readHead, readHeads, writeHead } from './heads.ts';
import { advance, nextHead } from './log.ts';
import type { DecisionRow, Operation, Outcome } from './protocol.ts';
import type { RuntimeOperation } from './runtimeRows.ts';
import { forgetEntries, forgetObjects, putRuntime } from './runtimeState.ts';
import { raisedFor } from './zoneHead.ts';

/** SQLite's primary result code of a violated constraint: the caller's fault, not the file's. */
const SQLITE_CONSTRAINT = 19;

/** All or nothing on disk. Throws where the transaction could not be committed; nothing of it then is visible, and the database is opened anew. */
export function writeTogether(open: Open, operations: readonly Operation[], now: number): readonly Outcome[] {
  return together(open.db, () => operations.map((operation) => writeOne(open, operation, now)));
}

type Open = Pick<Database, 'db' | 'statements' | 'log' | 'seal'>;

function writeOne(open: Open, operation: Operation, now: number): Outcome {
  // A statement that fails undoes itself.
  if (isOneStatement(operation)) return tryOne(open, operation, now);
  const { savepoint, undo, release } = open.statements;
  savepoint.run();
  const outcome = tryOne(open, operation, now);
  if (['replayed', 'conflict', 'refused'].includes(outcome.type)) undo.run();
  release.run();
  return outcome;
}

function isOneStatement(operation: Operation): boolean {
  if (operation.type !== 'commit') return false;
  return operation.consume.length === 0 && !operation.authorityRecord && !operation.runtime;
}

function tryOne(open: Open, operation: Operation, now: number): Outcome {
  try {
    return operation.type === 'commit' ? commit(open, operation, now) : raise(open, operation, now);
  } catch (error) {
    if (!isConstraint(error)) throw error;
    return { type: 'refused', message: error.message };
  }
}

function isConstraint(error: unknown): error is Error {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    (error.errcode & 0xff) === SQLITE_CONSTRAINT
  );
}

function commit(open: Open, operation: Extract<Operation, { type: 'commit' }>, now: number): Outcome {
  const { statements, log, seal } = open;
  const { decision, consume, authorityRecord } = operation;
  for (const [index, use] of consume.entries()) {
    const { changes } = statements.consume.run(use.class, use.zoneUID, use.key, use.expiresAt);
    if (changes === 0) return { type: 'replayed', index };
  }
  const { zoneUID } = decision;
  const written = operation.runtime ? writeState(open, zoneUID, operation.runtime, now) : undefined;
  if (written?.type === 'conflict') return written;
  const logHead = append(open, decision);
  if (authorityRecord) upsertAuthority(open, authorityRecord);
  // Only now can nothing undo it but the failure of all, after which the log is read anew.
  advance(log, zoneUID, logHead);
  return written ?? { type: 'committed', zoneEpoch: readHead(statements, seal, zoneUID).epoch };
}

/** The head that it makes: `advance` once nothing can undo it. */
function append({ statements, log }: Open, { id, zoneUID, jti, at, outcome, record }: DecisionRow): Head {
  const head = nextHead(log, zoneUID, record);
  statements.insertDecision.run(id, zoneUID, jti, at, outcome, record, log.writer, head.size, head.hash);
  return head;
}

function upsertAuthority({ statements, seal }: Open, row: AuthorityRow): void {
  const { zoneUID, sid, expiresAt, record } = row;
  statements.upsertAuthorityRecord.run(zoneUID, sid, expiresAt, record, sealAuthority(seal, row));
}

function writeState({ statements, seal }: Open, zoneUID: string, operation: RuntimeOperation, now: number) {
  const put = putRuntime(statements, seal, readHead(statements, seal, zoneUID), operation, now);
  if (!put) return { type: 'conflict' } as const;
  const { epoch, digest } = put.head;
  writeHead(statements, seal, put.head);
  if (operation.change !== undefined) statements.insertEpoch.run(zoneUID, epoch, digest, operation.change, now);
  const entry = { sequence: put.entry.sequence, epoch: put.entry.epoch };
  return { type: 'committed', zoneEpoch: epoch, entry } as const;
}

function raise(open: Open, operation: Extract<Operation, { type: 'raiseEpoch' }>, now: number): Outcome {
  const { statements, seal, log } = open;
  const { zoneUID, digest, revocations, decision } = operation;
  const present = readHead(statements, seal, zoneUID);
  const added = revocations.filter(({ uid }) => statements.revocation.get(zoneUID, uid) === undefined);
  const raised = raisedFor(present, operation, added.length, now);
  if (!raised) return { type: 'raised', row: { epoch: present.epoch, digest } };
  const { head, change } = raised;
  const { epoch } = head;
  writeHead(statements, seal, head);
  if (change !== undefined) statements.insertEpoch.run(zoneUID, epoch, digest, change, now);
  for (const { uid, record } of added) {
    const row = { zoneUID, uid, epoch, record };
    statements.insertRevocation.run(zoneUID, uid, epoch, now, record, sealRevocation(seal, row));
  }
  if (decision) advance(log, zoneUID, append(open, withEpoch(decision, epoch)));
  return { type: 'raised', row: { epoch, digest } };
}

const PRUNED_AT_ONCE = 500;
/** Seconds that something expired is kept, for clocks that differ. */
const PRUNE_MARGIN = 60;

/** Milliseconds that a runtime entry is kept for replicas that are behind. */
const ENTRIES_KEPT_MS = 3_600_000;

/** Removes some of what expired; true where more may be left. */
export function pruneSome({ db, statements, seal }: Open, now: number): boolean {
  const before = Math.floor(now / 1000) - PRUNE_MARGIN;
  const { pruneSingleUse, pruneAuthorityRecords } = statements;
  const removed = [pruneSingleUse, pruneAuthorityRecords].map((prune) =>
    Number(prune.run(before, PRUNED_AT_ONCE).changes),
  );
  removed.push(together(db, () => forgetObjects(statements, seal, before, PRUNED_AT_ONCE)));
  for (const head of readHeads(statements, seal)) {
    const old = now - ENTRIES_KEPT_MS;
    if (head.sequence > head.baseSequence + 1)
      removed.push(together(db, () => forgetEntries(statements, seal, head, old, PRUNED_AT_ONCE)));
  }
  return removed.includes(PRUNED_AT_ONCE);
}
