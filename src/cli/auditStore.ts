/** The store of a data folder, opened for the audit commands while another process may write it. */
import { join, resolve } from 'node:path';
import { openSQLiteReader, type SQLiteReader } from '../store/reader.ts';
import { CommandError } from './runtime.ts';
import type { Runtime } from './runtime.ts';
import { STORE_FILE } from './storeFile.ts';

export function storePath(data: string, { cwd }: Pick<Runtime, 'cwd'>): string {
  return join(resolve(cwd, data), STORE_FILE);
}

/** Closed when `use` returns. */
export function withReader<T>(data: string, runtime: Runtime, use: (reader: SQLiteReader) => T): T {
  const reader = openReader(data, runtime);
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

/** The same for what takes its time. */
export async function withOpenReader<T>(
  data: string,
  runtime: Runtime,
  use: (reader: SQLiteReader) => Promise<T>,
): Promise<T> {
  const reader = openReader(data, runtime);
  try {
    return await use(reader);
  } finally {
    reader.close();
  }
}

function openReader(data: string, runtime: Runtime): SQLiteReader {
  try {
    return openSQLiteReader({ path: storePath(data, runtime) });
  } catch (error) {
    throw new CommandError(`--data ${data} has no log to read: ${messageOf(error)}`, 1, { cause: error });
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
