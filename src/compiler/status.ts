/** Verdict and observation → the whole status of an object, as conditions.md says. */
import { KINDS } from '../api/kinds.ts';
import type { BaseStatus, Condition } from '../api/meta.ts';
import type { Verdict, VerdictCondition, VerdictKind } from './verdict.ts';

/** What only looking at the running system can tell. */
export interface Observation {
  /** `none`: no STS replica is ready; `behind`: a ready one has not compiled this yet; `current`: all serve it. */
  readonly replicas: 'none' | 'behind' | 'current';
  /** Gateways that need this object (Zone, Resource, Revocation), and how many acknowledged it. */
  readonly gateways?: { readonly connected: number; readonly current: number };
  /** Of a Zone that a command froze: why. */
  readonly freeze?: string;
  /** The STS base URL, for a Zone's `issuer` and `jwksURI`. */
  readonly issuer?: string;
}

/** Per kind, the reasons of False that only an edit helps with. */
const STALLED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  KINDS.map(({ kind, conditions }) => {
    const reasons = Object.values(conditions).flatMap((condition) => Object.entries(condition.reasons));
    return [kind, new Set(reasons.filter(([, { stalled }]) => stalled === true).map(([reason]) => reason))];
  }),
);

const PROGRAMMED: ReadonlySet<VerdictKind> = new Set<VerdictKind>([
  'Zone',
  'Application',
  'Resource',
  'Grant',
  'Revocation',
]);
const ENFORCED: ReadonlySet<VerdictKind> = new Set<VerdictKind>(['Zone', 'Resource', 'Revocation']);

/** metav1.Condition: what is longer, the API refuses. */
const MAX_MESSAGE = 32_768;

/** The final status. `now` in Unix milliseconds; lastTransitionTime stays where a condition's status did. */
export function toStatus(
  verdict: Verdict,
  previous: BaseStatus | undefined,
  observation: Observation,
  now: number,
): Record<string, unknown> {
  const conditions = toConditions(verdict, observation).map((condition) => stamp(condition, verdict, previous, now));
  return {
    observedGeneration: verdict.generation,
    ...verdict.fields,
    ...toZoneLinks(verdict, observation),
    ...toGateways(verdict, observation),
    conditions,
  };
}

function toConditions(verdict: Verdict, observation: Observation): readonly VerdictCondition[] {
  if (verdict.kind === 'PolicySetRevision') return verdict.conditions;
  const programmed = PROGRAMMED.has(verdict.kind) ? toProgrammed(verdict, observation) : undefined;
  const enforced = ENFORCED.has(verdict.kind) && programmed ? toEnforced(programmed, observation) : undefined;
  const own = verdict.conditions.filter(({ type }) => type !== 'Complete' || programmed?.status === 'True');
  const conditions = observation.freeze === undefined ? own : withFreeze(own, observation.freeze);
  const ready = toReady(conditions, programmed, verdict.kind === 'Revocation' ? enforced : undefined);
  const progress = toProgress(verdict.kind, ready);
  return [ready, ...conditions, programmed, enforced, progress].filter((condition) => condition !== undefined);
}

/** Beside the one of the spec, if there is one: each is lifted where it was set. */
function withFreeze(conditions: readonly VerdictCondition[], reason: string): readonly VerdictCondition[] {
  const message = `${specPart(conditions)}${reason}${BY_COMMAND}`;
  const frozen: VerdictCondition = { type: 'Frozen', status: 'True', reason: 'Frozen', message };
  return [...conditions.filter(({ type }) => type !== 'Frozen'), frozen];
}

const BY_COMMAND = ' (by command)';

function specPart(conditions: readonly VerdictCondition[]): string {
  const inSpec = conditions.find(({ type }) => type === 'Frozen');
  return inSpec ? `${inSpec.message} (spec.freeze); ` : '';
}

/** The reason of a freeze by command as the status shows it, for as long as nobody can be asked: a zone does not seem to thaw. */
export function shownFreeze(verdict: Verdict, status: BaseStatus | undefined): string | undefined {
  const message = status?.conditions?.find(({ type }) => type === 'Frozen')?.message;
  if (!message?.endsWith(BY_COMMAND)) return undefined;
  const before = specPart(verdict.conditions);
  const start = message.startsWith(before) ? before.length : 0;
  return message.slice(start, -BY_COMMAND.length);
}

function toProgrammed(verdict: Verdict, { replicas }: Observation): VerdictCondition {
  const type = 'Programmed';
  const accepted = verdict.conditions.find((condition) => condition.type === 'Accepted');
  if (accepted?.status !== 'True')
    return { type, status: 'False', reason: 'NotAccepted', message: 'it is not accepted' };
  switch (replicas) {
    case 'none':
      return { type, status: 'Unknown', reason: 'NoReplica', message: 'no STS replica is ready' };
    case 'behind':
      return { type, status: 'False', reason: 'Pending', message: 'a ready STS replica does not serve it yet' };
    case 'current':
      return { type, status: 'True', reason: 'Programmed', message: 'every ready STS replica serves it' };
  }
}

function toEnforced(programmed: VerdictCondition, observation: Observation): VerdictCondition {
  const type = 'Enforced';
  if (programmed.status !== 'True')
    return { type, status: 'False', reason: 'NotProgrammed', message: 'it is not programmed' };
  const { connected, current } = observation.gateways ?? { connected: 0, current: 0 };
  const message = `${current}/${connected} gateways`;
  if (connected === 0) return { type, status: 'True', reason: 'NoGateways', message };
  if (current >= connected) return { type, status: 'True', reason: 'Enforced', message };
  return { type, status: 'False', reason: 'Pending', message };
}

/** The first False, else Unknown while nobody serves it, else True. */
function toReady(
  conditions: readonly VerdictCondition[],
  programmed: VerdictCondition | undefined,
  enforced: VerdictCondition | undefined,
): VerdictCondition {
  const last = programmed?.status === 'True' ? enforced : undefined;
  const all = [...conditions, programmed, last].filter((condition) => condition !== undefined);
  const failed = all.find(({ status }) => status === 'False') ?? all.find(({ status }) => status === 'Unknown');
  if (failed) return { ...failed, type: 'Ready' };
  const frozen = all.find(({ type }) => type === 'Frozen');
  if (frozen) return { ...frozen, type: 'Ready' };
  return { type: 'Ready', status: 'True', reason: 'Ready', message: 'it is in force' };
}

/** kstatus: Stalled or Reconciling while it is not ready, neither when settled. */
function toProgress(kind: VerdictKind, ready: VerdictCondition): VerdictCondition | undefined {
  if (ready.status === 'True') return undefined;
  const isStalled = ready.status === 'False' && STALLED.get(kind)?.has(ready.reason) === true;
  return { ...ready, type: isStalled ? 'Stalled' : 'Reconciling', status: 'True' };
}

function stamp(
  condition: VerdictCondition,
  verdict: Verdict,
  previous: BaseStatus | undefined,
  now: number,
): Condition {
  const before = previous?.conditions?.find(({ type }) => type === condition.type);
  const isSame = before?.status === condition.status;
  const lastTransitionTime = isSame ? before.lastTransitionTime : `${new Date(now).toISOString().slice(0, 19)}Z`;
  const message = condition.message.slice(0, MAX_MESSAGE).toWellFormed();
  return { ...condition, message, observedGeneration: verdict.generation, lastTransitionTime };
}

function toZoneLinks(verdict: Verdict, { issuer }: Observation): Readonly<Record<string, unknown>> {
  if (verdict.kind !== 'Zone' || issuer === undefined) return {};
  const zoneID = encodeURIComponent(`${verdict.namespace}.${verdict.name}`);
  return { issuer, jwksURI: `${issuer}/.well-known/jwks.json?zone_id=${zoneID}` };
}

function toGateways(verdict: Verdict, { gateways }: Observation): Readonly<Record<string, unknown>> {
  if (!ENFORCED.has(verdict.kind)) return {};
  const { connected, current } = gateways ?? { connected: 0, current: 0 };
  return { gateways: { connected, current, summary: `${current}/${connected}` } };
}
