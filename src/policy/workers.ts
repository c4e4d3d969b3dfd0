/** The policy engine: sets compiled once, loaded per zone, asked on worker threads within bounds. */
import type { Clock } from '../authority/clock.ts';
import type { PolicyInput, PolicyOutcome } from '../authority/policyInput.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { applies, toData } from './assemble.ts';
import { policySetDigest } from './digest.ts';
import type { PolicyEngine, PreparedPolicy } from './engine.ts';
import type { TimeMember } from './inputPaths.ts';
import type { OPA } from './opa.ts';
import { toFailure, toOutcome } from './outcome.ts';
import { createPool, type JobResult, type Pool } from './pool.ts';
import { createRememberedOutcomes, type RememberedOutcomes } from './remembered.ts';
import { compileModule, DEFAULT_MEMORY_PAGES } from './wasm.ts';

export interface PolicyEngineConfig {
  readonly opa: Pick<OPA, 'compile'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Default 2: one that is stuck leaves another. */
  readonly workers?: number;
  /** For all evaluations of one exchange, once a worker is at it. Default 250, thousands of times what a sane set takes. */
  readonly deadlineMs?: number;
  /** Of 64 KiB, for each instance. Default 256. */
  readonly memoryPages?: number;
}

/** Bytes of one input's JSON. */
const MAX_INPUT_BYTES = 65_536;

/** How many digests of a zone stay loaded: the last prepared, and the one before for exchanges under way. */
const KEPT_DIGESTS = 2;

type Program =
  | {
      readonly ok: true;
      readonly module: WebAssembly.Module;
      readonly speaking: ReadonlySet<string>;
      readonly time: ReadonlySet<TimeMember>;
    }
  | { readonly ok: false; readonly message: string };

interface Loaded {
  readonly key: number;
  readonly modules: readonly PolicyModule[];
  /** Of `modules`, those that can say something. */
  readonly speaking: readonly PolicyModule[];
  readonly time: ReadonlySet<TimeMember>;
}

interface State {
  readonly opa: Pick<OPA, 'compile'>;
  readonly pool: Pool;
  readonly remembered: RememberedOutcomes;
  /** By digest: compiled, or being compiled, for as long as a zone has it. */
  readonly programs: Map<string, Promise<Program>>;
  /** By zone UID, then digest, the last prepared last. */
  readonly zones: Map<string, Map<string, Loaded>>;
  lastKey: number;
}

export function createPolicyEngine(config: PolicyEngineConfig): PolicyEngine {
  const { opa, clock, workers = 2, deadlineMs = 250, memoryPages = DEFAULT_MEMORY_PAGES } = config;
  const pool = createPool({ workers, deadlineMs, memoryPages, clock });
  const remembered = createRememberedOutcomes();
  const state: State = { opa, pool, remembered, programs: new Map(), zones: new Map(), lastKey: 0 };
  return {
    prepare: (zoneUID, digest, modules) => prepare(zoneUID, digest, modules, state),
    evaluate: (zoneUID, digest, inputs) => evaluate(zoneUID, state.zones.get(zoneUID)?.get(digest), inputs, state),
    close: () => pool.close(),
  };
}

async function prepare(
  zoneUID: string,
  digest: string,
  modules: readonly PolicyModule[],
  state: State,
): Promise<PreparedPolicy> {
  if (policySetDigest(modules) !== digest) return { ok: false, message: `the text does not have the digest ${digest}` };
  const program = await readProgram(digest, modules, state);
  if (!program.ok) return program;
  const { zones, pool, programs } = state;
  const zone = zones.get(zoneUID) ?? new Map<string, Loaded>();
  zones.set(zoneUID, zone);
  const loaded = zone.get(digest) ?? load(program, modules, state);
  zone.delete(digest);
  zone.set(digest, loaded);
  for (const [old, { key }] of [...zone].slice(0, -KEPT_DIGESTS)) {
    zone.delete(old);
    pool.unload(key);
    if (!zones.values().some((other) => other.has(old))) programs.delete(old);
  }
  return { ok: true };
}

function readProgram(digest: string, modules: readonly PolicyModule[], { opa, programs }: State): Promise<Program> {
  const known = programs.get(digest);
  if (known) return known;
  const compiling = compileProgram(modules, opa);
  programs.set(digest, compiling);
  void compiling.then(({ ok }) => ok || programs.delete(digest));
  return compiling;
}

/** Never rejects: an opa that cannot be run is a message as well, and the next prepare tries again. */
async function compileProgram(modules: readonly PolicyModule[], opa: Pick<OPA, 'compile'>): Promise<Program> {
  try {
    const compiled = await opa.compile(modules);
    if (!compiled.ok) return { ok: false, message: compiled.message };
    const module = await compileModule(compiled.wasm);
    return { ok: true, module, speaking: new Set(compiled.speaking), time: compiled.time };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'the set cannot be compiled' };
  }
}

function load(program: Extract<Program, { ok: true }>, modules: readonly PolicyModule[], state: State): Loaded {
  state.lastKey += 1;
  state.pool.load(state.lastKey, program.module);
  const speaking = modules.filter(({ name }) => program.speaking.has(name));
  return { key: state.lastKey, modules, speaking, time: program.time };
}

async function evaluate(
  zoneUID: string,
  loaded: Loaded | undefined,
  inputs: readonly PolicyInput[],
  { pool, remembered }: Pick<State, 'pool' | 'remembered'>,
): Promise<readonly PolicyOutcome[]> {
  if (!loaded) return inputs.map(() => toFailure('unavailable'));
  const keys = inputs.map((input) => remembered.keyOf(loaded.key, loaded.time, input));
  const known = keys.map((key) => (key === undefined ? undefined : remembered.get(key)));
  if (known.every((outcome) => outcome !== undefined)) return known;
  const outcomes = await ask(zoneUID, loaded, inputs, pool);
  for (const [index, key] of keys.entries()) if (key !== undefined) remembered.set(key, outcomes[index]!);
  return outcomes;
}

async function ask(
  zoneUID: string,
  loaded: Loaded,
  inputs: readonly PolicyInput[],
  pool: Pool,
): Promise<readonly PolicyOutcome[]> {
  const texts = inputs.map((input) => JSON.stringify(input));
  if (texts.some((text) => Buffer.byteLength(text) > MAX_INPUT_BYTES)) {
    return inputs.map((input) => toFailure('too_large', askedOf(loaded, input)));
  }
  const documents = inputs.map((input, index) => ({ data: toData(loaded.modules, input), input: texts[index]! }));
  const result = await pool.run(zoneUID, loaded.key, documents);
  return inputs.map((input, index) => readAnswer(result, index, askedOf(loaded, input)));
}

function askedOf({ speaking }: Loaded, input: PolicyInput): readonly string[] {
  return speaking.filter((module) => applies(module, input)).map(({ name }) => name);
}

function readAnswer(result: JobResult, index: number, asked: readonly string[]): PolicyOutcome {
  if (!result.ok) return toFailure(result.failure, asked);
  const answer = result.answers[index];
  return answer?.ok ? toOutcome(answer.json, asked) : toFailure('error', asked);
}
