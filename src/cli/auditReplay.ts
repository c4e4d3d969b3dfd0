/** `caracal audit replay`: which past decisions another policy revision, or candidate manifests, would change. */
import { resolve } from 'node:path';
import type { PolicyModule } from '../authority/snapshot.ts';
import { compile } from '../compiler/compile.ts';
import { policySetDigest } from '../policy/digest.ts';
import { createPolicyEngine } from '../policy/workers.ts';
import { findRevision } from '../up/recordedPolicies.ts';
import { readState } from '../up/stateFile.ts';
import { parseTime } from './auditList.ts';
import { withOpenReader } from './auditStore.ts';
import { createReplay, type Candidate, type Replayed, type ReplayReport } from './auditReplayed.ts';
import { openOPA, readOffline } from './check.ts';
import { toPrintable } from './printable.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import { toTable } from './table.ts';

export interface AuditReplayOptions {
  readonly revision?: string;
  readonly manifests?: readonly string[];
  readonly since?: string;
  readonly zone?: string;
  readonly data: string;
  readonly namespace: string;
  readonly opa?: string;
  readonly output: 'table' | 'json';
}

/** A machine may be busy, and nobody waits for a mandate. */
const DEADLINE_MS = 5000;
const AT_ONCE = 64;

/** 0: nothing would change. 1: something would. */
export async function runAuditReplay(options: AuditReplayOptions, runtime: Runtime): Promise<ExitCode> {
  const since = options.since === undefined ? 0 : parseTime(options.since);
  const candidate = await readCandidate(options, runtime);
  const engine = createPolicyEngine({
    opa: await openOPA(options, runtime),
    clock: runtime.clock,
    deadlineMs: DEADLINE_MS,
  });
  try {
    const replay = createReplay(candidate, engine);
    const report = await withOpenReader(options.data, runtime, async (reader) => {
      let group: Promise<void>[] = [];
      for (const { record } of reader.logged('oldest')) {
        if (record.at < since || (options.zone !== undefined && record.zoneID !== options.zone)) continue;
        group.push(replay.add(record));
        if (group.length < AT_ONCE) continue;
        await Promise.all(group);
        group = [];
      }
      await Promise.all(group);
      return replay.report();
    });
    runtime.out(options.output === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : toListing(report));
    return report.changed.length === 0 ? 0 : 1;
  } finally {
    await engine.close();
  }
}

async function readCandidate(options: AuditReplayOptions, runtime: Runtime): Promise<Candidate> {
  const { revision, manifests } = options;
  if ((revision === undefined) === (manifests === undefined))
    throw new CommandError('say what to replay under: --revision NAME or --manifests PATH…', 2);
  if (manifests) {
    const now = runtime.clock.now();
    const offline = await readOffline(manifests, options, now, runtime);
    const refused = offline.entries.find((entry) => entry.refused.length > 0);
    if (refused) {
      const { file, line, kind, name, refused: why } = refused;
      throw new CommandError(`${file}:${line}: ${kind} ${name} is refused: ${why[0]!.path}: ${why[0]!.message}`);
    }
    return { type: 'manifests', zones: compile(offline.world, now, offline.results).snapshot.zones };
  }
  const { namespace, modules } = await readRevision(revision!, options.data, runtime);
  return { type: 'revision', namespace, digest: policySetDigest(modules), modules };
}

async function readRevision(
  text: string,
  data: string,
  { cwd }: Runtime,
): Promise<{ readonly namespace: string; readonly modules: readonly PolicyModule[] }> {
  const found = findRevision(await readState(resolve(cwd, data)), text);
  const [only, another] = found;
  if (another) {
    const names = found.map(({ namespace, name }) => `${namespace}/${name}`).join(', ');
    throw new CommandError(`--revision ${text} is in several namespaces: give one of ${names}`, 2);
  }
  if (only) return only;
  throw new CommandError(`${data} keeps no PolicySetRevision ${text}: on a cluster give --manifests`);
}

function toListing({ changed, replayed, unaffected, skipped }: ReplayReport): string {
  const head = ['TIME', 'WAS', 'WOULD BE', 'APPLICATION', 'RESOURCE', 'SCOPES', 'DECISION'];
  const rows = changed.map((one) => toCells(one).map(toPrintable));
  const counts = `${replayed} decisions replayed, ${changed.length} would change; ${unaffected} are not decided by what is replayed, ${skipped} cannot be\n`;
  return `${changed.length === 0 ? '' : toTable([head, ...rows])}${counts}`;
}

function toCells({ at, was, wouldBe, application, resource, scopes, decision }: Replayed): readonly string[] {
  const verdict = ({ outcome, reason, seconds }: Replayed['was']) =>
    [outcome, reason ?? (seconds === undefined ? undefined : `${seconds} s`)].filter(Boolean).join(' ');
  const when = new Date(at).toISOString();
  return [when, verdict(was), verdict(wouldBe), application, resource ?? '(login)', scopes.join(' ') || '-', decision];
}
