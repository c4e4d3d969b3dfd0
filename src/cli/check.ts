/** `caracal check`: manifests judged offline by the rules of the cluster and the verdicts of compile. */
import { compile } from '../compiler/compile.ts';
import { toStatus } from '../compiler/status.ts';
import type { Observation } from '../compiler/status.ts';
import { objectKey } from '../compiler/verdict.ts';
import type { Verdict, VerdictCondition } from '../compiler/verdict.ts';
import { createPolicyChecker } from '../policy/checker.ts';
import { createOPA } from '../policy/opa.ts';
import type { OPA } from '../policy/opa.ts';
import { readOfflineWorld } from '../up/offline.ts';
import type { OfflineEntry, OfflineWorld } from '../up/offline.ts';
import { findOPA, opaCache } from './opaBinary.ts';
import { CONFLICT_WARNING, isConflicted, toCheckText } from './checkText.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';

export interface CheckOptions {
  readonly output: 'table' | 'json';
  readonly namespace: string;
  readonly now?: string;
  readonly opa?: string;
}

export interface CheckedObject extends Omit<OfflineEntry, 'object' | 'lineOf' | 'lineInText'> {
  /** As a cluster would show them; empty where the object is refused. */
  readonly conditions: readonly VerdictCondition[];
}

export async function runCheck(paths: readonly string[], options: CheckOptions, runtime: Runtime): Promise<ExitCode> {
  const now = parseNow(options.now, runtime);
  const offline = await readOffline(paths, options, now, runtime);
  const objects = toChecked(offline, now);
  const failed = objects.some(isError);
  if (options.output === 'json') runtime.out(`${JSON.stringify({ objects: objects.map(toJSON) }, undefined, 2)}\n`);
  else runtime.out(toCheckText(objects));
  if (objects.some(isConflicted)) runtime.err(CONFLICT_WARNING);
  for (const { file, line, message } of offline.notes) runtime.err(`note: ${file}:${line}: ${message}\n`);
  return failed ? 1 : 0;
}

/** The world of the manifests at `now` (Unix milliseconds). */
export async function readOffline(
  paths: readonly string[],
  options: Pick<CheckOptions, 'namespace' | 'opa'>,
  now: number,
  runtime: Runtime,
): Promise<OfflineWorld> {
  const checker = createPolicyChecker(await openOPA(options, runtime), runtime.clock);
  try {
    const ports = { clock: { now: () => now }, randomBytes: runtime.randomBytes, checker };
    return await readOfflineWorld(paths, options.namespace, ports);
  } finally {
    await checker.close();
  }
}

export async function openOPA({ opa }: Pick<CheckOptions, 'opa'>, runtime: Runtime): Promise<OPA> {
  return createOPA({ path: await findOPA(opa, runtime), cacheDir: opaCache(runtime) });
}

/** Every STS serves it, no gateway is connected. */
const PROGRAMMED: Observation = { replicas: 'current', gateways: { connected: 0, current: 0 } };

/** An object that does not count: refused, or not accepted for a reason that time alone will not lift. */
export function isError({ refused, conditions }: CheckedObject): boolean {
  const accepted = conditions.find((condition) => condition.type === 'Accepted');
  return refused.length > 0 || (accepted?.status === 'False' && accepted.reason !== 'NotYetValid');
}

function toChecked({ entries, world, results }: OfflineWorld, now: number): readonly CheckedObject[] {
  const { verdicts } = compile(world, now, results);
  return entries.map(({ object, ...entry }) => {
    const verdict = object ? verdicts.get(objectKey(entry.kind, entry.namespace, entry.name)) : undefined;
    return { ...entry, conditions: verdict ? toConditions(verdict, now) : [] };
  });
}

function toConditions(verdict: Verdict, now: number): readonly VerdictCondition[] {
  const status = toStatus(verdict, undefined, PROGRAMMED, now);
  const conditions = status.conditions as readonly VerdictCondition[];
  return conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message }));
}

function toJSON({ kind, namespace, name, file, line, refused, conditions }: CheckedObject) {
  return {
    kind,
    namespace,
    name,
    file,
    line,
    refused: refused.map(({ path, message }) => ({ path, message })),
    conditions,
  };
}

export function parseNow(text: string | undefined, { clock }: Pick<Runtime, 'clock'>): number {
  if (text === undefined) return clock.now();
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new CommandError(`--now "${text}" is no time: write RFC 3339, for example 2026-01-31T12:00:00Z`, 2);
}
