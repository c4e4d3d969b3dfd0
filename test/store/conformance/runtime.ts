/** Runtime state through the port: one write after the other, whole or not at all, and forgotten only when it is over. */
import { describe, expect, it, vi } from 'vitest';
import type { RuntimeObject } from '../../../src/authority/runtime.ts';
import { RuntimeEntriesGone, type Commit, type Store } from '../../../src/store/store.ts';
import { answerOf, authorityRecordOf, challengeOf, decisionOf, edgeOf, sessionOf, singleUseOf } from '../records.ts';
import { EVERYTHING } from '../support.ts';
import { NOW, type Engine, type PlaceConfig } from './engine.ts';

const SECONDS = NOW / 1000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ENDED = { all: false, applications: [], resources: [], sessions: ['a'] } as const;

let lastID = 0;

function write(store: Store, expected: number, puts: readonly RuntimeObject[], more: Partial<Commit> = {}) {
  lastID += 1;
  return store.commit({ decision: decisionOf(`w${lastID}`), runtime: { expected, puts }, ...more });
}

const idsOf = async (store: Store) => (await store.runtime('zone-uid')).objects.map(({ id }) => id).toSorted();

export function describeRuntime(engine: Engine): void {
  const open = async (config: PlaceConfig = {}) => (await engine.place()).open(config);
  describe('runtime state', () => {
    it('is empty at sequence 0 before anything is written', async () => {
      const store = await open();
      expect(await store.runtime('zone-uid')).toEqual({ sequence: 0, objects: [] });
      expect(await store.runtimeEntries('zone-uid', 0, 10)).toEqual([]);
    });

    it('is written at the sequence that was expected, and read back whole and entry by entry, also after a restart', async () => {
      const place = await engine.place();
      const first = await place.open();
      const puts = [sessionOf('a'), edgeOf('e'), challengeOf('c'), answerOf('i', 4_000_000_000)];
      expect(await write(first, 0, puts)).toEqual({ ok: true, zoneEpoch: 0, entry: { sequence: 1, puts } });
      const suspended = sessionOf('a', { status: 'suspended' });
      expect(await write(first, 1, [suspended])).toMatchObject({ ok: true, entry: { sequence: 2, puts: [suspended] } });
      await first.close();
      const store = await place.open();
      const { sequence, objects } = await store.runtime('zone-uid');
      expect(sequence).toBe(2);
      expect(new Set(objects)).toEqual(new Set([suspended, ...puts.slice(1)]));
      const entries = [
        { sequence: 1, puts },
        { sequence: 2, puts: [suspended] },
      ];
      expect(await store.runtimeEntries('zone-uid', 0, 10)).toEqual(entries);
      expect(await store.runtimeEntries('zone-uid', 0, 1)).toEqual(entries.slice(0, 1));
      expect(await store.runtimeEntries('zone-uid', 1, 10)).toEqual(entries.slice(1));
      expect(await store.runtimeEntries('zone-uid', 2, 10)).toEqual([]);
    });

    it('is each zone’s own', async () => {
      const store = await open();
      await write(store, 0, [sessionOf('a')]);
      const other = { decision: decisionOf('other', { zoneUID: 'other-uid' }) };
      expect(await write(store, 0, [sessionOf('b')], other)).toMatchObject({ entry: { sequence: 1 } });
      expect(await idsOf(store)).toEqual(['a']);
    });

    it('under another sequence than expected is a conflict, and nothing of the commit happens', async () => {
      const store = await open();
      await write(store, 0, [sessionOf('a')]);
      for (const expected of [0, 2]) {
        const authorityRecord = authorityRecordOf('late', 4_000_000_000);
        const more = { decision: decisionOf('late'), consume: [singleUseOf('late')], authorityRecord };
        expect(await write(store, expected, [sessionOf('late')], more)).toEqual({ ok: false, conflict: true });
      }
      expect(await store.decision('zone-uid', 'late')).toBe(undefined);
      expect(await store.authorityRecord('zone-uid', 'late')).toBe(undefined);
      expect(await idsOf(store)).toEqual(['a']);
      expect((await store.commit({ decision: decisionOf('late'), consume: [singleUseOf('late')] })).ok).toBe(true);
    });

    it('of a replayed commit is not written', async () => {
      const store = await open();
      const consume = [singleUseOf('spent', { class: 'mandate' })];
      await write(store, 0, [sessionOf('a')], { consume });
      expect(await write(store, 1, [sessionOf('b')], { consume })).toEqual({ ok: false, replayed: consume[0] });
      expect(await idsOf(store)).toEqual(['a']);
      expect(await write(store, 1, [sessionOf('b')])).toMatchObject({ ok: true, entry: { sequence: 2 } });
    });

    it('of a refused commit is not written', async () => {
      const store = await open();
      await write(store, 0, [sessionOf('a')], { decision: decisionOf('same') });
      await expect(write(store, 1, [sessionOf('b')], { decision: decisionOf('same') })).rejects.toThrow('refused');
      expect(await store.runtime('zone-uid')).toMatchObject({ sequence: 1, objects: [{ id: 'a' }] });
    });

    it('in one group is written one commit after the other, each seeing the one before', async () => {
      const store = await open();
      const results = await Promise.all(
        Array.from({ length: 100 }, (_, index) => write(store, Math.floor(index / 2), [sessionOf(`s${index}`)])),
      );
      expect(results.map(({ ok }) => ok)).toEqual(results.map((_, index) => index % 2 === 0));
      const entries = await store.runtimeEntries('zone-uid', 0, 1000);
      expect(entries.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
      expect(store.written().transactions).toBeLessThan(10);
    });

    it('that one write puts twice is the last of the two', async () => {
      const store = await open();
      await write(store, 0, [sessionOf('a'), sessionOf('a', { status: 'suspended' })]);
      expect(await store.runtime('zone-uid')).toMatchObject({ objects: [{ status: 'suspended' }] });
    });
  });

  describe('a runtime write that takes authority away', () => {
    const runtime = { expected: 0, puts: [sessionOf('a', { status: 'ended' })], change: ENDED } as const;

    it('raises the epoch by one with its entry, and keeps the digest of the configuration', async () => {
      const store = await open({ clock: { now: () => NOW } });
      const { epoch } = await store.raiseEpoch('zone-uid', 'digest', EVERYTHING);
      const entry = { sequence: 1, puts: runtime.puts, raised: { epoch: epoch + 1, change: ENDED } };
      expect(await write(store, 0, [], { runtime })).toEqual({ ok: true, zoneEpoch: epoch + 1, entry });
      expect(await store.runtimeEntries('zone-uid', 0, 10)).toEqual([entry]);
      expect(await store.zoneEpoch('zone-uid')).toEqual({ zoneUID: 'zone-uid', epoch: epoch + 1, digest: 'digest' });
      expect((await store.raiseEpoch('zone-uid', 'digest', EVERYTHING)).epoch).toBe(epoch + 1);
    });

    it('begins the epochs at the Unix time in seconds where there was none', async () => {
      const store = await open({ clock: { now: () => NOW + 999 } });
      expect(await write(store, 0, [], { runtime })).toMatchObject({ zoneEpoch: SECONDS });
      expect((await store.raiseEpoch('zone-uid', 'digest', EVERYTHING)).epoch).toBe(SECONDS + 1);
    });

    it('raises nothing where it is a conflict', async () => {
      const store = await open({ clock: { now: () => NOW } });
      await write(store, 0, [], { runtime });
      expect(await write(store, 0, [], { runtime })).toEqual({ ok: false, conflict: true });
      expect((await store.zoneEpoch('zone-uid'))!.epoch).toBe(SECONDS);
    });
  });

  describe('what is over', () => {
    const end = SECONDS + 10;
    const objects: readonly RuntimeObject[] = [
      sessionOf('alive'),
      sessionOf('expired', { expiresAt: end }),
      sessionOf('ended', { status: 'ended', endedAt: end * 1000 }),
      sessionOf('suspended', { status: 'suspended' }),
      edgeOf('edge-alive'),
      edgeOf('edge-expired', { expiresAt: end }),
      edgeOf('edge-revoked', { status: 'revoked', endedAt: end * 1000 }),
      challengeOf('challenge-alive'),
      challengeOf('challenge-over', { state: 'consumed', expiresAt: end }),
      answerOf('answer-alive', 4_000_000_000),
      answerOf('answer-over', end),
    ];
    const { expiresAt: _, ...service } = sessionOf('', { lifecycle: 'service', lease: { generation: 1, until: end } });
    const services = [
      { ...service, id: 'service-lapsed' },
      { ...service, id: 'service-held', lease: { generation: 1, until: 4_000_000_000 } },
      { ...service, id: 'service-suspended', status: 'suspended' as const },
    ];

    it('is forgotten a day later, an answer at once, and what is alive never', async () => {
      let now = NOW;
      const store = await open({ clock: { now: () => now } });
      const all = [...objects, ...services].map(({ id }) => id).toSorted();
      await write(store, 0, [...objects, ...services]);
      const commitAt = async (at: number) => {
        now = at;
        await store.commit({ decision: decisionOf(`later-${at}`) });
      };
      const expectIDs = (ids: readonly string[]) => vi.waitFor(async () => expect(await idsOf(store)).toEqual(ids));
      await commitAt(NOW + 10_000);
      await expectIDs(all);
      await commitAt(NOW + 100_000);
      await expectIDs(all.filter((id) => id !== 'answer-over'));
      await commitAt(NOW + DAY_MS);
      expect(await idsOf(store)).toHaveLength(all.length - 1);
      await commitAt(NOW + DAY_MS + 100_000);
      const alive = ['alive', 'answer-alive', 'challenge-alive', 'edge-alive'];
      await expectIDs([...alive, 'service-held', 'service-suspended', 'suspended']);
      expect(await write(store, 1, [sessionOf('expired')])).toMatchObject({ ok: true });
    });

    it('leaves of the entries those of the last hour and the last one, and says where older ones are asked for', async () => {
      let now = NOW;
      const store = await open({ clock: { now: () => now } });
      for (const sequence of [0, 1, 2, 3]) {
        await write(store, sequence, [sessionOf(`s${sequence}`)]);
        now += HOUR_MS / 2 + 1000;
      }
      await store.commit({ decision: decisionOf('prunes') });
      await vi.waitFor(() =>
        expect(store.runtimeEntries('zone-uid', 2, 10)).rejects.toBeInstanceOf(RuntimeEntriesGone),
      );
      await expect(store.runtimeEntries('zone-uid', 0, 10)).rejects.toBeInstanceOf(RuntimeEntriesGone);
      expect((await store.runtimeEntries('zone-uid', 3, 10)).map(({ sequence }) => sequence)).toEqual([4]);
      expect(await store.runtime('zone-uid')).toMatchObject({ sequence: 4, objects: { length: 4 } });
      now += 10 * HOUR_MS;
      await store.commit({ decision: decisionOf('prunes-again') });
      expect(await store.runtimeEntries('zone-uid', 3, 10)).toHaveLength(1);
      expect(await write(store, 4, [sessionOf('s4')])).toMatchObject({ entry: { sequence: 5 } });
      expect(await store.runtimeEntries('zone-uid', 3, 10)).toHaveLength(2);
    });

    it('is told apart from what never was: entries after a sequence that was not reached are gone as well', async () => {
      const store = await open();
      await write(store, 0, [sessionOf('a')]);
      await expect(store.runtimeEntries('zone-uid', 2, 10)).rejects.toBeInstanceOf(RuntimeEntriesGone);
    });
  });
}
