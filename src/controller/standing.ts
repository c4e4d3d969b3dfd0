/** What the controller remembers of one object between rounds: the verdict, since when, and whether it was seen served. */
import type { BaseStatus } from '../api/meta.ts';
import type { Observation } from '../compiler/status.ts';
import type { Verdict, VerdictKind } from '../compiler/verdict.ts';
import type { Counts } from './observed.ts';
import { countGateways, judgeReplicas, type Observed } from './observed.ts';
import type { Versions } from './versions.ts';
import type { VerificationKey } from '../authority/snapshot.ts';

/** How long an object stays Programmed while the replicas cannot be asked, restart or fall behind. */
const PROGRAMMED_GRACE_MS = 15_000;
const GATEWAYS_EVERY_MS = 10_000;

const PROGRAMMABLE: ReadonlySet<VerdictKind> = new Set<VerdictKind>([
  'Zone',
  'Application',
  'Resource',
  'Grant',
  'Revocation',
]);

/** Instants are monotonic milliseconds. */
export interface Standing {
  readonly uid: string;
  verdict: Verdict;
  /** The verdict without the object's version: what a replica must serve. */
  content: string;
  /** What a replica must have compiled to serve it. */
  required: Versions;
  since: number;
  /** When it was last seen served by all; undefined: not yet. */
  servedAt: number | undefined;
  /** When its status was first seen to need a write. */
  dirtySince: number | undefined;
  /** When gateway counts were last written. */
  countedAt: number;
  /** The last write that succeeded. */
  written: { readonly resourceVersion: string; readonly text: string; readonly at: number } | undefined;
  /** Whether its status says all there is to say, so that only a new verdict or a new observation matters. */
  settled: boolean;
}

export interface Look {
  readonly verdict: Verdict;
  readonly status: BaseStatus | undefined;
  readonly required: Versions;
  readonly now: number;
}

/** The standing after this verdict; the same one while it says the same of the same object. */
export function toStanding(before: Standing | undefined, look: Look): Standing {
  const { verdict, required, now } = look;
  if (before?.verdict === verdict) return before;
  const content = contentOf(verdict);
  if (before?.uid === verdict.uid && before.content === content) {
    before.verdict = verdict;
    before.settled = false;
    return before;
  }
  const same = before?.uid === verdict.uid ? before : undefined;
  return {
    uid: verdict.uid,
    verdict,
    content,
    required,
    since: now,
    servedAt: before === undefined && wasProgrammed(look) ? now : undefined,
    dirtySince: same?.dirtySince,
    countedAt: same?.countedAt ?? -Infinity,
    written: same?.written,
    settled: false,
  };
}

/** Whether replicas can serve it at all. */
export function isProgrammable(verdict: Verdict): boolean {
  return PROGRAMMABLE.has(verdict.kind) && isAccepted(verdict);
}

function isAccepted(verdict: Verdict): boolean {
  return verdict.conditions.every(({ type, status }) => type !== 'Accepted' || status === 'True');
}

/** Takes an observation in. A standing that was seen served keeps that for a while, whatever is seen next. */
export function judge(
  standing: Standing,
  observed: Observed,
  now: number,
  zone?: { readonly id: string; readonly keys: readonly VerificationKey[] },
): Observation['replicas'] {
  const seen = judgeReplicas(observed, standing.required, zone);
  if (seen === 'current') standing.servedAt = Math.max(standing.servedAt ?? -Infinity, observed.askedAt);
  const isFresh = standing.servedAt !== undefined && now - standing.servedAt < PROGRAMMED_GRACE_MS;
  return isFresh ? 'current' : seen;
}

/** The counts to show: as observed, but the ones already shown while a change of them alone would come too soon. */
export function gatewaysToShow(
  standing: Standing,
  shown: Counts | undefined,
  observed: Observed,
  now: number,
  place: { readonly zoneID: string; readonly identifier?: string },
): Counts | undefined {
  const counts = countGateways(observed, place.zoneID, place.identifier);
  if (counts === undefined) return shown;
  const isDue = shown === undefined || now - standing.countedAt >= GATEWAYS_EVERY_MS;
  return isDue ? counts : shown;
}

/**
 * Gateways that know of a Revocation. Once all did, that is final: whoever connects later begins with a later epoch. Until
 * then a change of the counts alone is not worth a write.
 */
export function gatewaysInformed(
  standing: Standing,
  status: BaseStatus | undefined,
  observed: Observed,
  now: number,
  place: { readonly zoneID: string; readonly identifier?: string },
): Counts | undefined {
  const shown = (status as { readonly gateways?: Counts } | undefined)?.gateways;
  if (isEnforced(standing.verdict, status)) return shown;
  const counts = countGateways(observed, place.zoneID, place.identifier, 'informed');
  if (counts === undefined || counts.current >= counts.connected) return counts ?? shown;
  const isDue = shown === undefined || now - standing.countedAt >= GATEWAYS_EVERY_MS;
  return isDue ? counts : shown;
}

function isEnforced({ generation }: Verdict, status: BaseStatus | undefined): boolean {
  const enforced = status?.conditions?.find(({ type }) => type === 'Enforced');
  return enforced?.status === 'True' && enforced.observedGeneration === generation;
}

function contentOf({ generation, conditions, fields }: Verdict): string {
  return JSON.stringify([generation, conditions, fields]);
}

/** A leader that takes over trusts, for the grace, what the status says of this very verdict. */
function wasProgrammed({ verdict, status }: Look): boolean {
  const shown = new Map((status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const programmed = shown.get('Programmed');
  if (programmed?.status !== 'True' || programmed.observedGeneration !== verdict.generation) return false;
  return verdict.conditions.every(({ type, status, reason }) => {
    const before = shown.get(type);
    return before?.status === status && before.reason === reason;
  });
}
