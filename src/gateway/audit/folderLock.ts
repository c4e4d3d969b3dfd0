/** One process for a folder: a socket in it that the holder answers on, also where process ids mean nothing to another container. */
import { mkdtemp, rm, symlink, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface FolderLock {
  release(): Promise<void>;
}

/** sun_path of unix(7) has 108 bytes on Linux and 104 on macOS, the last of them zero. */
const MAX_PATH = 103;

/** Rejects where another process holds it. One that was killed holds it no more. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const server = await atShortPath(folder, async (short) => {
    const path = join(short, 'lock');
    return (await listen(path)) ?? takeOver(folder, path);
  });
  // By its own name: the short one may be gone.
  const release = async () => {
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    await unlink(join(folder, 'lock')).catch(() => undefined);
  };
  return { release };
}

/** The folder by a link that is short enough, where its own path is not. */
async function atShortPath<T>(folder: string, act: (short: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(join(folder, 'lock')) <= MAX_PATH) return act(folder);
  const links = await mkdtemp(join(tmpdir(), 'caracal-'));
  try {
    const short = join(links, 's');
    await symlink(resolve(folder), short);
    return await act(short);
  } finally {
    await rm(links, { recursive: true, force: true });
  }
}

async function takeOver(folder: string, path: string): Promise<Server> {
  const isHeld = await answers(path);
  if (!isHeld) await unlink(path).catch(() => undefined);
  const server = isHeld ? undefined : await listen(path);
  if (server) return server;
  throw new Error(`${folder} is in use by another gateway: give each a folder of its own`);
}

/** Undefined where something is there already. */
function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => void socket.destroy()).unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
