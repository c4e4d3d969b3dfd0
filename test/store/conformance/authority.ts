/** Authority records, zone epochs and revocations. */
import { describe, expect, it, vi } from 'vitest';
import { authorityRecordOf, decisionOf, singleUseOf } from '../records.ts';
import { EVERYTHING } from '../support.ts';
import { NOW, type Engine, type PlaceConfig } from './engine.ts';

export function describeAuthority(engine: Engine): void {
  const open = async (config: PlaceConfig = {}) => (await engine.place()).open(config);
  describe('authority records', () => {
    it('are kept with the commit, and the latest expiry wins', async () => {
      const store = await open();
      const [early, late] = [authorityRecordOf('sid', 4_000_000_000), authorityRecordOf('sid', 4_000_000_900)];
      await store.commit({ decision: decisionOf('one'), authorityRecord: late });
      await store.commit({ decision: decisionOf('two'), authorityRecord: early });
      expect(await store.authorityRecord('zone-uid', 'sid')).toEqual(late);
      expect(await store.authorityRecord('other-uid', 'sid')).toBeUndefined();
    });

    it('of a replayed commit do not exist', async () => {
      const store = await open();
      await store.commit({ decision: decisionOf('one'), consume: [singleUseOf('spent')] });
      await store.commit({
        decision: decisionOf('two'),
        consume: [singleUseOf('spent')],
        authorityRecord: authorityRecordOf('sid', 4_000_000_000),
      });
      expect(await store.authorityRecord('zone-uid', 'sid')).toBeUndefined();
    });

    it('go when they expired', async () => {
      let now = NOW;
      const store = await open({ clock: { now: () => now } });
      const authorityRecord = authorityRecordOf('sid', NOW / 1000 + 10);
      await store.commit({ decision: decisionOf('one'), authorityRecord });
      now = NOW + 100_000;
      await store.commit({ decision: decisionOf('two') });
      await vi.waitFor(async () => expect(await store.authorityRecord('zone-uid', 'sid')).toBeUndefined());
    });
  });

  describe('zone epochs', () => {
    it('start at the Unix time in seconds', async () => {
      const store = await open({ clock: { now: () => NOW + 999 } });
      expect(await store.zoneEpoch('zone-uid')).toBeUndefined();
      const first = await store.raiseEpoch('zone-uid', 'digest-a', EVERYTHING);
      expect(first).toEqual({ zoneUID: 'zone-uid', epoch: NOW / 1000, digest: 'digest-a' });
    });

    it('rise by one for another digest, stay for the same, and never fall when a digest comes back', async () => {
      const store = await open({ clock: { now: () => NOW } });
      const epochs: number[] = [];
      for (const digest of ['a', 'a', 'b', 'b', 'a'])
        epochs.push((await store.raiseEpoch('zone-uid', digest, EVERYTHING)).epoch - NOW / 1000);
      expect(epochs).toEqual([0, 0, 1, 1, 2]);
    });

    it('rise once when several ask for the same digest at once', async () => {
      const store = await open({ clock: { now: () => NOW } });
      await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
      const raised = await Promise.all(Array.from({ length: 20 }, () => store.raiseEpoch('zone-uid', 'b', EVERYTHING)));
      expect(new Set(raised.map(({ epoch }) => epoch))).toEqual(new Set([NOW / 1000 + 1]));
    });

    it('stay where nothing is taken away, and rise when the digest of before comes back', async () => {
      const store = await open({ clock: { now: () => NOW } });
      const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
      expect(await store.raiseEpoch('zone-uid', 'b', undefined)).toMatchObject({ epoch, digest: 'b' });
      expect(await store.raiseEpoch('zone-uid', 'b', undefined)).toMatchObject({ epoch, digest: 'b' });
      expect(await store.zoneEpoch('zone-uid')).toMatchObject({ epoch, digest: 'b' });
      expect(await store.raiseEpoch('zone-uid', 'a', EVERYTHING)).toMatchObject({ epoch: epoch + 1, digest: 'a' });
    });

    it('are recorded with what raised them, in the same write, once for each digest', async () => {
      const store = await open({ clock: { now: () => NOW } });
      const { epoch: _epoch, jti: _jti, ...decision } = decisionOf('first', { kind: 'configuration', outcome: 'done' });
      const recordOf = (id: string) => ({ ...decision, id });
      const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [], recordOf('first'));
      await Promise.all(
        ['again', 'and again'].map((id) => store.raiseEpoch('zone-uid', 'a', EVERYTHING, [], recordOf(id))),
      );
      await store.raiseEpoch('zone-uid', 'b', undefined, [], recordOf('second'));
      expect((await store.decisions('zone-uid', 10)).toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        { ...recordOf('first'), epoch },
        { ...recordOf('second'), epoch },
      ]);
    });

    it('with a record whose id exists are refused, and do not rise', async () => {
      const store = await open({ clock: { now: () => NOW } });
      const { epoch: _epoch, jti: _jti, ...record } = decisionOf('one', { kind: 'configuration', outcome: 'done' });
      const before = await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [], record);
      const again = store.raiseEpoch('zone-uid', 'b', EVERYTHING, [], record);
      await expect(again).rejects.toThrow('refused a write');
      expect(await store.zoneEpoch('zone-uid')).toEqual(before);
      expect((await store.raiseEpoch('zone-uid', 'b', EVERYTHING)).epoch).toBe(before.epoch + 1);
    });

    it('are told by every commit of the zone, and are each zone’s own', async () => {
      const store = await open({ clock: { now: () => NOW } });
      await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
      await store.raiseEpoch('zone-uid', 'b', EVERYTHING);
      expect(await store.commit({ decision: decisionOf('one') })).toEqual({ ok: true, zoneEpoch: NOW / 1000 + 1 });
      expect(await store.commit({ decision: decisionOf('two', { zoneUID: 'other-uid' }) })).toEqual({
        ok: true,
        zoneEpoch: 0,
      });
    });
  });

  describe('revocations', () => {
    const entry = {
      ...{ namespace: 'shop', name: 'stop', uid: 'uid-stop', target: { type: 'everything' as const } },
      ...{ issuedBefore: undefined, createdAt: NOW },
    } as const;

    it('take effect with the epoch raised for them, once, and outlive a restart', async () => {
      const place = await engine.place();
      const first = await place.open({ clock: { now: () => NOW } });
      const { epoch } = await first.raiseEpoch('zone-uid', 'a', EVERYTHING, [entry]);
      await first.raiseEpoch('zone-uid', 'b', EVERYTHING, [entry]);
      expect(await first.revocations('zone-uid')).toEqual([{ ...entry, epoch }]);
      expect(await first.revocations('other-uid')).toEqual([]);
      await first.close();
      expect(await (await place.open()).revocations('zone-uid')).toEqual([{ ...entry, epoch }]);
    });

    it('that are new raise the epoch also under the same digest', async () => {
      const store = await open({ clock: { now: () => NOW } });
      const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
      expect((await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [entry])).epoch).toBe(epoch + 1);
      expect((await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [entry])).epoch).toBe(epoch + 1);
    });
  });
}
