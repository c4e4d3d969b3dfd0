/** One transaction over many writes: each keeps to itself, so that a replayed id refuses only its own commit. */
import type { Database, Statements } from './database.ts';
import { readEpoch } from './database.ts';
import { advance, nextHead, type Log } from './log.ts';
import type { EpochRow, Operation, Outcome } from './protocol.ts';

/** SQLite's primary result code of a violated constraint: the caller's fault, not the file's. */
const SQLITE_CONSTRAINT = 19;

/** All or nothing on disk. Throws where the transaction could not be committed; nothing of it then is visible, and the database is opened anew. */
export function writeTogether(
  { db, statements, log }: Pick<Database, 'db' | 'statements' | 'log'>,
  operations: readonly Operation[],
  now: number,
): readonly Outcome[] {
  statements.begin.run();
  try {
    const outcomes = operations.map((operation) => writeOne(statements, log, operation, now));
    statements.commit.run();
    return outcomes;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function writeOne(statements: Statements, log: Log, operation: Operation, now: number): Outcome {
  // A statement that fails undoes itself.
  if (isOneStatement(operation)) return tryOne(statements, log, operation, now);
  statements.savepoint.run();
  const outcome = tryOne(statements, log, operation, now);
  if (outcome.type === 'replayed' || outcome.type === 'refused') statements.undo.run();
  statements.release.run();
  return outcome;
}

function isOneStatement(operation: Operation): boolean {
  return operation.type === 'commit' && operation.consume.length === 0 && !operation.authorityRecord;
}

function tryOne(statements: Statements, log: Log, operation: Operation, now: number): Outcome {
  try {
    return operation.type === 'commit' ? commit(statements, log, operation) : raise(statements, operation, now);
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

function commit(statements: Statements, log: Log, operation: Extract<Operation, { type: 'commit' }>): Outcome {
  const { decision, consume, authorityRecord } = operation;
  for (const [index, use] of consume.entries()) {
    const { changes } = statements.consume.run(use.class, use.zoneUID, use.key, use.expiresAt);
    if (changes === 0) return { type: 'replayed', index };
  }
  const { id, zoneUID, jti, at, outcome, record } = decision;
  const head = nextHead(log, zoneUID, record);
  statements.insertDecision.run(id, zoneUID, jti, at, outcome, record, log.writer, head.size, head.hash);
  if (authorityRecord) {
    const { sid, expiresAt } = authorityRecord;
    statements.upsertAuthorityRecord.run(authorityRecord.zoneUID, sid, expiresAt, authorityRecord.record);
  }
  // Only now can nothing undo it but the failure of all, after which the log is read anew.
  advance(log, zoneUID, head);
  return { type: 'committed', zoneEpoch: readEpoch(statements, zoneUID)?.epoch ?? 0 };
}

/** The first epoch is the Unix time in seconds, so that mandates of an earlier store are below it. */
function raise(statements: Statements, operation: Extract<Operation, { type: 'raiseEpoch' }>, now: number): Outcome {
  const { zoneUID, digest, change, revocations } = operation;
  const present = readEpoch(statements, zoneUID);
  const added = revocations.filter(({ uid }) => statements.revocation.get(zoneUID, uid) === undefined);
  if (present?.digest === digest && added.length === 0) return { type: 'raised', row: present };
  const row: EpochRow = { epoch: present ? present.epoch + 1 : Math.floor(now / 1000), digest };
  statements.insertEpoch.run(zoneUID, row.epoch, digest, change, now);
  for (const { uid, record } of added) statements.insertRevocation.run(zoneUID, uid, row.epoch, now, record);
  return { type: 'raised', row };
}

const PRUNED_AT_ONCE = 500;
/** Seconds that something expired is kept, for clocks that differ. */
const PRUNE_MARGIN = 60;

/** Removes some of what expired; true where more may be left. */
export function pruneSome({ pruneSingleUse, pruneAuthorityRecords }: Statements, now: number): boolean {
  const before = Math.floor(now / 1000) - PRUNE_MARGIN;
  const removed = [pruneSingleUse, pruneAuthorityRecords].map((prune) => prune.run(before, PRUNED_AT_ONCE).changes);
  return removed.some((changes) => Number(changes) === PRUNED_AT_ONCE);
}
