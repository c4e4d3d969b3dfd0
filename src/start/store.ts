/** The store of the STS: embedded in its data folder, or in PostgreSQL. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, type Runtime } from '../cli/runtime.ts';
import type { DatabaseStart, STSStart } from '../cli/starters.ts';
import { STORE_FILE } from '../cli/storeFile.ts';
import { openSQLiteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';

/** Rejects with StoreUnavailable. */
export async function openStore({ data, database }: STSStart, runtime: Runtime): Promise<Store> {
  const { clock, randomBytes } = runtime;
  if (!database) return openSQLiteStore({ path: join(data, STORE_FILE), clock, randomBytes });
  // The client of the database is loaded by those who have one.
  const { openPostgresStore } = await import('../store/postgres/postgres.ts');
  const { address, keys } = database;
  return openPostgresStore({ address, keys, password: await readPassword(database, runtime), clock, randomBytes });
}

async function readPassword({ passwordFile }: DatabaseStart, { env }: Runtime): Promise<string | undefined> {
  if (passwordFile === undefined) return env['PGPASSWORD'];
  try {
    return (await readFile(passwordFile, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new CommandError(`--store-password-file ${passwordFile} cannot be read`, 1, { cause: error });
  }
}
