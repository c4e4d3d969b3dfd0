/** The store's thread: holds the lock and the file, answers one request after the other, and reopens after a failure. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { openAuditKey } from './auditKey.ts';
import { checkAuthority, checkRevocations } from './authorityRows.ts';
import { createFile, openDatabase, toRecordText, type Database } from './database.ts';
import { readHead, readHeads } from './heads.ts';
import { signHeads } from './log.ts';
import type { FromWorker, Method, Methods, ToWorker, WorkerConfig } from './protocol.ts';
import { readEntries, readRuntime } from './runtimeState.ts';
import { pruneSome, writeTogether } from './transaction.ts';

const PRUNE_EVERY_MS = 60_000;

const port = parentPort!;
const config = workerData as WorkerConfig;
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
  const open = (database ??= openSame(message.now));
  const { statements } = open;
  switch (message.method) {
    case 'open':
      signHeads(open.db, open.log, message.now);
      return open.incarnation;
    case 'write': {
      const outcomes = writeTogether(open, message.request.operations, message.now);
      pruneSometimes(open, message.now);
      return outcomes;
    }
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
