/** The embedded store through its port: what is answered is on disk, spent once, and in order. */
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { authorityRecordOf, decisionOf, singleUseOf } from './records.ts';
import { EVERYTHING, openStore, tempFolder, tempPath } from './support.ts';

const NOW = 1_800_000_000_000;

describe('decisions', () => {
  it('are read back whole by zone and id, and by zone and jti', async () => {
    const store = await openStore();
    const decision = decisionOf('one', { grants: ['team/grant'], policyDigest: 'sha256:00' });
    expect(await store.commit({ decision })).toEqual({ ok: true, zoneEpoch: 0 });
    expect(await store.decision('zone-uid', 'one')).toEqual(decision);
    expect(await store.decisionByJTI('zone-uid', 'jti-one')).toEqual(decision);
  });

  it('are not found under another zone', async () => {
    const store = await openStore();
    await store.commit({ decision: decisionOf('one') });
    expect(await store.decision('other-uid', 'one')).toBeUndefined();
    expect(await store.decisionByJTI('other-uid', 'jti-one')).toBeUndefined();
    expect(await store.decisions('other-uid', 10)).toEqual([]);
  });

  it('are listed newest first, as many as asked for', async () => {
    const store = await openStore();
    await Promise.all([3, 1, 2].map((at) => store.commit({ decision: decisionOf(`d${at}`, { at }) })));
    const ids = (await store.decisions('zone-uid', 2)).map(({ id }) => id);
    expect(ids).toEqual(['d3', 'd2']);
  });

  it('without a jti may be many', async () => {
    const store = await openStore();
    const { jti: _, ...denial } = decisionOf('', { outcome: 'denial' });
    for (const id of ['a', 'b']) expect((await store.commit({ decision: { ...denial, id } })).ok).toBe(true);
  });

  it('with an id or a jti that exists are refused, and nothing of their commit happens', async () => {
    const store = await openStore();
    await store.commit({ decision: decisionOf('one') });
    const again = store.commit({ decision: decisionOf('one', { jti: 'other' }), consume: [singleUseOf('unspent')] });
    await expect(again).rejects.toThrow(/refused a write/);
    const sameJTI = store.commit({ decision: decisionOf('two', { jti: 'jti-one' }) });
    await expect(sameJTI).rejects.toThrow(/refused a write/);
    const after = await store.commit({ decision: decisionOf('three'), consume: [singleUseOf('unspent')] });
    expect(after.ok).toBe(true);
  });

  it('can neither be changed nor deleted in the file', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('one') });
    const db = new DatabaseSync(path);
    onTestFinished(() => db.close());
    expect(() => db.exec("UPDATE decisions SET outcome = 'denial'")).toThrow('append only');
    expect(() => db.exec('DELETE FROM decisions')).toThrow('append only');
  });
});

describe('single-use ids', () => {
  it('X-16 are spent by exactly one of 500 commits that race for one', async () => {
    const store = await openStore();
    const use = singleUseOf('login');
    const results = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        store.commit({ decision: decisionOf(`race-${index}`), consume: [use] }),
      ),
    );
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(results.filter(({ ok }) => !ok)).toEqual(Array.from({ length: 499 }, () => ({ ok: false, replayed: use })));
    expect(await store.decisions('zone-uid', 1000)).toHaveLength(1);
  });

  it('refuse only the commit that replays, not its neighbours in the transaction', async () => {
    const store = await openStore();
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
    const store = await openStore();
    await store.commit({ decision: decisionOf('first'), consume: [singleUseOf('spent')] });
    await store.commit({ decision: decisionOf('second'), consume: [singleUseOf('other'), singleUseOf('spent')] });
    const third = await store.commit({ decision: decisionOf('third'), consume: [singleUseOf('other')] });
    expect(third.ok).toBe(true);
  });

  it('X-17 are kept apart by class and zone, and the empty zone is one of its own', async () => {
    const store = await openStore();
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
    const path = tempPath();
    const store = await openStore({ path, clock: { now: () => now } });
    const expiresAt = NOW / 1000 + 10;
    await Promise.all(
      Array.from({ length: 1200 }, (_, index) =>
        store.commit({ decision: decisionOf(`d${index}`), consume: [singleUseOf(`k${index}`, { expiresAt })] }),
      ),
    );
    await store.commit({ decision: decisionOf('live'), consume: [singleUseOf('live', { expiresAt: NOW })] });
    now = NOW + 69_000;
    await store.commit({ decision: decisionOf('before') });
    expect(countRows(path, 'single_use')).toBe(1201);
    now = NOW + 200_000;
    for (const id of ['p1', 'p2', 'p3']) await store.commit({ decision: decisionOf(id) });
    expect(countRows(path, 'single_use')).toBe(1);
  });
});

function countRows(path: string, table: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
  } finally {
    db.close();
  }
}

describe('authority records', () => {
  it('are kept with the commit, and the latest expiry wins', async () => {
    const store = await openStore();
    const [early, late] = [authorityRecordOf('sid', 4_000_000_000), authorityRecordOf('sid', 4_000_000_900)];
    await store.commit({ decision: decisionOf('one'), authorityRecord: late });
    await store.commit({ decision: decisionOf('two'), authorityRecord: early });
    expect(await store.authorityRecord('zone-uid', 'sid')).toEqual(late);
    expect(await store.authorityRecord('other-uid', 'sid')).toBeUndefined();
  });

  it('of a replayed commit do not exist', async () => {
    const store = await openStore();
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
    const store = await openStore({ clock: { now: () => now } });
    const authorityRecord = authorityRecordOf('sid', NOW / 1000 + 10);
    await store.commit({ decision: decisionOf('one'), authorityRecord });
    now = NOW + 100_000;
    await store.commit({ decision: decisionOf('two') });
    expect(await store.authorityRecord('zone-uid', 'sid')).toBeUndefined();
  });
});

describe('zone epochs', () => {
  it('start at the Unix time in seconds', async () => {
    const store = await openStore({ clock: { now: () => NOW + 999 } });
    expect(await store.zoneEpoch('zone-uid')).toBeUndefined();
    const first = await store.raiseEpoch('zone-uid', 'digest-a', EVERYTHING);
    expect(first).toEqual({ zoneUID: 'zone-uid', epoch: NOW / 1000, digest: 'digest-a' });
  });

  it('rise by one for another digest, stay for the same, and never fall when a digest comes back', async () => {
    const store = await openStore({ clock: { now: () => NOW } });
    const epochs: number[] = [];
    for (const digest of ['a', 'a', 'b', 'b', 'a'])
      epochs.push((await store.raiseEpoch('zone-uid', digest, EVERYTHING)).epoch - NOW / 1000);
    expect(epochs).toEqual([0, 0, 1, 1, 2]);
  });

  it('rise once when several ask for the same digest at once', async () => {
    const store = await openStore({ clock: { now: () => NOW } });
    await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
    const raised = await Promise.all(Array.from({ length: 20 }, () => store.raiseEpoch('zone-uid', 'b', EVERYTHING)));
    expect(new Set(raised.map(({ epoch }) => epoch))).toEqual(new Set([NOW / 1000 + 1]));
  });

  it('stay where nothing is taken away, and rise when the digest of before comes back', async () => {
    const store = await openStore({ clock: { now: () => NOW } });
    const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
    expect(await store.raiseEpoch('zone-uid', 'b', undefined)).toMatchObject({ epoch, digest: 'b' });
    expect(await store.raiseEpoch('zone-uid', 'b', undefined)).toMatchObject({ epoch, digest: 'b' });
    expect(await store.raiseEpoch('zone-uid', 'a', EVERYTHING)).toMatchObject({ epoch: epoch + 1, digest: 'a' });
  });

  it('are recorded with what raised them, in the same write, and only when they rise', async () => {
    const store = await openStore({ clock: { now: () => NOW } });
    const { epoch: _epoch, ...record } = decisionOf('activation', { kind: 'configuration', outcome: 'done' });
    const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [], record);
    await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [], { ...record, id: 'again' });
    expect(await store.decisions('zone-uid', 10)).toEqual([{ ...record, epoch }]);
    await expect(store.raiseEpoch('zone-uid', 'b', EVERYTHING, [], record)).rejects.toThrow('refused a write');
    expect((await store.zoneEpoch('zone-uid'))!.epoch).toBe(epoch);
  });

  it('are told by every commit of the zone, and are each zone’s own', async () => {
    const store = await openStore({ clock: { now: () => NOW } });
    await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
    await store.raiseEpoch('zone-uid', 'b', EVERYTHING);
    expect(await store.commit({ decision: decisionOf('one') })).toEqual({ ok: true, zoneEpoch: NOW / 1000 + 1 });
    expect(await store.commit({ decision: decisionOf('two', { zoneUID: 'other-uid' }) })).toEqual({
      ok: true,
      zoneEpoch: 0,
    });
  });

  it('R-20 are above all earlier ones after a restart, under the same incarnation, also with a backup in the file', async () => {
    const path = tempPath();
    const first = await openStore({ path, clock: { now: () => NOW } });
    await first.raiseEpoch('zone-uid', 'a', EVERYTHING);
    await first.close();
    const backup = readFileSync(path);
    const second = await openStore({ path, clock: { now: () => NOW + 1000 } });
    expect(second.incarnation).toBe(first.incarnation);
    for (const digest of ['b', 'c', 'd']) await second.raiseEpoch('zone-uid', digest, EVERYTHING);
    const lost = (await second.zoneEpoch('zone-uid'))!.epoch;
    await second.close();
    writeFileSync(path, backup);
    const third = await openStore({ path, clock: { now: () => NOW + 60_000 } });
    expect(third.incarnation).toBe(first.incarnation);
    expect((await third.zoneEpoch('zone-uid'))!.epoch).toBeGreaterThan(lost);
  });

  it('of a restored copy are above those that may have been lost, under another incarnation', async () => {
    const path = tempPath();
    const first = await openStore({ path, clock: { now: () => NOW } });
    await first.raiseEpoch('zone-uid', 'a', EVERYTHING);
    await first.close();
    const copy = join(tempFolder(), 'store.db');
    for (const end of ['', '.seal.key']) copyFileSync(`${path}${end}`, `${copy}${end}`);
    const restored = await openStore({ path: copy, clock: { now: () => NOW + 60_000 } });
    expect(restored.incarnation).not.toBe(first.incarnation);
    expect(await restored.zoneEpoch('zone-uid')).toEqual({ zoneUID: 'zone-uid', epoch: NOW / 1000 + 60, digest: '' });
    const raised = await restored.raiseEpoch('zone-uid', 'a', EVERYTHING);
    expect(raised.epoch).toBe(NOW / 1000 + 61);
  });
});

describe('group commit', () => {
  it('puts commits that come together into few transactions', async () => {
    const store = await openStore();
    await Promise.all(Array.from({ length: 1000 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) })));
    const { writes, transactions } = store.written();
    expect(writes).toBe(1000);
    expect(transactions).toBeLessThan(20);
    expect(await store.decisions('zone-uid', 2000)).toHaveLength(1000);
  });

  it('refuses what is more than may wait, and takes more when the disk has caught up', async () => {
    const store = await openStore({ maxWaiting: 10 });
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) })),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(39);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(StoreUnavailable);
    expect((await store.commit({ decision: decisionOf('later') })).ok).toBe(true);
  });
});

describe('the end of a store', () => {
  it('writes what was accepted before it closes, and refuses everything after', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    const accepted = Array.from({ length: 200 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) }));
    await store.close();
    await Promise.all(accepted);
    await expect(store.commit({ decision: decisionOf('late') })).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(store.zoneEpoch('zone-uid')).rejects.toThrow('the store is closed');
    await store.close();
    expect(await (await openStore({ path })).decisions('zone-uid', 1000)).toHaveLength(200);
  });

  it('fails what was under way when its thread dies, and the next call works again', async () => {
    const started = once(process, 'worker');
    const store = await openStore();
    const [worker] = (await started) as [Worker];
    await store.commit({ decision: decisionOf('before') });
    const lost = Promise.allSettled(
      Array.from({ length: 100 }, (_, index) => store.commit({ decision: decisionOf(`d${index}`) })),
    );
    await worker.terminate();
    const failures = (await lost).filter((result) => result.status === 'rejected');
    for (const { reason } of failures) expect(reason).toBeInstanceOf(StoreUnavailable);
    expect((await store.commit({ decision: decisionOf('after') })).ok).toBe(true);
    const ids = new Set((await store.decisions('zone-uid', 1000)).map(({ id }) => id));
    expect([ids.has('before'), ids.has('after')]).toEqual([true, true]);
  });

  it('never goes on with another database that was put in its place', async () => {
    const path = tempPath();
    const started = once(process, 'worker');
    const store = await openStore({ path });
    const [worker] = (await started) as [Worker];
    await store.commit({ decision: decisionOf('one') });
    const copy = `${path}.copy`;
    copyFileSync(path, copy);
    await worker.terminate();
    renameSync(copy, path);
    await expect(store.commit({ decision: decisionOf('two') })).rejects.toThrow('was replaced while it was in use');
    rmSync(path);
    await expect(store.commit({ decision: decisionOf('three') })).rejects.toThrow('is gone');
    expect(existsSync(path)).toBe(false);
  });
});

describe('the files of a store', () => {
  it('are for their owner only, in a folder for its owner only', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('one') });
    const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);
    expect(mode(join(path, '..'))).toBe('700');
    expect([path, `${path}-wal`, `${path}-shm`, `${path}.lock`].map(mode)).toEqual(['600', '600', '600', '600']);
  });

  it('hold no journal when the store was closed', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('one') });
    await store.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
  });
});

describe('a reader beside the store', () => {
  it('sees each decision as soon as it is answered, and finds one without its zone', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    const reader = openSQLiteReader({ path });
    onTestFinished(() => reader.close());
    for (const id of ['one', 'two']) {
      const decision = decisionOf(id);
      await store.commit({ decision });
      expect(await reader.findDecision(id)).toEqual(decision);
      expect(await reader.decision('zone-uid', id)).toEqual(decision);
    }
    expect(await reader.decisions('zone-uid', 10)).toHaveLength(2);
    expect(await reader.findDecision('none')).toBeUndefined();
  });

  it('reads a store that was closed, and says so where there is none', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    await store.commit({ decision: decisionOf('one') });
    await store.close();
    const reader = openSQLiteReader({ path });
    onTestFinished(() => reader.close());
    expect(await reader.findDecision('one')).toEqual(decisionOf('one'));
    expect(() => openSQLiteReader({ path: `${path}.none` })).toThrow('does not exist');
  });
});

describe('revocations', () => {
  const entry = {
    ...{ namespace: 'shop', name: 'stop', uid: 'uid-stop', target: { type: 'everything' as const } },
    ...{ issuedBefore: undefined, createdAt: NOW },
  } as const;

  it('take effect with the epoch raised for them, once, and outlive a restart', async () => {
    const path = tempPath();
    const first = await openStore({ path, clock: { now: () => NOW } });
    const { epoch } = await first.raiseEpoch('zone-uid', 'a', EVERYTHING, [entry]);
    await first.raiseEpoch('zone-uid', 'b', EVERYTHING, [entry]);
    expect(await first.revocations('zone-uid')).toEqual([{ ...entry, epoch }]);
    expect(await first.revocations('other-uid')).toEqual([]);
    await first.close();
    expect(await (await openStore({ path })).revocations('zone-uid')).toEqual([{ ...entry, epoch }]);
  });

  it('that are new raise the epoch also under the same digest', async () => {
    const store = await openStore({ clock: { now: () => NOW } });
    const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
    expect((await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [entry])).epoch).toBe(epoch + 1);
    expect((await store.raiseEpoch('zone-uid', 'a', EVERYTHING, [entry])).epoch).toBe(epoch + 1);
  });
});
