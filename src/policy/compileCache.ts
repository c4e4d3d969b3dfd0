/** What opa said, kept by the text it said it of: in memory, and on disk across restarts. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CAPABILITIES_FILE, DECISION_FILE, INPUT_SCHEMA_FILE } from './capabilities.ts';
import type { ModuleCheck } from './opa.ts';

/** Raised whenever what we generate around policies, or check of them, changes. */
const FORMAT = 'caracal.run/compiled-policy/v5';

const MAX_IN_MEMORY = 4096;

export interface CompileCache {
  /** The check of a text, made at most once at a time. */
  check(rego: string, make: () => Promise<ModuleCheck>): Promise<ModuleCheck>;
  readWASM(digest: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  writeWASM(digest: string, wasm: Uint8Array): Promise<void>;
}

/** Everything is below a folder named for opa's version and the files that take part in compiling. */
export function createCompileCache(folder: string, readVersion: () => Promise<string>): CompileCache {
  const checks = new Map<string, Promise<ModuleCheck>>();
  let place: Promise<string> | undefined;
  const find = () => (place ??= makePlace(folder, readVersion));
  return {
    check(rego, make) {
      const key = hash('rego', rego);
      const known = checks.get(key);
      if (known) return known;
      const result = makeCheck(key, find(), make);
      if (checks.size >= MAX_IN_MEMORY) checks.delete(checks.keys().next().value!);
      checks.set(key, result);
      result.then(
        (check) => isLasting(check) || checks.delete(key),
        () => checks.delete(key),
      );
      return result;
    },
    async readWASM(digest) {
      const bytes = await readOptional(join(await find(), toFile(digest)));
      if (!bytes || bytes.byteLength < 32) return undefined;
      const [seal, wasm] = [bytes.subarray(0, 32), new Uint8Array(bytes.subarray(32))];
      return seal.equals(sha256(wasm)) ? wasm : undefined;
    },
    async writeWASM(digest, wasm) {
      await replace(join(await find(), toFile(digest)), Buffer.concat([sha256(wasm), wasm]));
    },
  };
}

async function makePlace(folder: string, readVersion: () => Promise<string>): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = await Promise.all([CAPABILITIES_FILE, DECISION_FILE, INPUT_SCHEMA_FILE].map((path) => readFile(path)));
  const name = hash(FORMAT, JSON.stringify([await readVersion(), ...files.map((text) => hash('file', text))]));
  const place = join(folder, name.slice(0, 32));
  await mkdir(place, { recursive: true, mode: 0o700 });
  return place;
}

async function makeCheck(key: string, place: Promise<string>, make: () => Promise<ModuleCheck>): Promise<ModuleCheck> {
  const path = join(await place, `${key}.json`);
  const known = await readOptional(path);
  if (known) {
    const [seal, text] = [known.subarray(0, 32), known.subarray(32)];
    if (seal.equals(sha256(text))) return JSON.parse(text.toString('utf8')) as ModuleCheck;
  }
  const result = await make();
  if (!isLasting(result)) return result;
  const text = Buffer.from(JSON.stringify(result));
  await replace(path, Buffer.concat([sha256(text), text]));
  return result;
}

/** What a busy machine had no time for is asked again. */
function isLasting(check: ModuleCheck): boolean {
  return check.ok || check.exceeded !== true;
}

/** `sha256:<hex>` as a file name. */
function toFile(digest: string): string {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new RangeError('a digest is sha256:<64 hex digits>');
  return `${digest.slice(7)}.wasm`;
}

async function readOptional(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

let written = 0;

/** Whole or not at all, also with several processes on one folder. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  written += 1;
  const temporary = `${path}.${process.pid}.${written}`;
  await writeFile(temporary, bytes, { mode: 0o600 });
  await rename(temporary, path);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function hash(label: string, content: string | Uint8Array): string {
  return createHash('sha256').update(label).update('\n').update(content).digest('hex');
}
