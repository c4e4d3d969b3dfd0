/** The SQLite database of the store: opened by one process, each request as one function over prepared statements. */
import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { AuthorityRecordRow, CommitRequest, RaiseEpochRequest, ReadRequest } from './messages.ts';
import { migrate } from './migrations.ts';
import type { CommitResult, SingleUse, ZoneEpoch } from './store.ts';

export interface OpenDatabase {
  readonly incarnation: string;
  /** Runs `work` as one durable transaction; where it throws, nothing of it happened. */
  transaction<T>(work: () => T): T;
  /** Inside a transaction. */
  commit(request: CommitRequest): CommitResult;
  /** Inside a transaction; `now` in Unix milliseconds. */
  raiseEpoch(request: RaiseEpochRequest, now: number): ZoneEpoch;
  read(request: ReadRequest): unknown;
  /** Inside a transaction: forgets what has expired, so many rows at most. */
  prune(now: number): void;
  close(): void;
}

const PRUNED_ROWS = 2000;

/** Throws where another process has the database open, or it cannot be read. */
export function openDatabase(path: string, incarnation: string): OpenDatabase {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const owner = takeOwnership(path);
  const database = new DatabaseSync(path, { timeout: 2000 });
  try {
    chmodSync(path, 0o600);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    migrate(database, path, incarnation);
    return createRequests(database, owner);
  } catch (error) {
    database.close();
    owner.close();
    throw error;
  }
}

/** A lock that ends with the process, however it ends: an exclusive transaction on a file beside the database. */
function takeOwnership(path: string): DatabaseSync {
  const owner = new DatabaseSync(`${path}.owner`, { timeout: 0 });
  try {
    chmodSync(`${path}.owner`, 0o600);
    owner.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    return owner;
  } catch (error) {
    owner.close();
    throw new Error(`${path} is in use by another process: stop it, or use another folder`, { cause: error });
  }
}

function createRequests(database: DatabaseSync, owner: DatabaseSync): OpenDatabase {
  const { incarnation } = database.prepare('SELECT incarnation FROM store').get() as { incarnation: string };
  const epochs = createEpochs(database);
  return {
    incarnation,
    transaction(work) {
      database.exec('BEGIN IMMEDIATE');
      try {
        const value = work();
        database.exec('COMMIT');
        return value;
      } catch (error) {
        epochs.forget();
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    },
    commit: createCommit(database, epochs.of),
    raiseEpoch: epochs.raise,
    read: createReads(database, epochs.of),
    prune: createPrune(database),
    close() {
      database.close();
      owner.close();
    },
  };
}

function createCommit(database: DatabaseSync, epochOf: (zoneUID: string) => ZoneEpoch | undefined) {
  const insertDecision = database.prepare('INSERT INTO decisions (zone_uid, id, jti, at, json) VALUES (?, ?, ?, ?, ?)');
  const consume = database.prepare(
    'INSERT INTO single_use (class, zone_uid, key, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const keep = database.prepare(
    `INSERT INTO authority_records (zone_uid, sid, expires_at, json) VALUES (?, ?, ?, ?)
     ON CONFLICT (zone_uid, sid) DO UPDATE SET expires_at = excluded.expires_at, json = excluded.json
     WHERE excluded.expires_at > authority_records.expires_at`,
  );
  const spend = (uses: readonly SingleUse[]): SingleUse | undefined =>
    uses.find((use) => Number(consume.run(use.class, use.zoneUID, use.key, use.expiresAt).changes) === 0);
  const keepRecord = ({ zoneUID, sid, expiresAt, json }: AuthorityRecordRow) => keep.run(zoneUID, sid, expiresAt, json);
  return ({ decision, consume: uses, authorityRecord }: CommitRequest): CommitResult => {
    if (uses.length > 0) {
      database.exec('SAVEPOINT spending');
      const replayed = spend(uses);
      database.exec(replayed ? 'ROLLBACK TO spending; RELEASE spending' : 'RELEASE spending');
      if (replayed) return { ok: false, replayed };
    }
    insertDecision.run(decision.zoneUID, decision.id, decision.jti, decision.at, decision.json);
    if (authorityRecord) keepRecord(authorityRecord);
    return { ok: true, zoneEpoch: epochOf(decision.zoneUID)?.epoch ?? 0 };
  };
}

/** Epochs of this process are the only ones: read once, then kept. */
function createEpochs(database: DatabaseSync) {
  const select = database.prepare('SELECT epoch, digest FROM zone_epochs WHERE zone_uid = ?');
  const upsert = database.prepare(
    `INSERT INTO zone_epochs (zone_uid, epoch, digest, change) VALUES (?, ?, ?, ?)
     ON CONFLICT (zone_uid) DO UPDATE SET epoch = excluded.epoch, digest = excluded.digest, change = excluded.change`,
  );
  const known = new Map<string, ZoneEpoch>();
  const of = (zoneUID: string): ZoneEpoch | undefined => {
    const found = known.get(zoneUID);
    if (found) return found;
    const row = select.get(zoneUID) as { epoch: number; digest: string } | undefined;
    if (!row) return undefined;
    const read = { zoneUID, ...row };
    known.set(zoneUID, read);
    return read;
  };
  return {
    of,
    forget: () => known.clear(),
    /** A zone's first epoch is the time in seconds, so that mandates of an earlier store are below every epoch of this one. */
    raise({ zoneUID, digest, change }: RaiseEpochRequest, now: number): ZoneEpoch {
      const present = of(zoneUID);
      if (present?.digest === digest) return present;
      const epoch = present ? present.epoch + 1 : Math.floor(now / 1000);
      upsert.run(zoneUID, epoch, digest, change);
      const raised = { zoneUID, epoch, digest };
      known.set(zoneUID, raised);
      return raised;
    },
  };
}

function createReads(database: DatabaseSync, epochOf: (zoneUID: string) => ZoneEpoch | undefined) {
  const record = database.prepare('SELECT json FROM authority_records WHERE zone_uid = ? AND sid = ?');
  const byJTI = database.prepare('SELECT json FROM decisions WHERE zone_uid = ? AND jti = ?');
  const byID = database.prepare('SELECT json FROM decisions WHERE zone_uid = ? AND id = ?');
  const newest = database.prepare('SELECT json FROM decisions WHERE zone_uid = ? ORDER BY id DESC LIMIT ?');
  const probe = database.prepare('SELECT count(*) FROM store');
  return (request: ReadRequest): unknown => {
    switch (request.type) {
      case 'zoneEpoch':
        probe.get();
        return epochOf(request.zoneUID);
      case 'authorityRecord':
        return jsonOf(record.get(request.zoneUID, request.sid));
      case 'decisionByJTI':
        return jsonOf(byJTI.get(request.zoneUID, request.jti));
      case 'decision':
        return jsonOf(byID.get(request.zoneUID, request.id));
      case 'decisions':
        return newest.all(request.zoneUID, request.limit).map(jsonOf);
    }
  };
}

function jsonOf(row: Record<string, unknown> | undefined): string | undefined {
  return row?.['json'] as string | undefined;
}

function createPrune(database: DatabaseSync) {
  const expired = (table: string) =>
    database.prepare(
      `DELETE FROM ${table} WHERE expires_at IN (SELECT expires_at FROM ${table} WHERE expires_at < ? ORDER BY expires_at LIMIT ${PRUNED_ROWS})`,
    );
  const statements = [expired('single_use'), expired('authority_records')];
  return (now: number): void => {
    for (const statement of statements) statement.run(Math.floor(now / 1000) - 60);
  };
}
