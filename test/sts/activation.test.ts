/** Every configuration that takes effect at the STS leaves a record: what it changed, and under which epoch. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DecisionRecord } from '../../src/authority/decision.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { grant, revocation } from '../compiler/world.ts';
import { ZONE_UID } from './shop.ts';
import { startSTS, type TestSTS } from './service.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

/** Oldest first. */
async function recorded(): Promise<readonly DecisionRecord[]> {
  const all = await sts.store().decisions(ZONE_UID, 1000);
  return all.filter(({ kind }) => kind === 'configuration').toReversed();
}

/** What a change adds to the log. */
async function after(change: () => Promise<unknown>): Promise<readonly DecisionRecord[]> {
  const before = (await recorded()).length;
  await change();
  return (await recorded()).slice(before);
}

const epochNow = async () => (await sts.store().zoneEpoch(ZONE_UID))!.epoch;
/** The first Grant of its Application: no mandate can rest on it yet. */
const wanted = grant({ applicationRef: { name: 'till' }, scopes: ['read'] }, { name: 'wanted' });

describe('a configuration that takes effect', () => {
  it('is recorded at the start, with the policy revision in force and its digest', async () => {
    const [first] = await recorded();
    const { digest } = (await sts.store().zoneEpoch(ZONE_UID))!;
    expect(first).toMatchObject({ outcome: 'done', epoch: await epochNow(), activation: { digest, objects: [] } });
    expect(first!.activation!.policy).toMatchObject({ revision: 1, digest: first!.policyDigest });
  });

  it('that only adds authority is recorded once, under the present epoch', async () => {
    const epoch = await epochNow();
    const [record, ...more] = await after(() =>
      sts.apply((world) => ({ ...world, grants: [...world.grants, wanted] })),
    );
    expect(record).toMatchObject({ epoch, activation: { objects: [{ name: 'shop/wanted', change: 'added' }] } });
    expect(more).toEqual([]);
  });

  it('that takes away what the one before added is recorded with the epoch that it raises', async () => {
    const before = await epochNow();
    const [record, ...more] = await after(() =>
      sts.apply((world) => ({ ...world, grants: world.grants.filter(({ metadata }) => metadata.name !== 'wanted') })),
    );
    expect(record).toMatchObject({ epoch: before + 1, activation: { change: { all: false } } });
    expect(record!.activation!.objects).toEqual([{ kind: 'Grant', name: 'shop/wanted', change: 'removed' }]);
    expect([more, await epochNow()]).toEqual([[], before + 1]);
  });

  it('names each Revocation with which it takes effect, and its target', async () => {
    const created = new Date(sts.seconds() * 1000).toISOString();
    const stop = revocation({ application: { name: 'till' } }, {}, { name: 'stop', created });
    const [record] = await after(() => sts.apply((world) => ({ ...world, revocations: [stop] })));
    expect(record!.activation!.revocations).toEqual([
      {
        ...{ namespace: 'shop', name: 'stop', uid: stop.metadata.uid },
        target: { type: 'application', id: 'shop.till' },
      },
    ]);
    expect(record!.epoch).toBe(await epochNow());
  });

  it('is not programmed while it cannot be recorded, though it takes nothing away', async () => {
    const raising = vi.spyOn(sts.store(), 'raiseEpoch').mockRejectedValue(new StoreUnavailable('the disk is full'));
    const applied = sts.apply((world) => ({ ...world, grants: [...world.grants, wanted] }));
    const records = await after(async () => {
      await vi.waitFor(() => expect(raising).toHaveBeenCalledTimes(2), { timeout: 10_000 });
      expect(await Promise.race([applied.then(() => 'programmed'), Promise.resolve('waits')])).toBe('waits');
    });
    expect(records).toEqual([]);
    raising.mockRestore();
    expect((await after(() => applied)).map(({ activation }) => activation!.objects.length)).toEqual([1]);
  });
});
