/** The store in PostgreSQL, each place a database of its own in the server of this run. */
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { openPostgresStore, type PostgresStoreConfig } from '../../src/store/postgres/postgres.ts';
import type { EngineStore } from '../../src/store/engineStore.ts';
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

export async function postgresPlace(given?: PostgresServer): Promise<PostgresPlace> {
  const server = given ?? (await sharedPostgres());
  const database = await server.createDatabase();
  const keys = tempFolder();
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
