/** Forward-only schema of the embedded store: one entry per version, applied once each, in order. */
import type { DatabaseSync } from 'node:sqlite';
import { extend, ROOT, type Head } from '../audit/entry.ts';
import { sealRows } from './sealing.ts';
import type { Seal } from './seal.ts';

/** "CRCL": tells our files from any other SQLite database. */
const APPLICATION_ID = 0x4352_434c;

/** `makeSeal`: asked for once the file proved to be ours. */
type Migration = (db: DatabaseSync, makeSeal: () => Seal) => void;

const MIGRATIONS: readonly Migration[] = [createTables, chainDecisions, createRevocations, createRuntime];

function createTables(db: DatabaseSync): void {
  db.exec(
    `
  CREATE TABLE incarnation (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL,
    inode TEXT NOT NULL
  ) STRICT;

  CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    zone_uid TEXT NOT NULL,
    jti TEXT,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    record TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX decisions_by_id ON decisions (id, zone_uid);
  CREATE UNIQUE INDEX decisions_by_jti ON decisions (zone_uid, jti) WHERE jti IS NOT NULL;
  CREATE INDEX decisions_by_time ON decisions (zone_uid, at);
  CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are append only'); END;
  CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are append only'); END;

  CREATE TABLE single_use (
    class TEXT NOT NULL,
    zone_uid TEXT NOT NULL,
    key TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (class, zone_uid, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX single_use_by_expiry ON single_use (expires_at);

  CREATE TABLE authority_records (
    zone_uid TEXT NOT NULL,
    sid TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (zone_uid, sid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX authority_records_by_expiry ON authority_records (expires_at);

  CREATE TABLE zone_epochs (
    zone_uid TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    digest TEXT NOT NULL,
    change TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (zone_uid, epoch)
  ) STRICT, WITHOUT ROWID;
  `,
  );
}

/** Decisions of before are chained as they are: what was changed until now cannot be told. */
function chainDecisions(db: DatabaseSync): void {
  db.exec(`
    ALTER TABLE decisions ADD COLUMN writer TEXT NOT NULL DEFAULT '';
    ALTER TABLE decisions ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE decisions ADD COLUMN hash TEXT NOT NULL DEFAULT '';
    DROP TRIGGER IF EXISTS decisions_are_not_changed;
  `);
  chainRows(db);
  db.exec(`
    CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
      BEGIN SELECT RAISE(ABORT, 'decisions are append only'); END;
    CREATE UNIQUE INDEX decisions_by_position ON decisions (zone_uid, writer, position);

    CREATE TABLE checkpoints (
      writer TEXT NOT NULL,
      number INTEGER NOT NULL,
      zone_uid TEXT NOT NULL,
      size INTEGER NOT NULL,
      note TEXT NOT NULL,
      PRIMARY KEY (writer, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX checkpoints_by_zone ON checkpoints (zone_uid, writer, number, size);
    CREATE TRIGGER checkpoints_are_not_changed BEFORE UPDATE ON checkpoints
      BEGIN SELECT RAISE(ABORT, 'checkpoints are append only'); END;
    CREATE TRIGGER checkpoints_are_not_deleted BEFORE DELETE ON checkpoints
      BEGIN SELECT RAISE(ABORT, 'checkpoints are append only'); END;
  `);
}

function chainRows(db: DatabaseSync): void {
  const writer = String(db.prepare('SELECT id FROM incarnation').get()?.['id'] ?? '');
  const update = db.prepare('UPDATE decisions SET writer = ?, position = ?, hash = ? WHERE seq = ?');
  const next = db.prepare('SELECT seq, zone_uid, record FROM decisions WHERE seq > ? ORDER BY seq LIMIT 1');
  const heads = new Map<string, Head>();
  for (let row = next.get(-1); row; row = next.get(row['seq']!)) {
    const zoneUID = String(row['zone_uid']);
    const head = extend({ zoneUID, writer }, heads.get(zoneUID) ?? ROOT, String(row['record']));
    update.run(writer, head.size, head.hash, row['seq']!);
    heads.set(zoneUID, head);
  }
}

/** What was revoked, for good. */
function createRevocations(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE revocations (
      zone_uid TEXT NOT NULL,
      uid TEXT NOT NULL,
      epoch INTEGER NOT NULL,
      at INTEGER NOT NULL,
      record TEXT NOT NULL,
      PRIMARY KEY (zone_uid, uid)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER revocations_are_not_changed BEFORE UPDATE ON revocations
      BEGIN SELECT RAISE(ABORT, 'revocations are append only'); END;
    CREATE TRIGGER revocations_are_not_deleted BEFORE DELETE ON revocations
      BEGIN SELECT RAISE(ABORT, 'revocations are append only'); END;
  `);
}

/** Runtime state, and seals on it and on what carries authority already. */
function createRuntime(db: DatabaseSync, makeSeal: () => Seal): void {
  db.exec(`
    CREATE TABLE seal_proof (only INTEGER PRIMARY KEY CHECK (only = 1), proof TEXT NOT NULL) STRICT;

    CREATE TABLE zone_heads (
      zone_uid TEXT PRIMARY KEY,
      version INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      digest TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      entry_seal TEXT NOT NULL,
      base_sequence INTEGER NOT NULL,
      base_seal TEXT NOT NULL,
      revocations INTEGER NOT NULL,
      tally TEXT NOT NULL,
      seal TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE runtime_objects (
      zone_uid TEXT NOT NULL,
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      forget_at INTEGER,
      record TEXT NOT NULL,
      seal TEXT NOT NULL,
      PRIMARY KEY (zone_uid, kind, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX runtime_objects_by_end ON runtime_objects (forget_at) WHERE forget_at IS NOT NULL;

    CREATE TABLE runtime_entries (
      zone_uid TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      epoch INTEGER,
      at INTEGER NOT NULL,
      entry TEXT NOT NULL,
      seal TEXT NOT NULL,
      PRIMARY KEY (zone_uid, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER runtime_entries_are_not_changed BEFORE UPDATE ON runtime_entries
      BEGIN SELECT RAISE(ABORT, 'runtime entries are append only'); END;

    ALTER TABLE authority_records ADD COLUMN seal TEXT NOT NULL DEFAULT '';
    ALTER TABLE revocations ADD COLUMN seal TEXT NOT NULL DEFAULT '';
    DROP TRIGGER IF EXISTS revocations_are_not_changed;
  `);
  sealRows(db, makeSeal());
  db.exec(`
    CREATE TRIGGER revocations_are_not_changed BEFORE UPDATE ON revocations
      BEGIN SELECT RAISE(ABORT, 'revocations are append only'); END;
  `);
}

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Throws where the file is another's or of a newer version; what is there then stays as it is. */
export function migrate(db: DatabaseSync, path: string, makeSeal: () => Seal): void {
  db.exec('BEGIN EXCLUSIVE');
  try {
    const version = readSchemaVersion(db, path);
    for (const apply of MIGRATIONS.slice(version)) apply(db, makeSeal);
    if (version < SCHEMA_VERSION) {
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** The version of an existing store, 0 of an empty file. Throws where it is none that this version can use. */
export function readSchemaVersion(db: DatabaseSync, path: string): number {
  const version = readNumber(db, 'user_version');
  const application = readNumber(db, 'application_id');
  const isEmpty = db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (application !== APPLICATION_ID && !(isEmpty && application === 0 && version === 0)) {
    throw new Error(`${path} is a database of something else: name another file`);
  }
  if (version > SCHEMA_VERSION) {
    throw new Error(
      `${path} has schema ${version} and this version of Caracal knows ${SCHEMA_VERSION}: run the version that wrote it, or a newer one`,
    );
  }
  return version;
}

function readNumber(db: DatabaseSync, pragma: 'user_version' | 'application_id'): number {
  return Number(db.prepare(`PRAGMA ${pragma}`).get()?.[pragma] ?? 0);
}
