/** Rows that carry authority, changed in the database by someone without the key: refused by name, never dropped or taken. */
import { describe, expect, it } from 'vitest';
import { StoreUnavailable, type Store } from '../../../src/store/store.ts';
import { authorityRecordOf, decisionOf, sessionOf } from '../records.ts';
import { EVERYTHING } from '../support.ts';
import type { Engine, Place } from './engine.ts';

const LATER = 4_000_000_000;
const entry = {
  ...{ namespace: 'shop', name: 'stop', uid: 'stop', target: { type: 'everything' as const } },
  ...{ issuedBefore: undefined, createdAt: 1_800_000_000_000 },
} as const;

/** An epoch with a revocation, a login, and a session that was suspended and one that was not. */
export async function writtenStore(place: Place): Promise<void> {
  const store = await place.open();
  await store.raiseEpoch('zone-uid', 'digest', EVERYTHING, [entry]);
  await store.commit({ decision: decisionOf('login'), authorityRecord: authorityRecordOf('sid', LATER) });
  const states = [sessionOf('a'), sessionOf('b'), sessionOf('a', { status: 'suspended' })];
  for (const [expected, session] of states.entries())
    await store.commit({ decision: decisionOf(`d${expected}`), runtime: { expected, puts: [session] } });
  await store.close();
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

export function describeSeals(engine: Engine): void {
  describe('a store that was changed without its key', () => {
    for (const [name, { statements, read, message }] of Object.entries(CASES)) {
      it(`is refused by name: ${name}`, async () => {
        const place = await engine.place();
        await writtenStore(place);
        await place.tamper(statements);
        const reading = read(await place.open());
        await expect(reading).rejects.toThrow(`${message} is not as it was written: keep the store as evidence`);
        await expect(reading).rejects.toBeInstanceOf(StoreUnavailable);
      });
    }

    it('does not open where an epoch was lowered', async () => {
      const place = await engine.place();
      await writtenStore(place);
      await place.tamper('UPDATE zone_heads SET epoch = 1');
      const opening = place.open().then((store) => store.zoneEpoch('zone-uid'));
      await expect(opening).rejects.toThrow('the head of zone zone-uid is not as it was written');
    });

    it('is refused where a session came back as it once was, with the seal of then', async () => {
      const place = await engine.place();
      const first = await place.open();
      await first.commit({ decision: decisionOf('one'), runtime: { expected: 0, puts: [sessionOf('a')] } });
      await place.exec('CREATE TABLE kept AS SELECT * FROM runtime_objects');
      const ended = sessionOf('a', { status: 'ended' });
      await first.commit({ decision: decisionOf('two'), runtime: { expected: 1, puts: [ended] } });
      await first.close();
      await place.tamper('DELETE FROM runtime_objects; INSERT INTO runtime_objects SELECT * FROM kept');
      const reading = (await place.open()).runtime('zone-uid');
      await expect(reading).rejects.toThrow('the set of runtime objects of zone zone-uid is not as it was written');
    });

    it('goes on where nothing was changed, and refuses a write on a forged head', async () => {
      const place = await engine.place();
      await writtenStore(place);
      const store = await place.open();
      expect(await store.runtime('zone-uid')).toMatchObject({ sequence: 3, objects: { length: 2 } });
      expect(await store.revocations('zone-uid')).toMatchObject([{ uid: 'stop' }]);
      expect(await store.authorityRecord('zone-uid', 'sid')).toEqual(authorityRecordOf('sid', LATER));
      await place.tamper('UPDATE zone_heads SET sequence = 0');
      const writing = store.commit({
        decision: decisionOf('late'),
        runtime: { expected: 0, puts: [sessionOf('late')] },
      });
      await expect(writing).rejects.toThrow('the head of zone zone-uid is not as it was written');
      await place.tamper('UPDATE zone_heads SET sequence = 3');
      expect(await store.decision('zone-uid', 'late')).toBe(undefined);
    });
  });
}
