/** The schema, as ordered, forward-only steps: one is never changed after it was released. */
import type { DatabaseSync } from 'node:sqlite';

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE store (incarnation TEXT NOT NULL) STRICT;
   CREATE TABLE decisions (
     zone_uid TEXT NOT NULL, id TEXT NOT NULL, jti TEXT, at INTEGER NOT NULL, json TEXT NOT NULL,
     PRIMARY KEY (zone_uid, id)
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX decisions_by_jti ON decisions (zone_uid, jti) WHERE jti IS NOT NULL;
   CREATE INDEX decisions_by_id ON decisions (id);
   CREATE TABLE single_use (
     class TEXT NOT NULL, zone_uid TEXT NOT NULL, key TEXT NOT NULL, expires_at INTEGER NOT NULL,
     PRIMARY KEY (class, zone_uid, key)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX single_use_by_expiry ON single_use (expires_at);
   CREATE TABLE authority_records (
     zone_uid TEXT NOT NULL, sid TEXT NOT NULL, expires_at INTEGER NOT NULL, json TEXT NOT NULL,
     PRIMARY KEY (zone_uid, sid)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX authority_records_by_expiry ON authority_records (expires_at);
   CREATE TABLE zone_epochs (
     zone_uid TEXT PRIMARY KEY, epoch INTEGER NOT NULL, digest TEXT NOT NULL, change TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];

/** Applies what is missing, in one transaction. Throws where the database is of a later version. */
export function migrate(database: DatabaseSync, path: string, incarnation: string): void {
  database.exec('BEGIN EXCLUSIVE');
  try {
    const version = (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
    if (version > MIGRATIONS.length) {
      throw new Error(
        `${path} has schema ${version}, this version knows ${MIGRATIONS.length}: run the version that wrote it, or a later one`,
      );
    }
    for (const sql of MIGRATIONS.slice(version)) database.exec(sql);
    if (version === 0) database.prepare('INSERT INTO store (incarnation) VALUES (?)').run(incarnation);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
