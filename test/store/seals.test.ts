/** The key of the seals beside the embedded store, and rows of the schema before there were any. */
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { writtenStore } from './conformance/seals.ts';
import { authorityRecordOf } from './records.ts';
import { openStore, placeAt, tamper, tempPath } from './support.ts';

const LATER = 4_000_000_000;

describe('the key of the seals', () => {
  it('is for its owner only, made once, and another than the key of the log', async () => {
    const path = tempPath();
    await writtenStore(placeAt(path));
    const text = readFileSync(`${path}.seal.key`, 'utf8');
    expect((statSync(`${path}.seal.key`).mode & 0o777).toString(8)).toBe('600');
    await (await openStore({ path })).close();
    expect(readFileSync(`${path}.seal.key`, 'utf8')).toBe(text);
    expect(readFileSync(`${path}.audit.key`, 'utf8')).not.toContain(text.trim());
  });

  it('that is gone, damaged or another is refused, and the store is as before when it is back', async () => {
    const path = tempPath();
    await writtenStore(placeAt(path));
    const other = tempPath();
    await (await openStore({ path: other })).close();
    const key = `${path}.seal.key`;
    copyFileSync(key, `${key}.kept`);
    rmSync(key);
    await expect(openStore({ path })).rejects.toThrow(`${key} is gone: restore it`);
    writeFileSync(key, 'short');
    await expect(openStore({ path })).rejects.toThrow(`${key} holds no key of 32 bytes`);
    copyFileSync(`${other}.seal.key`, key);
    await expect(openStore({ path })).rejects.toThrow('is not the key that the store was sealed with');
    copyFileSync(`${key}.kept`, key);
    expect(await (await openStore({ path })).runtime('zone-uid')).toMatchObject({ sequence: 3 });
  });
});

describe('rows of the schema before seals', () => {
  it('are sealed as they are, and epochs go on from where they were', async () => {
    const path = tempPath();
    await writtenStore(placeAt(path));
    const before = await openStore({ path });
    const { epoch } = (await before.zoneEpoch('zone-uid'))!;
    await before.close();
    tamper(
      path,
      `DROP TABLE seal_proof; DROP TABLE zone_heads; DROP TABLE runtime_objects; DROP TABLE runtime_entries;
       ALTER TABLE authority_records DROP COLUMN seal; ALTER TABLE revocations DROP COLUMN seal; PRAGMA user_version = 3`,
    );
    rmSync(`${path}.seal.key`);
    const store = await openStore({ path });
    expect((await store.zoneEpoch('zone-uid'))!.epoch).toBeGreaterThan(epoch);
    expect(await store.authorityRecord('zone-uid', 'sid')).toEqual(authorityRecordOf('sid', LATER));
    expect(await store.revocations('zone-uid')).toMatchObject([{ uid: 'stop' }]);
    expect(await store.runtime('zone-uid')).toEqual({ sequence: 0, objects: [] });
  });
});
