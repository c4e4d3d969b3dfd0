/** Reads the manifest files below a list of paths, re-reading and re-parsing only what changed on disk. */
import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseManifest } from './manifest.ts';
import type { ParsedManifest } from './manifest.ts';
import type { ReadFile } from './plan.ts';

export interface FolderReading {
  /** Sorted by path. */
  readonly files: readonly ReadFile[];
  /** Absolute paths of the folders passed through, for watching. */
  readonly folders: readonly string[];
}

export interface FolderReader {
  read(): Promise<FolderReading>;
}

/** Larger than any sensible manifest; a mistake such as pointing at a build folder must not eat the memory. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

interface Found {
  readonly id: string;
  readonly file: string;
}

interface Cached {
  readonly signature: string;
  readonly manifest: ParsedManifest;
}

/** `exclude`: a folder never looked into (the data folder). Names beginning with a dot are passed over below a path. */
export function createFolderReader(paths: readonly string[], exclude?: string): FolderReader {
  let cache = new Map<string, Cached>();
  return {
    async read() {
      const walk: Walk = { found: new Map(), folders: [], broken: [], seen: new Set(), exclude };
      for (const path of paths) await visit(path, undefined, walk);
      const next = new Map<string, Cached>();
      const files: ReadFile[] = walk.broken;
      for (const { id, file } of walk.found.values()) {
        const entry = await load(id, file, cache.get(id));
        if (!entry) continue;
        next.set(id, entry);
        files.push({ id, manifest: entry.manifest });
      }
      cache = next;
      return { files: files.toSorted((a, b) => (a.id < b.id ? -1 : 1)), folders: [...new Set(walk.folders)] };
    },
  };
}

interface Walk {
  readonly found: Map<string, Found>;
  readonly folders: string[];
  readonly broken: ReadFile[];
  /** Real paths: what links lead to more than once is one thing, and a link to a folder above itself is no new one. */
  readonly seen: Set<string>;
  readonly exclude: string | undefined;
}

/** `known`: the real path, empty where it has to be asked for, undefined for a path that was named itself. */
async function visit(path: string, known: string | undefined, walk: Walk): Promise<void> {
  const id = resolve(path);
  const isRoot = known === undefined;
  if (id === walk.exclude) return;
  try {
    const info = await stat(id);
    const real = isRoot || known === '' ? await realpath(id) : known;
    if (walk.seen.has(real)) return;
    walk.seen.add(real);
    if (info.isDirectory()) {
      walk.folders.push(id);
      const entries = (await readdir(id, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
      for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
        await visit(join(path, entry.name), entry.isSymbolicLink() ? '' : join(real, entry.name), walk);
      }
    } else if (info.isFile() && (isRoot || /\.(ya?ml|json)$/.test(id))) {
      // Of a file that was named itself, its folder tells when it is replaced.
      if (isRoot) walk.folders.push(dirname(id));
      walk.found.set(id, { id, file: path });
    }
  } catch (error) {
    // A file that went away between listing and looking is simply gone; a root that is missing is a mistake.
    if (isMissing(error) && !isRoot) return;
    walk.broken.push(broken(id, path, error));
  }
}

async function load(id: string, file: string, cached: Cached | undefined): Promise<Cached | undefined> {
  try {
    const info = await stat(id, { bigint: true });
    const signature = [info.mtimeNs, info.ctimeNs, info.size, info.ino, file].join(' ');
    if (cached?.signature === signature) return cached;
    if (info.size > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes: split it`);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(id));
    return { signature, manifest: parseManifest(text, file) };
  } catch (error) {
    return isMissing(error) ? undefined : { signature: '', manifest: broken(id, file, error).manifest };
  }
}

function broken(id: string, file: string, error: unknown): ReadFile {
  const message = isMissing(error)
    ? 'does not exist: name a file or folder of manifests'
    : `cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`;
  return { id, manifest: { file, documents: [], problems: [{ file, line: 1, path: '', message }] } };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
