/** The store across processes: killed ones, several at one file, and a disk that is full. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StoreUnavailable } from '../../src/store/store.ts';
import { singleUseOf, decisionOf } from './records.ts';
import { openStore, tempPath } from './support.ts';

const committer = fileURLToPath(new URL('./committer.ts', import.meta.url));
const runtimeCommitter = fileURLToPath(new URL('./runtimeCommitter.ts', import.meta.url));

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Lines until the process ends; `act` may end it. */
async function readLines(child: ChildProcess, act: (line: string, count: number) => void): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) act(line, lines.push(line));
  return lines;
}

const acked = (lines: readonly string[]) =>
  lines.filter((line) => line.startsWith('acked ')).map((line) => line.slice('acked '.length));

describe('a process that is killed', () => {
  it('has lost nothing that it had answered', async () => {
    const path = tempPath();
    const ids: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const child = start(process.execPath, [committer, path]);
      const lines = await readLines(child, (_, count) => void (count === 400 && child.kill('SIGKILL')));
      ids.push(...acked(lines));
    }
    expect(ids.length).toBeGreaterThan(1000);
    const store = await openStore({ path });
    const kept = new Set((await store.decisions('zone-uid', 1_000_000)).map(({ id }) => id));
    expect(ids.filter((id) => !kept.has(id))).toEqual([]);
    const replay = await store.commit({ decision: decisionOf('replay'), consume: [singleUseOf(ids[0]!)] });
    expect(replay.ok).toBe(false);
  });

  it('has written each runtime entry with its decision, its object and its epoch, or none of them', async () => {
    const path = tempPath();
    let sequences: string[] = [];
    for (const at of [30, 61, 97]) {
      const child = start(process.execPath, [runtimeCommitter, path]);
      sequences = sequences.concat(acked(await readLines(child, (_, n) => void (n === at && child.kill('SIGKILL')))));
    }
    const store = await openStore({ path });
    const { sequence, objects } = await store.runtime('zone-uid');
    expect(sequence).toBeGreaterThanOrEqual(sequences.length);
    expect(new Set(sequences).size).toBe(sequences.length);
    const entries = await store.runtimeEntries('zone-uid', 0, sequence + 1);
    expect(entries.map((entry) => entry.sequence)).toEqual(entries.map((_, index) => index + 1));
    expect([entries, objects, await store.decisions('zone-uid', 1000)].map(({ length }) => length)).toEqual(
      Array.from({ length: 3 }, () => sequence),
    );
    const epochs = entries.map(({ raised }) => raised!.epoch);
    expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
    expect(new Set(epochs).size).toBe(sequence);
    expect((await store.zoneEpoch('zone-uid'))!.epoch).toBeGreaterThanOrEqual(epochs.at(-1)!);
  });
});

describe('a second process at one file', () => {
  it('is refused while the first lives, and takes over when it is gone', async () => {
    const path = tempPath();
    const store = await openStore({ path });
    const second = start(process.execPath, [committer, path]);
    let complaint = '';
    second.stderr!.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    expect(await readLines(second, () => undefined)).toEqual([]);
    expect(complaint).toContain(`${path} is in use by another process: stop it first`);
    await store.close();
    const third = start(process.execPath, [committer, path]);
    const lines = await readLines(third, () => void third.kill('SIGKILL'));
    expect(lines[0]).toBe(`open ${store.incarnation}`);
  });

  it('is refused also as a second store of the same process', async () => {
    const path = tempPath();
    await openStore({ path });
    await expect(openStore({ path, lockTimeoutMs: 0 })).rejects.toBeInstanceOf(StoreUnavailable);
  });
});

const hasLimits = process.platform === 'linux';

describe.runIf(hasLimits)('a disk that is full', () => {
  it('X-34 refuses commits while it is, loses none that it answered, and heals by itself', async () => {
    const path = tempPath();
    // The limit on the size of files stands for the disk: writes beyond it fail, and it can be lifted from outside. The
    // room that is kept for revocations (4 MiB) still finds place.
    const limited = 'trap "" XFSZ; ulimit -S -f 4200; exec "$0" "$@"';
    const child = start('bash', ['-c', limited, process.execPath, committer, path]);
    let lifted = -1;
    const lines = await readLines(child, (line, count) => {
      if (lifted < 0 && line.startsWith('unavailable ')) {
        lifted = count;
        execFileSync('bash', ['-c', `prlimit --pid ${child.pid} --fsize=unlimited:`]);
      }
      if (lifted >= 0 && acked([line]).length > 0 && count > lifted + 100) child.kill('SIGKILL');
    });
    expect(acked(lines.slice(0, lifted)).length).toBeGreaterThan(0);
    expect(acked(lines.slice(lifted)).length).toBeGreaterThan(0);
    const store = await openStore({ path });
    const kept = new Set((await store.decisions('zone-uid', 1_000_000)).map(({ id }) => id));
    expect(acked(lines).filter((id) => !kept.has(id))).toEqual([]);
  });
});
