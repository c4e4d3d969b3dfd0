/** Forward-only schema of the embedded store: one entry per version, applied once each, in order. */
import type { DatabaseSync } from 'node:sqlite';

/** "CRCL": tells our files from any other SQLite database. */
const APPLICATION_ID = 0x4352_434c;

const MIGRATIONS: readonly string[] = [
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
  `
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
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Throws where the file is another's or of a newer version; what is there then stays as it is. */
export function migrate(db: DatabaseSync, path: string): void {
  db.exec('BEGIN EXCLUSIVE');
  try {
    const version = readSchemaVersion(db, path);
    for (const statements of MIGRATIONS.slice(version)) db.exec(statements);
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
