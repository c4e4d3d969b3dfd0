/** What is the embedded store's own: its file, its thread, and a reader beside it. */
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { NOW } from './conformance/engine.ts';
import { describeConformance } from './conformance/suite.ts';
import { decisionOf } from './records.ts';
import { EVERYTHING, openStore, placeAt, tempFolder, tempPath } from './support.ts';

describeConformance({ name: 'SQLite', place: async () => placeAt(tempPath()) });

describe('zone epochs', () => {
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

describe('the thread of a store', () => {
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
