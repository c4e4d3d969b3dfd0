/** The store's thread: holds the lock and the file, answers one request after the other, and reopens after a failure. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { openAuditKey } from './auditKey.ts';
import { checkAuthority, checkRevocations } from './authorityRows.ts';
import { createFile, openDatabase, toRecordText, type Database } from './database.ts';
import { readHead, readHeads } from './heads.ts';
import { signHeads } from './log.ts';
import type { FromWorker, Method, Methods, Operation, Outcome, ToWorker, WorkerConfig } from './protocol.ts';
import { createReserve } from './reserve.ts';
import { readEntries, readRuntime } from './runtimeState.ts';
import { pruneSome, writeTogether } from './transaction.ts';

const PRUNE_EVERY_MS = 60_000;

const port = parentPort!;
const config = workerData as WorkerConfig;
const reserve = createReserve(config.path);
let lock: DatabaseSync | undefined;
let database: Database | undefined;
let incarnation = config.incarnation;
let pruneAt = 0;

port.on('message', (message: ToWorker) => {
  try {
    port.postMessage({ id: message.id, ok: true, value: answer(message) } satisfies FromWorker);
  } catch (error) {
    // The file may be in any state after a failure: the next request opens it anew.
    closeDatabase();
    port.postMessage({ id: message.id, ok: false, message: messageOf(error) } satisfies FromWorker);
  }
  if (message.method === 'close') port.close();
});

function answer(message: ToWorker): Methods[Method]['answer'] {
  if (message.method === 'close') return close(message.now);
  const open = (database ??= openFor(message));
  const { statements } = open;
  switch (message.method) {
    case 'open':
      signHeads(open.db, open.log, message.now);
      reserve.keep(message.now);
      return open.incarnation;
    case 'write':
      return write(open, message.request.operations, message.now);
    case 'checkpoint':
      signHeads(open.db, open.log, message.now);
      return undefined;
    case 'zoneEpoch':
      return readEpoch(open, message.request.zoneUID);
    case 'authorityRecord':
      return readAuthority(open, message.request.zoneUID, message.request.key);
    case 'decisionByJTI':
    case 'decision':
      return toRecordText(statements[message.method].get(message.request.zoneUID, message.request.key));
    case 'revocations':
      return readRevocations(open, message.request.zoneUID);
    case 'runtime':
      return readRuntime(statements, open.seal, message.request.zoneUID);
    case 'heads':
      return readHeads(statements, open.seal);
    case 'runtimeEntries':
      return readEntries(statements, open.seal, message.request);
    case 'decisions': {
      const rows = statements.decisions.all(message.request.zoneUID, message.request.limit);
      return rows.map((row) => String(row['record']));
    }
  }
}

/** Opening takes a little room too. */
function openFor(message: ToWorker): Database {
  try {
    return openSame(message.now);
  } catch (error) {
    const isTaking = message.method === 'write' && message.request.operations.some(takesAuthority);
    if (!isFull(error) || !isTaking) throw error;
    reserve.release();
    return openSame(message.now);
  }
}

function write(open: Database, operations: readonly Operation[], now: number): readonly Outcome[] {
  if (!reserve.keep(now)) return writeTakings(open, operations, now);
  try {
    const outcomes = writeTogether(open, operations, now);
    pruneSometimes(open, now);
    return outcomes;
  } catch (error) {
    if (!isFull(error) || !operations.some(takesAuthority)) throw error;
    closeDatabase();
    reserve.release();
    return writeTakings((database = openSame(now)), operations, now);
  }
}

const FULL = 'the disk is full: what room is left is kept for what takes authority away';

/** The disk is full: only what takes authority away is written. */
function writeTakings(open: Database, operations: readonly Operation[], now: number): readonly Outcome[] {
  const written = writeTogether(open, operations.filter(takesAuthority), now).values();
  return operations.map((operation) =>
    takesAuthority(operation) ? written.next().value! : { type: 'unavailable', message: FULL },
  );
}

/** Whatever outdates mandates raises the epoch. */
function takesAuthority(operation: Operation): boolean {
  return operation.type === 'raiseEpoch' || operation.runtime?.change !== undefined;
}

function readEpoch({ statements, seal }: Database, zoneUID: string) {
  const { epoch, digest } = readHead(statements, seal, zoneUID);
  return epoch === 0 ? undefined : { epoch, digest };
}

function readAuthority({ statements, seal }: Database, zoneUID: string, sid: string): string | undefined {
  const row = statements.authorityRecord.get(zoneUID, sid);
  if (!row) return undefined;
  const record = String(row['record']);
  checkAuthority(seal, { zoneUID, sid, expiresAt: Number(row['expires_at']), record, seal: String(row['seal']) });
  return record;
}

function readRevocations({ statements, seal }: Database, zoneUID: string) {
  const rows = statements.revocations.all(zoneUID).map((row) => ({
    zoneUID,
    uid: String(row['uid']),
    epoch: Number(row['epoch']),
    record: String(row['record']),
    seal: String(row['seal']),
  }));
  checkRevocations(seal, readHead(statements, seal, zoneUID), rows);
  return rows;
}

/** The file of before, or none: another in its place would forget what was spent and decided. */
function openSame(now: number): Database {
  lock ??= takeLock();
  const newIncarnation = incarnation === undefined ? config.newIncarnation : undefined;
  const opened = openDatabase({ path: config.path, newIncarnation, now, openSigner: () => openAuditKey(config.path) });
  if (incarnation !== undefined && opened.incarnation !== incarnation) {
    opened.close();
    throw new Error(`${config.path} was replaced while it was in use: start again to use the new one`);
  }
  incarnation = opened.incarnation;
  return opened;
}

/** One process at a time. The kernel gives the lock back when the process ends, however it ends. */
function takeLock(): DatabaseSync {
  const path = `${config.path}.lock`;
  createFile(path);
  const opened = new DatabaseSync(path, { timeout: config.lockTimeoutMs });
  try {
    opened.exec('BEGIN EXCLUSIVE');
    return opened;
  } catch (error) {
    opened.close();
    if (!isBusy(error)) throw error;
    throw new Error(`${config.path} is in use by another process: stop it first, or name another folder`, {
      cause: error,
    });
  }
}

const SQLITE_BUSY = 5;

/** SQLite's result codes of a write that found no room: SQLITE_IOERR (of the index of its log) and SQLITE_FULL. */
const NO_ROOM = [10, 13];

function isFull(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    NO_ROOM.includes(error.errcode & 0xff)
  );
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/** After the writes are durable: what is removed here may be removed later just as well. */
function pruneSometimes(open: Database, now: number): void {
  if (now < pruneAt) return;
  try {
    pruneAt = pruneSome(open, now) ? now : now + PRUNE_EVERY_MS;
  } catch {
    closeDatabase();
  }
}

function close(now: number): undefined {
  signLast(now);
  closeDatabase();
  lock?.close();
  lock = undefined;
}

/** What cannot be signed now is signed when the store is opened again. */
function signLast(now: number): void {
  try {
    if (database) signHeads(database.db, database.log, now);
  } catch {
    closeDatabase();
  }
}

function closeDatabase(): void {
  const closing = database;
  database = undefined;
  try {
    closing?.close();
  } catch {
    // A file that cannot be closed is left to the process' end; the next request opens another handle.
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
