/** Policy text in, checked modules and WASM out: the pinned opa with our capabilities, and a cache keyed by text. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { PolicyModule } from '../authority/snapshot.ts';
import { assemble, ENTRYPOINT, type ModuleFacts } from './assemble.ts';
import { CAPABILITIES_FILE, DECISION_FILE, INPUT_SCHEMA_FILE } from './capabilities.ts';
import { createCompileCache, type CompileCache } from './compileCache.ts';
import { policySetDigest } from './digest.ts';
import { createInputPaths, type CheckInputPath, type TimeMember } from './inputPaths.ts';
import { findDeepLine, MAX_NESTING } from './nesting.ts';
import { createOPARunner, type ProcessResult, type RunOPA } from './opaProcess.ts';
import { readSyntax, type Problem } from './syntax.ts';
import { readTarEntry } from './tar.ts';
import { compileModule, instantiate, ModuleRefused } from './wasm.ts';

/** Bytes: of one policy's text, and of a set's together. */
const MAX_POLICY_BYTES = 65_536;
const MAX_SET_BYTES = 786_432;

export type ModuleCheck =
  | { readonly ok: true; readonly facts: ModuleFacts }
  | {
      readonly ok: false;
      readonly reason: 'CompileFailed' | 'PackageInvalid' | 'TooLarge';
      /** Names the line and the fix. */
      readonly message: string;
      /** It went beyond opa's bounds, which another day it may not. */
      readonly exceeded?: true;
    };

type CompiledSet =
  | {
      readonly ok: true;
      readonly digest: string;
      readonly wasm: Uint8Array<ArrayBuffer>;
      /** Names of the modules that have a rule with a meaning; constants have none. */
      readonly speaking: readonly string[];
      /** Members of `input.time` that any of them may read. */
      readonly time: ReadonlySet<TimeMember>;
    }
  | { readonly ok: false; readonly reason: 'CompileFailed' | 'PackageConflict' | 'TooLarge'; readonly message: string };

export interface OPAConfig {
  /** Of the pinned opa. */
  readonly path: string;
  /** A folder of ours alone; made where it is not there. */
  readonly cacheDir: string;
}

/** Rejects only where opa cannot be run or the cache cannot be written: what is wrong with text is a value. */
export interface OPA {
  /** Syntax, strict mode, types against the input's schema, capabilities, and the rules about packages. */
  check(rego: string): Promise<ModuleCheck>;
  /** Compiles modules together. */
  compile(modules: readonly PolicyModule[]): Promise<CompiledSet>;
  /** Runs `opa eval` on the very program that is compiled: the modules, and what the platform adds. */
  evaluate(modules: readonly PolicyModule[], query: string, documents: OPADocuments): Promise<ProcessResult>;
}

interface OPADocuments {
  /** JSON texts. */
  readonly input: string;
  readonly data: string;
  /** `full` for a trace. */
  readonly explain?: 'full';
}

interface Ports {
  readonly run: RunOPA;
  readonly cache: CompileCache;
  readonly checkInputPath: CheckInputPath;
  /** Runs with an empty folder of its own. */
  readonly inFolder: <T>(use: (folder: string) => Promise<T>) => Promise<T>;
}

export function createOPA({ path, cacheDir }: OPAConfig): OPA {
  const folder = resolve(cacheDir);
  const run = createOPARunner(resolve(path));
  const checkInputPath = createInputPaths();
  const inFolder = createFolders(folder);
  const ports: Ports = {
    run,
    checkInputPath,
    inFolder,
    cache: createCompileCache(folder, () => readVersion(run, folder)),
  };
  return {
    check: (rego) => checkModule(rego, ports),
    compile: (modules) => compileSet(modules, ports),
    evaluate: (modules, query, documents) => evaluate(modules, query, documents, ports),
  };
}

async function readVersion(run: RunOPA, folder: string): Promise<string> {
  const { ok, stdout, stderr } = await run(['version'], folder);
  const version = /^Version: (\S+)$/m.exec(stdout)?.[1];
  if (!ok || version === undefined) throw new Error(`opa does not say its version: ${stderr.trim()}`);
  return version;
}

function createFolders(cacheDir: string): Ports['inFolder'] {
  return async (use) => {
    const parent = join(cacheDir, 'work');
    await mkdir(parent, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(parent, 'opa-'));
    try {
      return await use(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

function checkModule(rego: string, ports: Ports): Promise<ModuleCheck> {
  const bytes = Buffer.byteLength(rego);
  if (bytes > MAX_POLICY_BYTES) {
    const message = `spec.rego has ${bytes} bytes, more than ${MAX_POLICY_BYTES}; split it into several policies`;
    return Promise.resolve({ ok: false, reason: 'TooLarge', message });
  }
  const deep = findDeepLine(rego);
  if (deep !== undefined) {
    const message = `brackets nest deeper than ${MAX_NESTING}; name the inner parts`;
    return Promise.resolve(compileFailed(toLine({ line: deep, message })));
  }
  return ports.cache.check(rego, () => ports.inFolder((folder) => checkInFolder(rego, folder, ports)));
}

async function checkInFolder(rego: string, folder: string, { run, checkInputPath }: Ports): Promise<ModuleCheck> {
  await writeFile(join(folder, 'policy.rego'), rego);
  const common = ['--format', 'json', 'policy.rego'];
  const flags = ['--strict', '--capabilities', CAPABILITIES_FILE, '--schema', INPUT_SCHEMA_FILE];
  const [checked, parsed] = await Promise.all([
    run(['check', ...flags, ...common], folder),
    run(['parse', '--json-include', 'locations', ...common], folder),
  ]);
  if (checked.exceeded || parsed.exceeded) return tooComplex();
  if (!parsed.ok) return compileFailed(toMessage(parsed.stderr, () => undefined));
  const { facts, problems } = readSyntax(JSON.parse(parsed.stdout), checkInputPath);
  const [problem] = problems;
  if (problem) return { ok: false, reason: problem.reason, message: toLine(problem) };
  return checked.ok ? { ok: true, facts } : compileFailed(toMessage(checked.stderr, () => undefined));
}

const toLine = ({ line, message }: Pick<Problem, 'line' | 'message'>) => `line ${line}: ${message}`;

function compileFailed(message: string) {
  return { ok: false, reason: 'CompileFailed', message } as const;
}

function tooComplex() {
  return {
    ...compileFailed('opa needs more time or memory than it is given; simplify the policy'),
    exceeded: true,
  } as const;
}

interface OPAError {
  readonly message: string;
  readonly location?: { readonly file?: string; readonly row?: number };
}

/** opa's errors, each with the line of the tenant's text; `nameOf` gives the policy of a file. */
function toMessage(text: string, nameOf: (file: string) => string | undefined): string {
  const errors = readErrors(text);
  if (!errors) return text.trim().slice(0, 500) || 'opa refuses it without a message';
  const lines = errors.slice(0, 3).map(({ message, location }) => {
    const name = nameOf(location?.file ?? '');
    const line = location?.row === undefined ? message : toLine({ line: location.row, message });
    return name === undefined ? line : `${name}: ${line}`;
  });
  const more = errors.length > 3 ? `; and ${errors.length - 3} more` : '';
  return `${lines.join('; ')}${more}`.replaceAll(/\s*\n\s*/g, ' ').slice(0, 1000);
}

function readErrors(text: string): readonly OPAError[] | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  const { errors } = JSON.parse(text) as { readonly errors?: readonly OPAError[] };
  return errors && errors.length > 0 ? errors : undefined;
}

async function compileSet(modules: readonly PolicyModule[], ports: Ports): Promise<CompiledSet> {
  const digest = policySetDigest(modules);
  const bytes = modules.reduce((sum, { rego }) => sum + Buffer.byteLength(rego), 0);
  if (bytes > MAX_SET_BYTES) {
    const message = `its policies have ${bytes} bytes together, more than ${MAX_SET_BYTES}`;
    return { ok: false, reason: 'TooLarge', message };
  }
  if (modules.length === 0) return compileFailed('it has no policies');
  const checked = await checkModules(modules, ports);
  if ('ok' in checked) return checked;
  const conflict = findConflict(checked);
  if (conflict !== undefined) return { ok: false, reason: 'PackageConflict', message: conflict };
  const speaking = checked.filter(({ facts }) => facts.rules.length > 0).map(({ module }) => module.name);
  const time = new Set(checked.flatMap(({ facts }) => facts.time));
  const cached = await ports.cache.readWASM(digest);
  if (cached) return { ok: true, digest, wasm: cached, speaking, time };
  const built = await ports.inFolder((folder) => build(checked, folder, ports));
  if (!(built instanceof Uint8Array)) return built;
  await ports.cache.writeWASM(digest, built);
  return { ok: true, digest, wasm: built, speaking, time };
}

type Checked = readonly { readonly module: PolicyModule; readonly facts: ModuleFacts }[];

async function checkModules(modules: readonly PolicyModule[], ports: Ports) {
  const checks = await Promise.all(modules.map(({ rego }) => checkModule(rego, ports)));
  const checked: { readonly module: PolicyModule; readonly facts: ModuleFacts }[] = [];
  for (const [index, check] of checks.entries()) {
    const module = modules[index]!;
    if (!check.ok) return compileFailed(`policy ${module.name}: ${check.message}`);
    checked.push({ module, facts: check.facts });
  }
  return checked;
}

/** Neither the same package nor one inside another: a policy would read, or be read as, its neighbour. */
function findConflict(checked: Checked): string | undefined {
  const sorted = checked
    .map(({ module, facts }) => ({ name: module.name, path: `${facts.package.join('.')}.` }))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.name < b.name ? -1 : 1));
  for (const [index, { name, path }] of sorted.entries()) {
    const before = sorted[index - 1];
    if (before && path.startsWith(before.path)) {
      const relation = path === before.path ? 'the same as' : 'inside';
      return `package ${path.slice(0, -1)} of policy ${name} is ${relation} that of policy ${before.name}; rename one`;
    }
  }
  return undefined;
}

/** Writes the program; returns its files. */
async function writeProgram(checked: Checked, folder: string): Promise<readonly string[]> {
  const files = checked.map((_, index) => `${index}.rego`);
  await Promise.all([
    ...checked.map(({ module }, index) => writeFile(join(folder, files[index]!), module.rego)),
    writeFile(join(folder, 'said.rego'), assemble(checked)),
  ]);
  return [...files, 'said.rego', DECISION_FILE];
}

async function build(checked: Checked, folder: string, ports: Ports) {
  const files = await writeProgram(checked, folder);
  const flags = ['--target', 'wasm', '--entrypoint', ENTRYPOINT, '--capabilities', CAPABILITIES_FILE];
  const result = await ports.run(['build', ...flags, '--output', 'bundle.tar.gz', ...files], folder);
  if (result.exceeded) return tooComplex();
  if (!result.ok) return compileFailed(toSetMessage(result.stderr, checked));
  const bundle = gunzipSync(await readFile(join(folder, 'bundle.tar.gz')), { maxOutputLength: 64 << 20 });
  const wasm = new Uint8Array(readTarEntry(bundle, '/policy.wasm'));
  const refused = await tryInstantiate(wasm);
  return refused === undefined ? wasm : compileFailed(refused);
}

/** `opa build` prints errors as text: `0.rego:3: message`. */
function toSetMessage(stderr: string, checked: Checked): string {
  const text = stderr
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim();
  return text
    .replaceAll(/\b(\d+)\.rego:(\d+)/g, (whole, index: string, line: string) => {
      const name = checked[Number(index)]?.module.name;
      return name === undefined ? whole : `policy ${name}, line ${line}`;
    })
    .slice(0, 1000);
}

/** Refuses before anything is served what the evaluator would refuse to load. */
async function tryInstantiate(wasm: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  try {
    instantiate(await compileModule(wasm), ENTRYPOINT);
    return undefined;
  } catch (error) {
    if (error instanceof ModuleRefused || error instanceof WebAssembly.LinkError)
      return `its WASM is refused: ${error.message}`;
    throw error;
  }
}

async function evaluate(
  modules: readonly PolicyModule[],
  query: string,
  { input, data, explain }: OPADocuments,
  ports: Ports,
): Promise<ProcessResult> {
  const checked = await checkModules(modules, ports);
  if ('ok' in checked) return { ok: false, exceeded: false, stdout: '', stderr: checked.message };
  return ports.inFolder(async (folder) => {
    const files = await writeProgram(checked, folder);
    await writeFile(join(folder, 'data.json'), data);
    const loads = [...files, 'data.json'].flatMap((file) => ['--data', file]);
    const flags = ['--format', 'json', '--capabilities', CAPABILITIES_FILE, '--stdin-input', ...loads];
    return ports.run(['eval', ...flags, ...(explain ? ['--explain', explain] : []), query], folder, input);
  });
}
