/** Which database files the store takes, and which it leaves as they are. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { SCHEMA_VERSION } from '../../src/store/migrations.ts';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { decisionOf } from './records.ts';
import { openStore, tempPath } from './support.ts';

function execAt(path: string, statements: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const db = new DatabaseSync(path);
  db.exec(statements);
  db.close();
}

function pragmasOf(path: string): readonly unknown[] {
  const db = new DatabaseSync(path, { readOnly: true });
  const values = ['user_version', 'application_id', 'journal_mode'].map(
    (pragma) => db.prepare(`PRAGMA ${pragma}`).get()?.[pragma],
  );
  db.close();
  return values;
}

describe('the schema', () => {
  it('is made at the first opening and left alone at the next', async () => {
    const path = tempPath();
    const first = await openStore({ path });
    await first.commit({ decision: decisionOf('one') });
    await first.close();
    expect(pragmasOf(path)).toEqual([SCHEMA_VERSION, 0x4352434c, 'wal']);
    const second = await openStore({ path });
    expect(await second.decision('zone-uid', 'one')).toEqual(decisionOf('one'));
  });

  it('is brought up from an empty file', async () => {
    const path = tempPath();
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
    expect((await (await openStore({ path })).commit({ decision: decisionOf('one') })).ok).toBe(true);
  });

  it('of a newer version is refused, by a message that says what to run, and is not touched', async () => {
    const path = tempPath();
    await (await openStore({ path })).close();
    execAt(path, 'PRAGMA user_version = 99; PRAGMA journal_mode = DELETE');
    const before = readFileSync(path);
    const opening = openStore({ path });
    await expect(opening).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(opening).rejects.toThrow(/has schema 99 and this version of Caracal knows 4: run the version/);
    expect(() => openSQLiteReader({ path })).toThrow('has schema 99');
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 99 });
    db.close();
    expect(readFileSync(path).length).toBe(before.length);
  });

  it('of another program is refused', async () => {
    const path = tempPath();
    execAt(path, 'CREATE TABLE theirs (x)');
    await expect(openStore({ path })).rejects.toThrow('is a database of something else: name another file');
    expect(() => openSQLiteReader({ path })).toThrow('is a database of something else');
  });

  it('of a file that is no database is refused, and the file stays', async () => {
    const path = tempPath();
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'a diary, longer than the header of a database'.repeat(50));
    await expect(openStore({ path })).rejects.toBeInstanceOf(StoreUnavailable);
    expect(readFileSync(path, 'utf8')).toContain('a diary');
  });

  it('of a file that was damaged is refused, not made anew', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('one') });
    await store.close();
    const bytes = readFileSync(path);
    bytes.fill(0xaa, 100, 4096);
    writeFileSync(path, bytes);
    await expect(openStore({ path })).rejects.toBeInstanceOf(StoreUnavailable);
  });
});
