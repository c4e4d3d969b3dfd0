/** Signing keys in the data folder: one private file per zone UID. */
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { KeySetState } from '../compiler/world.ts';
import type { PrivateZoneKey } from '../tokens/keys.ts';
import { readText, writeAtomically } from './dataFolder.ts';

export type StoredKeySet =
  { readonly ok: true; readonly keys: readonly PrivateZoneKey[] } | { readonly ok: false; readonly message: string };

export interface KeyFiles {
  load(): Promise<ReadonlyMap<string, StoredKeySet>>;
  write(zoneUID: string, keys: readonly PrivateZoneKey[]): Promise<void>;
  remove(zoneUID: string): Promise<void>;
}

const member = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const keyFile = z.object({
  keys: z.array(
    z.object({ kid: z.string(), x: member, y: member, d: member, createdAt: z.int(), activeAt: z.int().optional() }),
  ),
});

export function createKeyFiles(folder: string): KeyFiles {
  const path = (zoneUID: string) => join(folder, `${zoneUID}.json`);
  return {
    async load() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await chmod(folder, 0o700);
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
      return new Map(
        await Promise.all(
          names.map(async (name) => [name.slice(0, -5), await readKeySet(join(folder, name))] as const),
        ),
      );
    },
    write: (zoneUID, keys) => writeAtomically(path(zoneUID), `${JSON.stringify({ keys })}\n`),
    remove: (zoneUID) => rm(path(zoneUID), { force: true }),
  };
}

/** Messages name the file and never what is in it. */
async function readKeySet(path: string): Promise<StoredKeySet> {
  const wrong = `${path} is not a key file of ours: restore it, or delete it to have new keys made`;
  try {
    const { keys } = keyFile.parse(JSON.parse((await readText(path)) ?? ''));
    return { ok: true, keys: keys.map(({ activeAt, ...key }) => ({ ...key, activeAt })) };
  } catch {
    return { ok: false, message: wrong };
  }
}

/** The public halves, as compile sees them. */
export function toKeySetState(stored: StoredKeySet): KeySetState {
  if (!stored.ok) return stored;
  return { ok: true, keys: stored.keys.map(({ kid, x, y, activeAt }) => ({ kid, x, y, activeAt })) };
}
