/** The file of a data folder that keeps the objects with their identities and statuses. */
import { join } from 'node:path';
import * as z from 'zod';
import { readText } from './dataFolder.ts';
import { EMPTY_STATE } from './objectStore.ts';
import type { StoreState } from './objectStore.ts';

export const STATE_FILE = 'state.json';

/** What was last saved; empty for a new folder. Rejects where the file is damaged. */
export async function readState(data: string): Promise<StoreState> {
  const path = join(data, STATE_FILE);
  return parseState(await readText(path), path);
}

const stateFile = z.object({
  version: z.literal(1),
  counter: z.int().min(0),
  objects: z.array(z.looseObject({ object: z.looseObject({ kind: z.string(), metadata: z.looseObject({}) }) })),
  namespaces: z.array(z.looseObject({ name: z.string() })),
});

/** Our own file, checked for shape only; a damaged one is refused rather than replaced, since it holds identities. */
function parseState(text: string | undefined, path: string): StoreState {
  if (text === undefined) return EMPTY_STATE;
  try {
    return stateFile.parse(JSON.parse(text)) as unknown as StoreState;
  } catch (error) {
    throw new Error(`${path} cannot be used: restore it, or delete the folder to begin anew with new identities`, {
      cause: error,
    });
  }
}
