/** Finds the pinned `opa`: the flag, CARACAL_OPA, PATH in that version, or the cache. */
import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { CommandError } from './runtime.ts';
import type { Runtime } from './runtime.ts';

/** Where compiled policy is kept between runs. */
export function opaCache(runtime: Pick<Runtime, 'env' | 'home'>): string {
  return join(cacheRoot(runtime), 'policy');
}

/** Path of an opa of exactly the pinned version. */
export async function findOPA(flag: string | undefined, runtime: Runtime): Promise<string> {
  const version = await pinnedVersion(runtime.root);
  const given = flag ?? runtime.env.CARACAL_OPA;
  if (given !== undefined) {
    const path = resolve(runtime.cwd, given);
    if ((await versionOf(path)) === version) return path;
    const source = flag === undefined ? 'CARACAL_OPA' : '--opa';
    throw new CommandError(`${source} ${given} is not opa ${version}: ${howToGet(version)}`);
  }
  const folders = (runtime.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const path of [...folders, join(cacheRoot(runtime), 'opa', version)].map((folder) => join(folder, 'opa'))) {
    if ((await isExecutable(path)) && (await versionOf(path)) === version) return path;
  }
  throw new CommandError(`opa ${version} is needed to read policies and is not here: ${howToGet(version)}`);
}

function howToGet(version: string): string {
  return `\`npm run caracal\` fetches it, or put opa ${version} on PATH, or name it with --opa or CARACAL_OPA`;
}

function cacheRoot({ env, home }: Pick<Runtime, 'env' | 'home'>): string {
  return env.CARACAL_CACHE ?? join(env.XDG_CACHE_HOME ?? join(home, '.cache'), 'caracal');
}

/** tools/opa/go.mod is the one place where the version is written. */
async function pinnedVersion(root: string): Promise<string> {
  const text = await readFile(join(root, 'tools/opa/go.mod'), 'utf8');
  const match = /github\.com\/open-policy-agent\/opa v(\S+)/.exec(text);
  if (!match) throw new CommandError('tools/opa/go.mod names no version of opa: the installation is damaged');
  return match[1]!;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Undefined where the file is no opa that runs. */
function versionOf(path: string): Promise<string | undefined> {
  return new Promise((done) => {
    execFile(path, ['version'], { timeout: 10_000 }, (error, stdout) => {
      done(error ? undefined : /^Version: (\S+)$/m.exec(stdout)?.[1]);
    });
  });
}
