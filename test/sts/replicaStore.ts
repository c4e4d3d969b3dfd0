/** One PostgreSQL database for the replicas of a test, with the keys that they share. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineStore } from '../../src/store/engineStore.ts';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { openPostgresStore } from '../../src/store/postgres/postgres.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

export interface PostgresFor {
  readonly server: PostgresServer;
  /** Each call opens what a replica of its own has open. */
  openStore(): Promise<EngineStore>;
  close(): Promise<void>;
}

export async function postgresFor(clock: { now(): number } = Date): Promise<PostgresFor> {
  const server = await startPostgres();
  const address = parsePostgresAddress(server.url(await server.createDatabase()));
  const keys = mkdtempSync(join(tmpdir(), 'caracal-keys-'));
  const { password } = server;
  return {
    server,
    openStore: () => openPostgresStore({ address, password, keys, clock, randomBytes }),
    async close() {
      await server.stop('SIGINT');
      rmSync(keys, { recursive: true, force: true });
    },
  };
}
