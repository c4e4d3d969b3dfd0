/** Rows that carry authority, changed in the file by someone without the key: refused by name, never dropped or taken. */
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { authorityRecordOf, decisionOf, sessionOf } from './records.ts';
import { EVERYTHING, openStore, tamper, tempPath } from './support.ts';

const LATER = 4_000_000_000;
const entry = {
  ...{ namespace: 'shop', name: 'stop', uid: 'stop', target: { type: 'everything' as const } },
  ...{ issuedBefore: undefined, createdAt: 1_800_000_000_000 },
} as const;

/** An epoch with a revocation, a login, and a session that was suspended and one that was not. */
async function writtenStore(): Promise<string> {
  const path = tempPath();
  const store = await openStore({ path });
  await store.raiseEpoch('zone-uid', 'digest', EVERYTHING, [entry]);
  await store.commit({ decision: decisionOf('login'), authorityRecord: authorityRecordOf('sid', LATER) });
  const states = [sessionOf('a'), sessionOf('b'), sessionOf('a', { status: 'suspended' })];
  for (const [expected, session] of states.entries())
    await store.commit({ decision: decisionOf(`d${expected}`), runtime: { expected, puts: [session] } });
  await store.close();
  return path;
}

const readState = (store: Store) => store.runtime('zone-uid');
const readEntries = (store: Store) => store.runtimeEntries('zone-uid', 0, 10);
const readRevocations = (store: Store) => store.revocations('zone-uid');
const readLogin = (store: Store) => store.authorityRecord('zone-uid', 'sid');

const CASES: Readonly<
  Record<string, { statements: string; read: (store: Store) => Promise<unknown>; message: string }>
> = {
  'a session that is made active again': {
    statements: `UPDATE runtime_objects SET record = replace(record, 'suspended', 'active') WHERE id = 'a'`,
    read: readState,
    message: 'the runtime object agentSession a of zone zone-uid',
  },
  'a session that is put into another zone': {
    statements: `UPDATE runtime_objects SET zone_uid = 'other-uid' WHERE id = 'b'`,
    read: (store) => store.runtime('other-uid'),
    message: 'the runtime object agentSession b of zone other-uid',
  },
  'a session that is made up': {
    statements: `INSERT INTO runtime_objects SELECT zone_uid, kind, 'c', sequence, forget_at, record, seal FROM runtime_objects WHERE id = 'b'`,
    read: readState,
    message: 'the runtime object agentSession c of zone zone-uid',
  },
  'a session that is gone': {
    statements: `DELETE FROM runtime_objects WHERE id = 'b'`,
    read: readState,
    message: 'the set of runtime objects of zone zone-uid',
  },
  'an object that is to be forgotten early': {
    statements: `UPDATE runtime_objects SET forget_at = 1 WHERE id = 'b'`,
    read: readState,
    message: 'the runtime object agentSession b of zone zone-uid',
  },
  'an entry that says something else': {
    statements: `UPDATE runtime_entries SET entry = replace(entry, 'suspended', 'active') WHERE sequence = 3`,
    read: readEntries,
    message: 'the runtime entry 3 of zone zone-uid',
  },
  'an entry that is missing': {
    statements: `DELETE FROM runtime_entries WHERE sequence = 2`,
    read: readEntries,
    message: 'the runtime entry 2 of zone zone-uid',
  },
  'the last entry that is missing': {
    statements: `DELETE FROM runtime_entries WHERE sequence = 3`,
    read: readEntries,
    message: 'the runtime entry 3 of zone zone-uid',
  },
  'an entry more': {
    statements: `INSERT INTO runtime_entries SELECT zone_uid, 4, epoch, at, entry, seal FROM runtime_entries WHERE sequence = 1`,
    read: readEntries,
    message: 'the runtime entry 4 of zone zone-uid',
  },
  'two entries that changed places': {
    statements: `UPDATE runtime_entries SET sequence = 9 WHERE sequence = 1; UPDATE runtime_entries SET sequence = 1 WHERE sequence = 2;
                 UPDATE runtime_entries SET sequence = 2 WHERE sequence = 9`,
    read: readEntries,
    message: 'the runtime entry 1 of zone zone-uid',
  },
  'an entry said to have raised an epoch': {
    statements: `UPDATE runtime_entries SET epoch = 7 WHERE sequence = 1`,
    read: readEntries,
    message: 'the runtime entry 1 of zone zone-uid',
  },
  'a login that is made longer': {
    statements: `UPDATE authority_records SET expires_at = ${LATER + 1}`,
    read: readLogin,
    message: 'the authority record sid of zone zone-uid',
  },
  'a login of someone else': {
    statements: `UPDATE authority_records SET record = replace(record, 'team.agent', 'team.admin')`,
    read: readLogin,
    message: 'the authority record sid of zone zone-uid',
  },
  'a revocation of less': {
    statements: `UPDATE revocations SET record = replace(record, 'everything', 'nothing')`,
    read: readRevocations,
    message: 'the revocation stop of zone zone-uid',
  },
  'a revocation that is gone': {
    statements: `DELETE FROM revocations`,
    read: readRevocations,
    message: 'the set of revocations of zone zone-uid',
  },
};

describe('a store that was changed without its key', () => {
  for (const [name, { statements, read, message }] of Object.entries(CASES)) {
    it(`is refused by name: ${name}`, async () => {
      const path = await writtenStore();
      tamper(path, statements);
      const reading = read(await openStore({ path }));
      await expect(reading).rejects.toThrow(`${message} is not as it was written: keep the store as evidence`);
      await expect(reading).rejects.toBeInstanceOf(StoreUnavailable);
    });
  }

  it('does not open where an epoch was lowered', async () => {
    const path = await writtenStore();
    tamper(path, 'UPDATE zone_heads SET epoch = 1');
    await expect(openStore({ path })).rejects.toThrow('the head of zone zone-uid is not as it was written');
  });

  it('is refused where a session came back as it once was, with the seal of then', async () => {
    const path = tempPath();
    const first = await openStore({ path });
    await first.commit({ decision: decisionOf('one'), runtime: { expected: 0, puts: [sessionOf('a')] } });
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE kept AS SELECT * FROM runtime_objects');
    db.close();
    const ended = sessionOf('a', { status: 'ended' });
    await first.commit({ decision: decisionOf('two'), runtime: { expected: 1, puts: [ended] } });
    await first.close();
    tamper(path, 'DELETE FROM runtime_objects; INSERT INTO runtime_objects SELECT * FROM kept');
    const reading = (await openStore({ path })).runtime('zone-uid');
    await expect(reading).rejects.toThrow('the set of runtime objects of zone zone-uid is not as it was written');
  });

  it('goes on where nothing was changed, and refuses a write on a forged head', async () => {
    const path = await writtenStore();
    const store = await openStore({ path });
    expect(await store.runtime('zone-uid')).toMatchObject({ sequence: 3, objects: { length: 2 } });
    expect(await store.revocations('zone-uid')).toMatchObject([{ uid: 'stop' }]);
    expect(await store.authorityRecord('zone-uid', 'sid')).toEqual(authorityRecordOf('sid', LATER));
    tamper(path, 'UPDATE zone_heads SET sequence = 0');
    const writing = store.commit({ decision: decisionOf('late'), runtime: { expected: 0, puts: [sessionOf('late')] } });
    await expect(writing).rejects.toThrow('the head of zone zone-uid is not as it was written');
    tamper(path, 'UPDATE zone_heads SET sequence = 3');
    expect(await store.decision('zone-uid', 'late')).toBe(undefined);
  });
});

describe('the key of the seals', () => {
  it('is for its owner only, made once, and another than the key of the log', async () => {
    const path = await writtenStore();
    const text = readFileSync(`${path}.seal.key`, 'utf8');
    expect((statSync(`${path}.seal.key`).mode & 0o777).toString(8)).toBe('600');
    await (await openStore({ path })).close();
    expect(readFileSync(`${path}.seal.key`, 'utf8')).toBe(text);
    expect(readFileSync(`${path}.audit.key`, 'utf8')).not.toContain(text.trim());
  });

  it('that is gone, damaged or another is refused, and the store is as before when it is back', async () => {
    const path = await writtenStore();
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
    const path = await writtenStore();
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
