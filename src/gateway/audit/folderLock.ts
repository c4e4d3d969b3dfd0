/** One process for a folder: a socket in it that the holder answers on, also where process ids mean nothing to another container. */
import { unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';

export interface FolderLock {
  release(): Promise<void>;
}

/** sun_path of unix(7), with its terminating zero. */
const MAX_PATH = 107;

/** Rejects where another process holds it. One that was killed holds it no more. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, 'lock');
  if (Buffer.byteLength(path) > MAX_PATH) throw new Error(`${folder} is too long a path: choose a shorter one`);
  const server = (await listen(path)) ?? (await takeOver(folder, path));
  return { release: () => new Promise((resolve) => void server.close(() => resolve())) };
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
