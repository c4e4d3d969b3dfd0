/** Stores in temporary folders, closed and removed when their test ends. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { onTestFinished } from 'vitest';
import type { Place } from './conformance/engine.ts';
import { openSQLiteStore, type SQLiteStore, type SQLiteStoreConfig } from '../../src/store/sqlite.ts';

export const EVERYTHING = { all: true, applications: [], resources: [] } as const;

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const tempPath = (): string => join(tempFolder(), 'data', 'store.db');

/** Closed when the test ends, if it is not before. */
export async function openStore(config: Partial<SQLiteStoreConfig> = {}): Promise<SQLiteStore> {
  const store = await openSQLiteStore({ path: config.path ?? tempPath(), clock: Date, randomBytes, ...config });
  onTestFinished(() => store.close());
  return store;
}

/** As who may write the file and is stopped by nothing else. */
export function tamper(path: string, statements: string): void {
  const db = new DatabaseSync(path);
  const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${String(name)}`);
  db.exec(statements);
  db.close();
}

/** The embedded store at a path. */
export function placeAt(path: string): Place {
  const exec = (statements: string): void => {
    const db = new DatabaseSync(path);
    try {
      db.exec(statements);
    } finally {
      db.close();
    }
  };
  return {
    open: (config) => openStore({ path, ...config }),
    tamper: async (statements) => tamper(path, statements),
    exec: async (statements) => exec(statements),
    async count(table) {
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        return Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
      } finally {
        db.close();
      }
    },
  };
}
