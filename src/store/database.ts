/** The open database file: pragmas, file modes, incarnation, and every statement; synchronous, for the store's thread. */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { NoteSigner } from '../audit/note.ts';
import { prepareHeads, readHeads, writeHead } from './heads.ts';
import { openLog, type Log } from './log.ts';
import { migrate } from './migrations.ts';
import { prepareRuntime } from './runtimeState.ts';
import type { Seal } from './seal.ts';
import { checkSealProof, makeSeal, readSeal, sealKeyPath } from './sealKey.ts';
import { EVERYTHING, outdated } from './zoneHead.ts';

export interface OpenOptions {
  readonly path: string;
  /** For a database that is new or restored; undefined: there must be the one of before. */
  readonly newIncarnation: string | undefined;
  /** Unix milliseconds. */
  readonly now: number;
  /** Asked for once the file proved to be ours: signs the log. */
  readonly openSigner: () => NoteSigner;
}

export interface Database {
  readonly incarnation: string;
  readonly db: DatabaseSync;
  readonly statements: Statements;
  readonly log: Log;
  readonly seal: Seal;
  close(): void;
}

export type Statements = ReturnType<typeof prepareStatements>;

/** Throws where the file cannot be opened, or is not ours, or is newer. */
export function openDatabase({ path, newIncarnation, now, openSigner }: OpenOptions): Database {
  if (newIncarnation !== undefined) createFile(path);
  else if (!existsSync(path)) throw new Error(`${path} is gone: restore it, or start again to begin anew`);
  const db = new DatabaseSync(path, { timeout: 1000, enableForeignKeyConstraints: false });
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF');
    db.exec('PRAGMA journal_size_limit = 67108864');
    migrate(db, path, () => makeSeal(sealKeyPath(path)));
    const seal = openSeal(db, path);
    const inode = String(statSync(path).ino);
    const incarnation = together(db, () => {
      const known = knownIncarnation(db, inode);
      // A backup that was written over the file cannot be told from the file: each start outdates what it may have lost.
      if (known !== undefined && newIncarnation !== undefined) raiseAll(db, seal, now);
      return known ?? renew(db, inode, newIncarnation, { path, now }, seal);
    });
    const log = openLog(db, incarnation, openSigner());
    return { incarnation, db, statements: prepareStatements(db), log, seal, close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** In one transaction; what throws leaves nothing. */
export function together<T>(db: DatabaseSync, act: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const done = act();
    db.exec('COMMIT');
    return done;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Only its owner reads it, from its first moment on; SQLite gives its other files the same mode. */
export function createFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  if ((statSync(path).mode & 0o777) !== 0o600) chmodSync(path, 0o600);
}

/** Undefined for a new database and for a file with another inode, which is a copy. */
function knownIncarnation(db: DatabaseSync, inode: string): string | undefined {
  const row = db.prepare('SELECT id, inode FROM incarnation').get();
  return row?.['inode'] === inode ? String(row['id']) : undefined;
}

/** A copy gets an incarnation of its own, and epochs above any that were lost with the original. */
function renew(
  db: DatabaseSync,
  inode: string,
  newIncarnation: string | undefined,
  { path, now }: Pick<OpenOptions, 'path' | 'now'>,
  seal: Seal,
): string {
  if (newIncarnation === undefined) {
    throw new Error(`${path} was replaced while it was in use: start again to use the new one`);
  }
  db.prepare('INSERT OR REPLACE INTO incarnation (only, id, inode) VALUES (1, ?, ?)').run(newIncarnation, inode);
  raiseAll(db, seal, now);
  return newIncarnation;
}

function raiseAll(db: DatabaseSync, seal: Seal, now: number): void {
  const statements = { ...prepareHeads(db), ...prepareEpochs(db) };
  for (const head of readHeads(statements, seal)
    .filter(({ epoch }) => epoch !== 0)
    .map((one) => outdated(one, now))) {
    writeHead(statements, seal, head);
    statements.insertEpoch.run(head.zoneUID, head.epoch, head.digest, EVERYTHING, now);
  }
}

function openSeal(db: DatabaseSync, path: string): Seal {
  const seal = readSeal(sealKeyPath(path));
  const proof = db.prepare('SELECT proof FROM seal_proof').get()?.['proof'];
  checkSealProof(seal, String(proof), sealKeyPath(path));
  return seal;
}

function prepareEpochs(db: DatabaseSync) {
  return {
    insertEpoch: db.prepare('INSERT INTO zone_epochs (zone_uid, epoch, digest, change, at) VALUES (?, ?, ?, ?, ?)'),
  };
}

function prepareStatements(db: DatabaseSync) {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    savepoint: db.prepare('SAVEPOINT operation'),
    release: db.prepare('RELEASE operation'),
    undo: db.prepare('ROLLBACK TO operation'),
    insertDecision: db.prepare(
      `INSERT INTO decisions (id, zone_uid, jti, at, outcome, record, writer, position, hash)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    consume: db.prepare('INSERT OR IGNORE INTO single_use (class, zone_uid, key, expires_at) VALUES (?, ?, ?, ?)'),
    upsertAuthorityRecord: db.prepare(
      `INSERT INTO authority_records (zone_uid, sid, expires_at, record, seal) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at, record = excluded.record, seal = excluded.seal
       WHERE excluded.expires_at > expires_at`,
    ),
    insertRevocation: db.prepare(
      'INSERT INTO revocations (zone_uid, uid, epoch, at, record, seal) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    revocation: db.prepare('SELECT 1 FROM revocations WHERE zone_uid = ? AND uid = ?'),
    revocations: db.prepare(
      'SELECT zone_uid, uid, epoch, record, seal FROM revocations WHERE zone_uid = ? ORDER BY epoch, uid',
    ),
    pruneSingleUse: db.prepare(
      `DELETE FROM single_use WHERE (class, zone_uid, key) IN
       (SELECT class, zone_uid, key FROM single_use WHERE expires_at < ? LIMIT ?)`,
    ),
    pruneAuthorityRecords: db.prepare(
      `DELETE FROM authority_records WHERE (zone_uid, sid) IN
       (SELECT zone_uid, sid FROM authority_records WHERE expires_at < ? LIMIT ?)`,
    ),
    authorityRecord: db.prepare(
      'SELECT zone_uid, sid, expires_at, record, seal FROM authority_records WHERE zone_uid = ? AND sid = ?',
    ),
    ...prepareHeads(db),
    ...prepareEpochs(db),
    ...prepareRuntime(db),
    ...prepareDecisionReads(db),
  };
}

/** What a reader of another process asks as well. */
export function prepareDecisionReads(db: DatabaseSync) {
  return {
    decisionByJTI: db.prepare('SELECT record FROM decisions WHERE zone_uid = ? AND jti = ?'),
    decision: db.prepare('SELECT record FROM decisions WHERE zone_uid = ? AND id = ?'),
    anyDecision: db.prepare('SELECT record FROM decisions WHERE id = ?'),
    decisions: db.prepare('SELECT record FROM decisions WHERE zone_uid = ? ORDER BY at DESC, seq DESC LIMIT ?'),
  };
}

export function toRecordText(row: Record<string, unknown> | undefined): string | undefined {
  return row && String(row['record']);
}
