/** The store in PostgreSQL, each place a database of its own in the server of this run. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parseNoteVerifier } from '../../src/audit/note.ts';
import { createVerifier, type Report } from '../../src/audit/verify.ts';
import { publicKeyPath } from '../../src/store/auditKey.ts';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { openPostgresStore, type PostgresStoreConfig } from '../../src/store/postgres/postgres.ts';
import type { EngineStore } from '../../src/store/engineStore.ts';
import { toChainLines } from '../../src/store/logReads.ts';
import { sharedPostgres, type PostgresServer } from '../support/postgres.ts';
import type { Place } from './conformance/engine.ts';
import { tempFolder } from './support.ts';

export interface PostgresPlace extends Place {
  readonly server: PostgresServer;
  readonly database: string;
  /** Folder of the keys. */
  readonly keys: string;
  open(config?: Partial<PostgresStoreConfig>): Promise<EngineStore>;
  query(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** In the server of this process and an empty database with keys of its own, unless others are given. */
export async function postgresPlace(
  givenServer?: PostgresServer,
  given?: Pick<PostgresPlace, 'database' | 'keys'>,
): Promise<PostgresPlace> {
  const server = givenServer ?? (await sharedPostgres());
  const { database, keys } = given ?? { database: await server.createDatabase(), keys: tempFolder() };
  const address = parsePostgresAddress(server.url(database));
  const query = (text: string) => server.query(database, text);
  return {
    ...{ server, database, keys, query },
    async open(config = {}) {
      const { password } = server;
      const store = await openPostgresStore({ address, password, keys, clock: Date, randomBytes, ...config });
      onTestFinished(() => store.close());
      return store;
    },
    tamper: async (statements) => void (await query(statements)),
    exec: async (statements) => void (await query(`SET session_replication_role = origin; ${statements}`)),
    count: async (table) => Number((await query(`SELECT count(*) AS n FROM ${table}`))[0]!['n']),
  };
}

/** The log as an auditor sees it, with the keys of the place. */
export async function verifyLog({ keys, query }: Pick<PostgresPlace, 'keys' | 'query'>): Promise<Report> {
  const text = readFileSync(publicKeyPath(join(keys, 'store')), 'utf8');
  const verifier = createVerifier({ keys: text.trim().split('\n').map(parseNoteVerifier), source: 'store' });
  const records = await query('SELECT * FROM decisions ORDER BY zone_uid, writer, position');
  const notes = await query('SELECT * FROM checkpoints ORDER BY number');
  const keyOf = (row: Readonly<Record<string, unknown>>) => JSON.stringify([row['zone_uid'], row['writer']]);
  const notesOf = Map.groupBy(notes, keyOf);
  for (const [key, rows] of Map.groupBy(records, keyOf)) {
    const [zoneUID, writer] = JSON.parse(key) as [string, string];
    for (const line of toChainLines({ zoneUID, writer }, rows, notesOf.get(key) ?? [])) verifier.add(Buffer.from(line));
  }
  return verifier.end(true);
}
