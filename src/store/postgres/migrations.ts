/** Forward-only schema in PostgreSQL: one entry per version, applied once each, in order, under a lock. */
import { Client } from 'pg';
import type { Seal } from '../seal.ts';
import { toClientConfig, type Session, type SessionConfig } from './sessions.ts';

type Migration = (session: Session, makeSeal: () => Seal) => Promise<unknown>;

const MIGRATIONS: readonly Migration[] = [createTables];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** "CRCL": taken by one process at a time while it looks at the schema. */
const LOCK = 0x4352_434c;
const TIMEOUT_MS = 60_000;

/** Throws where the database is of a newer version or cannot keep what it is given; what is there then stays as it is. */
export async function migrate(config: SessionConfig, makeSeal: () => Seal): Promise<void> {
  const client = new Client(toClientConfig(config, TIMEOUT_MS));
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${TIMEOUT_MS}; SELECT pg_advisory_xact_lock(${LOCK})`);
    await checkServer(client);
    const version = await readVersion(client);
    for (const apply of MIGRATIONS.slice(version)) await apply(client, makeSeal);
    if (version < SCHEMA_VERSION)
      await client.query('UPDATE caracal.schema_version SET version = $1', [SCHEMA_VERSION]);
    await client.query('COMMIT');
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkServer(session: Session): Promise<void> {
  const { rows } = await session.query(
    `SELECT current_setting('fsync') AS fsync, pg_is_in_recovery() AS standby, current_setting('server_encoding') AS encoding`,
  );
  const { fsync, standby, encoding } = rows[0] as { fsync: string; standby: boolean; encoding: string };
  if (standby) throw new Error('the database is a standby: name the primary');
  if (fsync !== 'on') throw new Error('the database has fsync off and may lose what it answered: turn it on');
  if (encoding !== 'UTF8') throw new Error(`the database has encoding ${encoding}: create it with UTF8`);
}

async function readVersion(session: Session): Promise<number> {
  const { rows } = await session.query(`SELECT to_regclass('caracal.schema_version') IS NOT NULL AS known`);
  if (!(rows[0] as { known: boolean }).known) return 0;
  const found = await session.query('SELECT version FROM caracal.schema_version');
  const version = Number((found.rows[0] as { version: number } | undefined)?.version ?? 0);
  if (version <= SCHEMA_VERSION) return version;
  throw new Error(
    `the database has schema ${version} and this version of Caracal knows ${SCHEMA_VERSION}: run the version that wrote it, or a newer one`,
  );
}

/** Which database this is, the heads of the zones, and the log. */
const LOG_TABLES = `
  CREATE SCHEMA IF NOT EXISTS caracal;
  CREATE TABLE schema_version (version integer NOT NULL);
  INSERT INTO schema_version VALUES (0);

  CREATE TABLE incarnation (
    one integer PRIMARY KEY CHECK (one = 1),
    id text NOT NULL,
    place text NOT NULL,
    life text NOT NULL
  );
  CREATE TABLE seal_proof (one integer PRIMARY KEY CHECK (one = 1), proof text NOT NULL);

  CREATE TABLE zone_heads (
    zone_uid text PRIMARY KEY,
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    digest text NOT NULL,
    sequence bigint NOT NULL,
    entry_seal text NOT NULL,
    base_sequence bigint NOT NULL,
    base_seal text NOT NULL,
    revocations bigint NOT NULL,
    tally text NOT NULL,
    seal text NOT NULL
  ) WITH (fillfactor = 50);

  CREATE TABLE decisions (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    zone_uid text NOT NULL,
    jti text,
    at bigint NOT NULL,
    outcome text NOT NULL,
    record text NOT NULL,
    writer text NOT NULL,
    position bigint NOT NULL,
    hash text NOT NULL
  );
  CREATE UNIQUE INDEX decisions_by_id ON decisions (id, zone_uid);
  CREATE UNIQUE INDEX decisions_by_jti ON decisions (zone_uid, jti) WHERE jti IS NOT NULL;
  CREATE INDEX decisions_by_time ON decisions (zone_uid, at);
  CREATE UNIQUE INDEX decisions_by_position ON decisions (zone_uid, writer, position);

  CREATE TABLE checkpoints (
    writer text NOT NULL,
    number bigint NOT NULL,
    zone_uid text NOT NULL,
    size bigint NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (writer, number)
  );
  CREATE INDEX checkpoints_by_zone ON checkpoints (zone_uid, writer, number, size);
`;

/** What was spent, who logged in, what was raised and revoked, and the runtime state. */
const STATE_TABLES = `
  CREATE TABLE single_use (
    class text NOT NULL,
    zone_uid text NOT NULL,
    key text NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (class, zone_uid, key)
  );
  CREATE INDEX single_use_by_expiry ON single_use (expires_at);

  CREATE TABLE authority_records (
    zone_uid text NOT NULL,
    sid text NOT NULL,
    expires_at bigint NOT NULL,
    record text NOT NULL,
    seal text NOT NULL,
    PRIMARY KEY (zone_uid, sid)
  );
  CREATE INDEX authority_records_by_expiry ON authority_records (expires_at);

  CREATE TABLE zone_epochs (
    zone_uid text NOT NULL,
    epoch bigint NOT NULL,
    digest text NOT NULL,
    change text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (zone_uid, epoch)
  );

  CREATE TABLE revocations (
    zone_uid text NOT NULL,
    uid text NOT NULL,
    epoch bigint NOT NULL,
    at bigint NOT NULL,
    record text NOT NULL,
    seal text NOT NULL,
    PRIMARY KEY (zone_uid, uid)
  );

  CREATE TABLE runtime_objects (
    zone_uid text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    sequence bigint NOT NULL,
    forget_at bigint,
    record text NOT NULL,
    seal text NOT NULL,
    PRIMARY KEY (zone_uid, kind, id)
  );
  CREATE INDEX runtime_objects_by_end ON runtime_objects (forget_at) WHERE forget_at IS NOT NULL;

  CREATE TABLE runtime_entries (
    zone_uid text NOT NULL,
    sequence bigint NOT NULL,
    epoch bigint,
    at bigint NOT NULL,
    entry text NOT NULL,
    seal text NOT NULL,
    PRIMARY KEY (zone_uid, sequence)
  );
`;

const APPEND_ONLY = `
  CREATE FUNCTION is_append_only() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% are append only', TG_TABLE_NAME; END $$;
  CREATE TRIGGER is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions EXECUTE FUNCTION is_append_only();
  CREATE TRIGGER is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints EXECUTE FUNCTION is_append_only();
  CREATE TRIGGER is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON revocations EXECUTE FUNCTION is_append_only();
  CREATE TRIGGER is_not_changed BEFORE UPDATE OR TRUNCATE ON runtime_entries EXECUTE FUNCTION is_append_only();
`;

async function createTables(session: Session, makeSeal: () => Seal): Promise<void> {
  await session.query(LOG_TABLES + STATE_TABLES + APPEND_ONLY);
  await session.query('INSERT INTO seal_proof (one, proof) VALUES (1, $1)', [makeSeal().proof]);
}
