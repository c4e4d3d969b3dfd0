/** Where the pinned opa is: as `npm test` says it, else in the cache that it fills. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

export const OPA_PATH = findOPA();

function findOPA(): string {
  if (process.env.CARACAL_OPA !== undefined) return process.env.CARACAL_OPA;
  const version = /open-policy-agent\/opa v(\S+)/.exec(readFileSync(join(ROOT, 'tools/opa/go.mod'), 'utf8'))![1]!;
  const cache = process.env.CARACAL_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'caracal');
  return join(cache, 'opa', version, 'opa');
}
