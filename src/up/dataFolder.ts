/** The data folder of `caracal up`: private, owned by one process at a time, every file written whole or not at all. */
import { chmod, link, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Another live process works with the folder. */
export class DataFolderLocked extends Error {
  override readonly name = 'DataFolderLocked';
}

export interface DataFolderLock {
  release(): Promise<void>;
}

/** Creates the folder if need be and makes it readable by its owner only. */
export async function prepareDataFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${path} cannot be the data folder (${why}): choose another with --data`, { cause: error });
  }
}

/** Holds `<path>/lock` with our process id until released; a lock whose process is gone is taken over. */
export async function lockDataFolder(path: string, pid: number): Promise<DataFolderLock> {
  const lock = join(path, 'lock');
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if (await createExclusively(lock, `${pid}\n`)) return { release: () => rm(lock, { force: true }) };
    const holder = Number(await readText(lock));
    if (Number.isInteger(holder) && holder > 0 && holder !== pid && isAlive(holder)) {
      throw new DataFolderLocked(
        `${path} is in use by process ${holder}: stop it, or choose another folder with --data`,
      );
    }
    await rm(lock, { force: true });
  }
  throw new DataFolderLocked(`${lock} cannot be taken: another process keeps creating it`);
}

/** Writes beside the target, makes it durable, then renames it into place. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await writeDurably(temporary, text);
  await rename(temporary, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** False if the file exists already; nothing is written then. Whoever sees the file sees all of it. */
export async function createExclusively(path: string, text: string): Promise<boolean> {
  const folder = await mkdtemp(join(dirname(path), '.new-'));
  const whole = join(folder, 'file');
  try {
    await writeDurably(whole, text);
    await link(whole, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Undefined when there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
