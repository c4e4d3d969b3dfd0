/** One past exchange decided again: by its recorded inputs under other policies, or from its request under another zone. */
import { checkExchange, type CheckedExchange } from '../authority/checks.ts';
import { decideExchange } from '../authority/decide.ts';
import type { DecisionRecord, Denial, ExchangeRequest, Permit } from '../authority/decision.ts';
import type { PolicyModule, ZoneSnapshot } from '../authority/snapshot.ts';
import type { Hold } from '../authority/stepUp/hold.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import { CommandError } from './runtime.ts';

export type Candidate =
  | {
      readonly type: 'revision';
      /** Zones of this one only. */
      readonly namespace: string;
      readonly digest: string;
      readonly modules: readonly PolicyModule[];
    }
  | { readonly type: 'manifests'; readonly zones: ReadonlyMap<string, ZoneSnapshot> };

export interface Verdict {
  readonly outcome: 'permit' | 'hold' | 'denial';
  readonly reason?: string;
  /** How long a permit is for. */
  readonly seconds?: number;
}

export interface Replayed {
  readonly decision: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly zone: string;
  readonly application: string;
  readonly resource?: string;
  readonly scopes: readonly string[];
  readonly was: Verdict;
  readonly wouldBe: Verdict;
}

export interface ReplayReport {
  readonly replayed: number;
  /** In the order of the log: another outcome, or a permit for another time. */
  readonly changed: readonly Replayed[];
  /** Decided by a check before policy, or in a zone that the candidate has nothing of. */
  readonly unaffected: number;
  /** Exchanges without what is needed to decide again. */
  readonly skipped: number;
}

export interface Replay {
  add(record: DecisionRecord): Promise<void>;
  report(): ReplayReport;
}

type Exchange = DecisionRecord & { readonly request: ExchangeRequest };
type Result = Permit | Hold | Denial;

export function createReplay(candidate: Candidate, engine: PolicyEngine): Replay {
  const counts = { replayed: 0, unaffected: 0, skipped: 0 };
  const changed: (Replayed | undefined)[] = [];
  const prepared = new Map<string, Promise<void>>();

  const prepare = (zoneUID: string, digest: string, modules: readonly PolicyModule[]): Promise<void> => {
    const known = prepared.get(zoneUID) ?? prepareOnce(engine, zoneUID, digest, modules);
    prepared.set(zoneUID, known);
    return known;
  };
  /** The inputs as they were; Grants, sessions and all else that a check reads stay what they were, too. */
  const byInputs = async (record: Exchange, digest: string, modules: readonly PolicyModule[]) => {
    const { inputs = [], zoneUID, zoneID, at } = record;
    if (inputs.length === 0) return undefined;
    await prepare(zoneUID, digest, modules);
    const outcomes = await engine.evaluate(zoneUID, digest, inputs);
    const zone = { id: zoneID, frozen: undefined, policy: { set: '', revision: 0, digest, modules } };
    return decideExchange(toChecked(record, digest), outcomes, zone, at, isApproved(record));
  };
  const byZone = async (record: Exchange, snapshot: ZoneSnapshot): Promise<Result | undefined> => {
    const { policy } = snapshot;
    // What was alive then is not in the manifests: the lineage is taken as it was.
    if (record.request.agentSessionID !== undefined && policy) return byInputs(record, policy.digest, policy.modules);
    // A Revocation of today says nothing of what was asked before it.
    const zone = { ...snapshot, revocations: [] };
    const checked = checkExchange(zone, inCandidate(record.request, zone), record.at);
    if (checked.type === 'denial' || !policy) return checked.type === 'denial' ? checked : undefined;
    await prepare(zone.uid, policy.digest, policy.modules);
    const outcomes = await engine.evaluate(zone.uid, policy.digest, checked.inputs);
    return decideExchange(checked, outcomes, zone, record.at, isApproved(record));
  };
  const again = async (record: Exchange): Promise<Result | undefined> => {
    if (candidate.type === 'manifests') {
      const zone = candidate.zones.get(record.zoneID);
      return zone && byZone(record, zone);
    }
    const isOfZone = record.zoneID.startsWith(`${candidate.namespace}.`);
    return isOfZone ? byInputs(record, candidate.digest, candidate.modules) : undefined;
  };

  return {
    async add(record) {
      if (record.kind !== 'exchange') return;
      if (!isExchange(record)) return void (counts.skipped += 1);
      const place = changed.push(undefined) - 1;
      const result = await again(record);
      if (!result) return void (counts.unaffected += 1);
      counts.replayed += 1;
      const [was, wouldBe] = [toRecorded(record), toVerdict(result, record.at)];
      if (was.outcome !== wouldBe.outcome || was.seconds !== wouldBe.seconds)
        changed[place] = toReplayed(record, was, wouldBe);
    },
    report: () => ({ ...counts, changed: changed.filter((one) => one !== undefined) }),
  };
}

async function prepareOnce(engine: PolicyEngine, zoneUID: string, digest: string, modules: readonly PolicyModule[]) {
  const answer = await engine.prepare(zoneUID, digest, modules);
  if (!answer.ok) throw new CommandError(`the candidate policies cannot be compiled: ${answer.message}`);
}

function isExchange(record: DecisionRecord): record is Exchange {
  return record.request !== undefined && record.outcome !== 'error';
}

/** A hold has the id of its challenge, too. */
function isApproved({ outcome, challengeID }: Exchange): boolean {
  return outcome === 'permit' && challengeID !== undefined;
}

/** As it passed the checks; how long it might have been for is what it was for, unless policy had lowered that. */
function toChecked(
  { request, inputs = [], outcomes = [], grants = [], at, expiresAt }: Exchange,
  digest: string,
): CheckedExchange {
  const wasLowered = expiresAt === undefined || outcomes.some(({ maxTTLSeconds }) => maxTTLSeconds !== undefined);
  const asked = Math.floor(at / 1000) + (inputs[0]?.request.ttl_seconds ?? 0);
  const until = wasLowered ? Math.min(asked, request.notAfter ?? asked) : expiresAt;
  return { type: 'checked', request, inputs, grants, expiresAt: until, policyDigest: digest };
}

/** The same Applications by name: manifests that are not applied have no UIDs. */
function inCandidate(request: ExchangeRequest, { applications }: ZoneSnapshot): ExchangeRequest {
  const { principal } = request;
  const applicationUID = applications.get(principal.applicationID)?.uid ?? principal.applicationUID;
  return { ...request, principal: { ...principal, applicationUID } };
}

function toRecorded({ outcome, denial, at, expiresAt, error }: Exchange): Verdict {
  if (outcome === 'permit') return { outcome, seconds: (expiresAt ?? 0) - Math.floor(at / 1000) };
  return outcome === 'hold' ? { outcome } : { outcome: 'denial', reason: denial?.reason ?? error ?? '' };
}

function toVerdict(result: Result, at: number): Verdict {
  if (result.type === 'denial') return { outcome: 'denial', reason: result.reason };
  if (result.type === 'hold') return { outcome: 'hold' };
  return { outcome: 'permit', seconds: result.expiresAt - Math.floor(at / 1000) };
}

function toReplayed({ id, at, zoneID, request }: Exchange, was: Verdict, wouldBe: Verdict): Replayed {
  const { principal, resource, scopes } = request;
  const asked = { application: principal.applicationID, ...(resource !== undefined && { resource }), scopes };
  return { decision: id, at, zone: zoneID, ...asked, was, wouldBe };
}
