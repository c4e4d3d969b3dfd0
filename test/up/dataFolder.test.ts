/** The data folder: private, one owner at a time, files whole or not at all. */
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createExclusively,
  DataFolderLocked,
  lockDataFolder,
  prepareDataFolder,
  writeAtomically,
} from '../../src/up/dataFolder.ts';

let root: string;
let data: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'caracal-data-'));
  data = join(root, 'data');
  await prepareDataFolder(data);
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('the data folder', () => {
  it('is for its owner only', async () => {
    expect((await stat(data)).mode & 0o777).toBe(0o700);
  });

  it('names the flag where the folder cannot be made', async () => {
    const file = join(data, 'file');
    await writeFile(file, '');
    await expect(prepareDataFolder(join(file, 'folder'))).rejects.toThrow(/cannot be the data folder .*--data/);
  });

  it('writes files for their owner only and leaves nothing half written beside them', async () => {
    await writeAtomically(join(data, 'state.json'), '{}');
    expect((await stat(join(data, 'state.json'))).mode & 0o777).toBe(0o600);
    expect(await readdir(data)).toEqual(['state.json']);
  });

  it('never overwrites what another process created first', async () => {
    const path = join(data, 'seed');
    expect(await createExclusively(path, 'first')).toBe(true);
    expect(await createExclusively(path, 'second')).toBe(false);
    expect(await readFile(path, 'utf8')).toBe('first');
  });

  it('refuses a second process while the first one lives, and names it', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    try {
      const lock = await lockDataFolder(data, other.pid!);
      await expect(lockDataFolder(data, process.pid)).rejects.toThrow(DataFolderLocked);
      await expect(lockDataFolder(data, process.pid)).rejects.toThrow(`process ${other.pid}`);
      await lock.release();
      await (await lockDataFolder(data, process.pid)).release();
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('takes over the lock of a process that is gone', async () => {
    const other = spawn(process.execPath, ['-e', '']);
    await once(other, 'exit');
    await writeFile(join(data, 'lock'), `${other.pid}\n`);
    await (await lockDataFolder(data, process.pid)).release();
    expect(await readdir(data)).toEqual([]);
  });
});
