/** Loopback ports for servers that must know theirs before they start: below the range that outgoing connections take theirs from. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const FIRST = 10_000;
const LAST = 31_998;

/** A port that nothing listens on now, nor on the one after it: `caracal up` takes two. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + 2 * Math.floor((Math.random() * (LAST - FIRST)) / 2);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
}

/** `count` different ones. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const server: Server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
