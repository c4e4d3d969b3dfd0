/** `caracal up` whose disk is full: it refuses, keeps what it answered, and goes on by itself when there is room again. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, rmdirSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { run } from '../cli/run.ts';
import { until } from '../support/processes.ts';
import { clientOf, expectStatus, mandateOf } from './client.ts';
import { count, howOften } from './counts.ts';
import { newLedger, startLoad } from './load.ts';
import { nothingKnown, readEmbedded, reconcile } from './reconcile.ts';
import { by, kill, makePlace, READ } from './world.ts';

const ROUNDS = howOften(20, 2);

/** The limit on the size of files stands for the disk: no write goes beyond its first KiB. It is lifted from outside. */
const fill = (pid: number) => execFileSync('prlimit', ['--pid', `${pid}`, '--fsize=1024:']);
const clear = (pid: number) => execFileSync('prlimit', ['--pid', `${pid}`, '--fsize=unlimited:']);

describe.runIf(process.platform === 'linux')('a disk that is full under load', () => {
  it(
    'A-07 X-34 R-13 mints nothing, acknowledges nothing that is not kept, and loses nothing of before',
    { timeout: 60_000 + ROUNDS * 15_000 },
    async (context) => {
      const place = await makePlace();
      const client = clientOf(place);
      const ledger = newLedger();
      const known = nothingKnown();
      const up = await place.start({ survivesFullDisk: true });
      const counts = { minted: 0, refused: 0, sessionsEnded: 0, sessionsNotEnded: 0 };
      for (let round = 0; round < ROUNDS; round += 1) {
        const lifecycle = await client.lifecycleOf('cart');
        const start = () => client.call(lifecycle, 'POST', '/agents', { application_id: 'shop.cart' });
        const session = String(expectStatus(await start(), 201).body['agent_session_id']);
        const wanted = ledger.acknowledged + 1 + Math.floor(Math.random() * 60);
        const load = startLoad(ledger, client);
        await until(
          () => ledger.acknowledged >= wanted,
          () => ledger.wrong.join(),
          60_000,
          5,
        );
        fill(up.pid);
        await load.stop();
        for (let again = 0; again < 10; again += 1)
          for (const ask of [() => client.token({ ...by('cart'), ...READ }), start]) {
            const { status } = await ask();
            if (status === 503) counts.refused += 1;
            else counts.minted += 1;
          }
        const ended = await client.call(lifecycle, 'DELETE', `/agents/${session}`);
        expect([204, 503]).toContain(ended.status);
        clear(up.pid);
        await until(
          async () => (await client.token({ ...by('cart'), ...READ })).status === 200,
          () => 'it does not go on',
        );
        const { status } = (await client.call(lifecycle, 'GET', `/agents/${session}`)).body;
        expect([ended.status, status]).toEqual([ended.status, ended.status === 204 ? 'ended' : 'active']);
        if (ended.status === 204) counts.sessionsEnded += 1;
        else counts.sessionsNotEnded += 1;
        expectStatus(await client.call(lifecycle, 'DELETE', `/agents/${session}`), 204);
        await reconcile(ledger, client, known);
      }
      mandateOf(await client.token({ ...by('cart'), ...READ }));
      await up.stop();
      const held = readEmbedded(place.store, ledger);
      const verified = await run(['audit', 'verify', '--data', place.data]);
      expect([held, ledger.wrong, counts.minted, verified.exit]).toEqual([{ lost: [], doubled: [] }, [], 0, 0]);
      const sizes = { acknowledged: ledger.acknowledged, lost: held.lost.length, doubled: held.doubled.length };
      count(context, { fault: 'disk full', runs: ROUNDS, ...counts, ...sizes });
    },
  );
});

/** A real file system of its own; undefined where this user may not mount one. */
function mountSmall(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'caracal-disk-'));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'none', folder]).status === 0) return folder;
  rmdirSync(folder);
  return undefined;
}

function unmount(folder: string): void {
  execFileSync('umount', ['--lazy', folder]);
  rmdirSync(folder);
}

/** To the last byte. */
function fillUp(file: string): void {
  const descriptor = openSync(file, 'w');
  try {
    for (const size of [1 << 20, 1 << 12, 1]) fillWith(descriptor, Buffer.alloc(size));
  } finally {
    closeSync(descriptor);
  }
}

function fillWith(descriptor: number, block: Buffer): void {
  try {
    for (;;) writeSync(descriptor, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

const probe = mountSmall();
if (probe !== undefined) unmount(probe);

describe.runIf(probe !== undefined)('a file system without a byte left', () => {
  it(
    'A-07 R-01 R-13 still takes the end of a session, from room kept for it, and nothing else',
    { timeout: 60_000 + ROUNDS * 20_000 },
    async (context) => {
      const disk = mountSmall()!;
      onTestFinished(() => unmount(disk));
      const data = join(disk, 'data');
      mkdirSync(data, { mode: 0o700 });
      const place = await makePlace(data);
      const client = clientOf(place);
      const ballast = join(disk, 'ballast');
      let up = await place.start();
      const counts = { minted: 0, refused: 0, sessionsEnded: 0, sessionsNotEnded: 0 };
      for (let round = 0; round < ROUNDS; round += 1) {
        const lifecycle = await client.lifecycleOf('cart');
        const start = () => client.call(lifecycle, 'POST', '/agents', { application_id: 'shop.cart' });
        const sessions = (await Promise.all(Array.from({ length: 20 }, start))).map((answer) =>
          String(expectStatus(answer, 201).body['agent_session_id']),
        );
        fillUp(ballast);
        const mint = () => client.token({ ...by('cart'), ...READ });
        await until(
          async () => (await mint()).status === 503,
          () => 'it finds room',
        );
        for (const session of sessions) {
          const ended = await client.call(lifecycle, 'DELETE', `/agents/${session}`);
          if (ended.status === 204) counts.sessionsEnded += 1;
          else counts.sessionsNotEnded += 1;
          for (const { status } of [await mint(), await start()])
            if (status === 503) counts.refused += 1;
            else counts.minted += 1;
        }
        rmSync(ballast);
        if (round % 2 === 0) {
          await kill(up);
          up = await place.start();
        }
        await until(
          async () => (await mint()).status === 200,
          () => 'it does not go on',
        );
        for (const session of sessions)
          expect((await client.call(lifecycle, 'GET', `/agents/${session}`)).body['status']).toBe('ended');
      }
      await up.stop();
      const verified = await run(['audit', 'verify', '--data', data]);
      expect([counts.minted, counts.sessionsNotEnded, verified.exit]).toEqual([0, 0, 0]);
      count(context, { fault: 'file system full', runs: ROUNDS, ...counts });
    },
  );
});
