/** PostgreSQL that crashes, stops, stands still or is restored, and replicas that die or stand still. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { EngineStore } from '../../src/store/engineStore.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { postgresPlace, verifyLog, type PostgresPlace } from './postgresPlace.ts';
import { decisionOf, sessionOf, singleUseOf } from './records.ts';
import { EVERYTHING } from './support.ts';

/** Within which a caller is told that the database is gone. */
const GONE_MS = 2000;

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});

const CALLS: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  commit: (store) => store.commit({ decision: decisionOf('late') }),
  raiseEpoch: (store) => store.raiseEpoch('zone-uid', 'late', EVERYTHING),
  revocations: (store) => store.revocations('zone-uid'),
  zoneEpoch: (store) => store.zoneEpoch('zone-uid'),
  authorityRecord: (store) => store.authorityRecord('zone-uid', 'sid'),
  runtime: (store) => store.runtime('zone-uid'),
  runtimeEntries: (store) => store.runtimeEntries('zone-uid', 0, 10),
  decision: (store) => store.decision('zone-uid', 'one'),
  heads: (store) => store.heads(),
};

/** Each call, and how long it took to be refused. */
async function expectUnavailable(store: Store): Promise<void> {
  for (const [name, call] of Object.entries(CALLS)) {
    const started = performance.now();
    await expect(call(store), name).rejects.toBeInstanceOf(StoreUnavailable);
    expect(performance.now() - started, name).toBeLessThan(GONE_MS);
  }
}

/** The database is back: the store is as well, without being opened again. */
async function expectBack(store: Store): Promise<void> {
  let attempt = 0;
  await vi.waitFor(async () => {
    const { ok } = await store.commit({ decision: decisionOf(`back-${performance.now()}-${(attempt += 1)}`) });
    expect(ok).toBe(true);
  }, 20_000);
}

describe('a database that is gone', () => {
  it('is told to every caller within 2 s, and is used again when it is back', async () => {
    const store = await (await postgresPlace(server)).open();
    await store.commit({ decision: decisionOf('one') });
    await server.stop('SIGINT');
    await expectUnavailable(store);
    await server.start();
    await expectBack(store);
    expect(await store.decision('zone-uid', 'one')).toEqual(decisionOf('one'));
  });

  it('for standing still is told to every caller within 2 s, and to those that wait behind each other', async () => {
    const place = await postgresPlace(server);
    const store = await place.open();
    await store.commit({ decision: decisionOf('one') });
    server.pause();
    try {
      const started = performance.now();
      const waiting = Array.from({ length: 3000 }, (_, index) =>
        store.commit({ decision: decisionOf(`waits-${index}`) }),
      );
      const results = await Promise.allSettled(waiting);
      expect(results.every(({ status }) => status === 'rejected')).toBe(true);
      expect(performance.now() - started).toBeLessThan(GONE_MS);
      await expectUnavailable(store);
    } finally {
      server.resume();
    }
    await expectBack(store);
    await store.close();
    expect(await verifyLog(place)).toMatchObject({ alarms: [], chains: 1, afterCheckpoint: 0 });
  });
});

describe('a database that crashes', () => {
  for (const signal of ['SIGKILL', 'SIGQUIT'] as const)
    it(`by ${signal} has lost nothing that it had answered, and holds nothing twice`, async () => {
      const place = await postgresPlace(server);
      const store = await place.open();
      const acked: string[] = [];
      for (const at of [100, 300]) {
        const crashed = vi
          .waitFor(() => expect(acked.length).toBeGreaterThan(at), 20_000)
          .then(() => server.stop(signal));
        await Promise.all([crashed, ...Array.from({ length: 8 }, (_, lane) => commitUntilGone(store, lane, acked))]);
        await server.start();
        await expectBack(store);
      }
      const kept = new Set((await store.decisions('zone-uid', 1_000_000)).map(({ id }) => id));
      expect(acked.filter((id) => !kept.has(id))).toEqual([]);
      for (const id of [acked[0]!, acked.at(-1)!]) {
        const replay = await store.commit({ decision: decisionOf(`again-${id}`), consume: [singleUseOf(id)] });
        expect(replay.ok).toBe(false);
      }
      await store.close();
      expect(await verifyLog(place)).toMatchObject({ alarms: [], chains: 1, afterCheckpoint: 0, records: kept.size });
    });
});

let lastID = 0;

async function commitUntilGone(store: Store, lane: number, acked: string[]): Promise<void> {
  for (;;) {
    const id = `${lane}-${(lastID += 1)}`;
    try {
      await store.commit({ decision: decisionOf(id), consume: [singleUseOf(id)] });
    } catch (error) {
      expect(error).toBeInstanceOf(StoreUnavailable);
      return;
    }
    acked.push(id);
  }
}

const committer = fileURLToPath(new URL('./postgresCommitter.ts', import.meta.url));

function startReplica(place: PostgresPlace, name: string, onLine: (line: string) => void): ChildProcess {
  const args = [committer, place.server.url(place.database), place.keys, name];
  const env = { ...process.env, PGPASSWORD: place.server.password };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  createInterface({ input: child.stdout! }).on('line', onLine);
  return child;
}

describe('replicas that fail', () => {
  it('by a kill have lost nothing that was answered, and leave no hole for the others', async () => {
    const place = await postgresPlace(server);
    const store = await place.open();
    const lines: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const until = lines.length + 40;
      const replicas = ['a', 'b'].map((name) => startReplica(place, `${name}${round}`, (line) => lines.push(line)));
      const ended = replicas.map((child) => new Promise((resolve) => child.once('exit', resolve)));
      await vi.waitFor(() => expect(lines.length).toBeGreaterThan(until), 30_000);
      for (const child of replicas) child.kill('SIGKILL');
      await Promise.all(ended);
    }
    // What the killed had sent may still be on its way to the disk.
    const busy = `SELECT pid FROM pg_stat_activity WHERE datname = '${place.database}' AND state <> 'idle' AND pid <> pg_backend_pid()`;
    await vi.waitFor(async () => expect(await place.query(busy)).toEqual([]), 30_000);
    const { sequence } = await store.runtime('zone-uid');
    const entries = await store.runtimeEntries('zone-uid', 0, sequence + 1);
    expect(entries.map((entry) => entry.sequence)).toEqual(Array.from({ length: sequence }, (_, index) => index + 1));
    const decided = new Set((await store.decisions('zone-uid', 100_000)).map(({ id }) => id));
    const acked = lines.map((line) => line.split(' '));
    expect(acked.filter(([, id]) => !decided.has(id!))).toEqual([]);
    expect(new Set(acked.map(([, , written]) => written)).size).toBe(acked.length);
    expect(decided.size).toBe(sequence);
    await store.close();
    // What the killed left unsigned is signed by whoever starts a minute later.
    await (await place.open({ clock: { now: () => Date.now() + 120_000 } })).close();
    expect(await verifyLog(place)).toMatchObject({ alarms: [], records: sequence, afterCheckpoint: 0 });
  });

  it('by a kill leave a log that nobody signs once it was changed', async () => {
    const place = await postgresPlace(server);
    const lines: string[] = [];
    const child = startReplica(place, 'killed', (line) => lines.push(line));
    await vi.waitFor(() => expect(lines.length).toBeGreaterThan(5), 30_000);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    await place.tamper(
      `DELETE FROM checkpoints; UPDATE decisions SET record = replace(record, 'permit', 'denial') WHERE position = 3`,
    );
    // Whoever starts a minute later would sign what was left.
    const later = place.open({ clock: { now: () => Date.now() + 120_000 } });
    await expect(later).rejects.toThrow('the log of zone zone-uid is not the one that was written, at record 3');
  });

  it('by standing still, whatever they held, hold up no other for longer than a moment', async () => {
    const place = await postgresPlace(server);
    const store = await place.open();
    let lines = 0;
    const child = startReplica(place, 'still', () => (lines += 1));
    for (let round = 0; round < 5; round += 1) {
      const until = lines + 5;
      await vi.waitFor(() => expect(lines).toBeGreaterThan(until), 30_000);
      child.kill('SIGSTOP');
      await expectBack(store);
      child.kill('SIGCONT');
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const { sequence } = await store.runtime('zone-uid');
    const { length } = await store.runtimeEntries('zone-uid', 0, 10_000);
    // What it was answering when it was killed may have been written since.
    expect(length).toBeGreaterThanOrEqual(sequence);
  });
});

describe('a database that was restored', () => {
  async function written(): Promise<{ place: PostgresPlace; incarnation: string; epoch: number }> {
    const place = await postgresPlace(server);
    const store = await place.open();
    const { epoch } = await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
    await store.close();
    return { place, incarnation: store.incarnation, epoch };
  }

  it('R-20 elsewhere, from a dump, has another incarnation, and epochs above those of the original', async () => {
    const place = await postgresPlace(server);
    const original = await place.open();
    const { epoch } = await original.raiseEpoch('zone-uid', 'a', EVERYTHING);
    const runtime = { expected: 0, puts: [sessionOf('a')] };
    await original.commit({ decision: decisionOf('one'), runtime, consume: [singleUseOf('spent')] });
    await original.close();
    const copy = await postgresPlace(server, { database: await server.createDatabase(), keys: place.keys });
    server.dumpInto(place.database, copy.database);
    const store = await copy.open();
    expect(store.incarnation).not.toBe(original.incarnation);
    expect((await store.zoneEpoch('zone-uid'))!.epoch).toBeGreaterThan(epoch);
    expect(await store.runtime('zone-uid')).toEqual({ sequence: 1, objects: [sessionOf('a')] });
    const replay = await store.commit({ decision: decisionOf('two'), consume: [singleUseOf('spent')] });
    expect(replay.ok).toBe(false);
    expect((await store.commit({ decision: decisionOf('three') })).ok).toBe(true);
    await store.close();
    expect(await verifyLog(copy)).toMatchObject({ alarms: [], chains: 2, records: 2, afterCheckpoint: 0 });
    await expect(copy.exec('DELETE FROM decisions')).rejects.toThrow('append only');
  });

  it('R-20 by its files has the same incarnation, and epochs above those that were lost', async () => {
    const { place, incarnation } = await written();
    await server.stop('SIGINT');
    server.keepFiles();
    await server.start();
    const store = await place.open();
    for (const digest of ['b', 'c', 'd']) await store.raiseEpoch('zone-uid', digest, EVERYTHING);
    const lost = (await store.zoneEpoch('zone-uid'))!.epoch;
    await store.close();
    await server.stop('SIGINT');
    server.putBackFiles();
    await server.start();
    const restored = await place.open({ clock: { now: () => Date.now() + 60_000 } });
    expect(restored.incarnation).toBe(incarnation);
    expect((await restored.zoneEpoch('zone-uid'))!.epoch).toBeGreaterThan(lost);
  });

  it('R-20 while it was in use is refused by every replica as soon as one notices, until they start again', async () => {
    const { place, incarnation } = await written();
    await server.stop('SIGINT');
    server.keepFiles();
    await server.start();
    const [knows, other] = (await Promise.all([place.open(), place.open()])) as [EngineStore, EngineStore];
    await knows.commit({ decision: decisionOf('one'), runtime: { expected: 0, puts: [sessionOf('a')] } });
    await server.stop('SIGINT');
    server.putBackFiles();
    await server.start();
    await vi.waitFor(() => expect(knows.heads()).rejects.toThrow('it was restored while it was in use'), 10_000);
    for (const store of [knows, other])
      await vi.waitFor(
        () =>
          expect(store.commit({ decision: decisionOf('two') })).rejects.toThrow(
            'start again to use the one that is there',
          ),
        10_000,
      );
    expect(await place.count('decisions')).toBe(0);
    const again = await place.open();
    expect(again.incarnation).not.toBe(incarnation);
    expect((await again.commit({ decision: decisionOf('three') })).ok).toBe(true);
  });

  it('is not confused with one that was only started again', async () => {
    const { place, incarnation, epoch } = await written();
    expect((await (await place.open()).zoneEpoch('zone-uid'))!.epoch).toBe(epoch);
    await server.stop('SIGINT');
    await server.start();
    const store = await place.open();
    expect(store.incarnation).toBe(incarnation);
    expect((await store.zoneEpoch('zone-uid'))!.epoch).toBeGreaterThan(epoch);
  });
});
