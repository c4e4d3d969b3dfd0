/** How this machine's own user reaches the runtime API of `caracal up`: a token and an address in the data folder, for nobody else to read. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { RandomBytes } from '../authority/clock.ts';
import { createExclusively, readText, writeAtomically } from './dataFolder.ts';

export const TOKEN_FILE = 'runtime-token';
const SERVER_FILE = 'runtime-server';

/** The token is made once, and stays: it is as good as the keys beside it. */
export async function openLocalAccess(
  data: string,
  randomBytes: RandomBytes,
): Promise<{ readonly localTokenDigest: string }> {
  const path = join(data, TOKEN_FILE);
  await createExclusively(path, `${Buffer.from(randomBytes(32)).toString('base64url')}\n`);
  const token = (await readText(path))?.trim() ?? '';
  if (token.length < 32) throw new Error(`${path} holds no token: delete it, and another is made`);
  return { localTokenDigest: createHash('sha256').update(token).digest('hex') };
}

/** Where it is served this time. */
export async function writeLocalServer(data: string, url: string): Promise<void> {
  await writeAtomically(join(data, SERVER_FILE), `${url}\n`);
}

/** Undefined where no `caracal up` ever worked with the folder. */
export async function readLocalServer(data: string): Promise<string | undefined> {
  return (await readText(join(data, SERVER_FILE)))?.trim();
}
