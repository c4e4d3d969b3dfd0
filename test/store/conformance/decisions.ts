/** Decisions and single-use ids: what is answered is durable, spent once, and in order. */
import { describe, expect, it, vi } from 'vitest';
import { StoreUnavailable } from '../../../src/store/store.ts';
import { decisionOf, singleUseOf } from '../records.ts';
import { NOW, type Engine, type PlaceConfig } from './engine.ts';

export function describeDecisions(engine: Engine): void {
  const open = async (config: PlaceConfig = {}) => (await engine.place()).open(config);
  describe('decisions', () => {
    it('are read back whole by zone and id, and by zone and jti', async () => {
      const store = await open();
      const decision = decisionOf('one', { grants: ['team/grant'], policyDigest: 'sha256:00' });
      expect(await store.commit({ decision })).toEqual({ ok: true, zoneEpoch: 0 });
      expect(await store.decision('zone-uid', 'one')).toEqual(decision);
      expect(await store.decisionByJTI('zone-uid', 'jti-one')).toEqual(decision);
    });

    it('are not found under another zone', async () => {
      const store = await open();
      await store.commit({ decision: decisionOf('one') });
      expect(await store.decision('other-uid', 'one')).toBeUndefined();
      expect(await store.decisionByJTI('other-uid', 'jti-one')).toBeUndefined();
      expect(await store.decisions('other-uid', 10)).toEqual([]);
    });

    it('are listed newest first, as many as asked for', async () => {
      const store = await open();
      await Promise.all([3, 1, 2].map((at) => store.commit({ decision: decisionOf(`d${at}`, { at }) })));
      const ids = (await store.decisions('zone-uid', 2)).map(({ id }) => id);
      expect(ids).toEqual(['d3', 'd2']);
    });

    it('without a jti may be many', async () => {
      const store = await open();
      const { jti: _, ...denial } = decisionOf('', { outcome: 'denial' });
      for (const id of ['a', 'b']) expect((await store.commit({ decision: { ...denial, id } })).ok).toBe(true);
    });

    it('with an id or a jti that exists are refused, and nothing of their commit happens', async () => {
      const store = await open();
      await store.commit({ decision: decisionOf('one') });
      const again = store.commit({ decision: decisionOf('one', { jti: 'other' }), consume: [singleUseOf('unspent')] });
      await expect(again).rejects.toThrow(/refused a write/);
      const sameJTI = store.commit({ decision: decisionOf('two', { jti: 'jti-one' }) });
      await expect(sameJTI).rejects.toThrow(/refused a write/);
      const after = await store.commit({ decision: decisionOf('three'), consume: [singleUseOf('unspent')] });
      expect(after.ok).toBe(true);
    });

    it('can neither be changed nor deleted', async () => {
      const place = await engine.place();
      await (await place.open()).commit({ decision: decisionOf('one') });
      await expect(place.exec("UPDATE decisions SET outcome = 'denial'")).rejects.toThrow('append only');
      await expect(place.exec('DELETE FROM decisions')).rejects.toThrow('append only');
    });
  });

  describe('single-use ids', () => {
    it('X-16 are spent by exactly one of 500 commits that race for one', async () => {
      const store = await open();
      const use = singleUseOf('login');
      const results = await Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          store.commit({ decision: decisionOf(`race-${index}`), consume: [use] }),
        ),
      );
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
      expect(results.filter(({ ok }) => !ok)).toEqual(
        Array.from({ length: 499 }, () => ({ ok: false, replayed: use })),
      );
      expect(await store.decisions('zone-uid', 1000)).toHaveLength(1);
    });

    it('refuse only the commit that replays, not its neighbours in the transaction', async () => {
      const store = await open();
      await store.commit({ decision: decisionOf('first'), consume: [singleUseOf('spent')] });
      const results = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          store.commit({
            decision: decisionOf(`n${index}`),
            consume: [singleUseOf(`fresh-${index}`), ...(index % 3 === 0 ? [singleUseOf('spent')] : [])],
          }),
        ),
      );
      expect(results.map(({ ok }) => ok)).toEqual(results.map((_, index) => index % 3 !== 0));
    });

    it('that a refused commit named before the spent one stay unspent', async () => {
      const store = await open();
      await store.commit({ decision: decisionOf('first'), consume: [singleUseOf('spent')] });
      await store.commit({ decision: decisionOf('second'), consume: [singleUseOf('other'), singleUseOf('spent')] });
      const third = await store.commit({ decision: decisionOf('third'), consume: [singleUseOf('other')] });
      expect(third.ok).toBe(true);
    });

    it('X-17 are kept apart by class and zone, and the empty zone is one of its own', async () => {
      const store = await open();
      const uses = [
        singleUseOf('key'),
        singleUseOf('key', { zoneUID: 'other-uid' }),
        singleUseOf('key', { class: 'private_key_jwt' }),
        singleUseOf('key', { class: 'private_key_jwt', zoneUID: '' }),
      ];
      for (const [index, use] of uses.entries()) {
        expect((await store.commit({ decision: decisionOf(`d${index}`), consume: [use] })).ok).toBe(true);
      }
    });

    it('are forgotten a minute after they expired, in batches, and not before', async () => {
      let now = NOW;
      const place = await engine.place();
      const store = await place.open({ clock: { now: () => now } });
      const expiresAt = NOW / 1000 + 10;
      await Promise.all(
        Array.from({ length: 1200 }, (_, index) =>
          store.commit({ decision: decisionOf(`d${index}`), consume: [singleUseOf(`k${index}`, { expiresAt })] }),
        ),
      );
      await store.commit({ decision: decisionOf('live'), consume: [singleUseOf('live', { expiresAt: NOW })] });
      now = NOW + 69_000;
      await store.commit({ decision: decisionOf('before') });
      expect(await place.count('single_use')).toBe(1201);
      now = NOW + 200_000;
      let rounds = 0;
      await vi.waitFor(async () => {
        await store.commit({ decision: decisionOf(`prunes-${(rounds += 1)}`) });
        expect(await place.count('single_use')).toBe(1);
      });
    });
  });

  describe('group commit', () => {
    it('puts commits that come together into few transactions', async () => {
      const store = await open();
      await Promise.all(
        Array.from({ length: 1000 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) })),
      );
      const { writes, transactions } = store.written();
      expect(writes).toBe(1000);
      expect(transactions).toBeLessThan(20);
      expect(await store.decisions('zone-uid', 2000)).toHaveLength(1000);
    });

    it('refuses what is more than may wait, and takes more when the disk has caught up', async () => {
      const store = await open({ maxWaiting: 10 });
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) })),
      );
      const refused = results.filter((result) => result.status === 'rejected');
      expect(refused).toHaveLength(40);
      for (const { reason } of refused) expect(reason).toBeInstanceOf(StoreUnavailable);
      expect((await store.commit({ decision: decisionOf('later') })).ok).toBe(true);
    });
  });

  describe('the end of a store', () => {
    it('writes what was accepted before it closes, and refuses everything after', async () => {
      const place = await engine.place();
      const store = await place.open();
      const accepted = Array.from({ length: 200 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) }));
      await store.close();
      await Promise.all(accepted);
      await expect(store.commit({ decision: decisionOf('late') })).rejects.toBeInstanceOf(StoreUnavailable);
      await expect(store.zoneEpoch('zone-uid')).rejects.toThrow('the store is closed');
      await store.close();
      expect(await (await place.open()).decisions('zone-uid', 1000)).toHaveLength(200);
    });
  });
}
