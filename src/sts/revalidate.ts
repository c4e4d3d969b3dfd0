/** Would each of these mandates still be issued? Decided anew from the recorded exchange, under the zone as served now. */
import * as z from 'zod';
import { isBasisLive } from '../authority/basis.ts';
import type { MandateClaims } from '../authority/claims.ts';
import { toIssuedDecision, type ExchangeRequest, type IssuedDecision } from '../authority/decision.ts';
import type { RevalidateRequest, RevalidateResponse } from '../authority/feed.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { Store } from '../store/store.ts';
import { parseCompactJWT } from '../tokens/parse.ts';
import type { LRU } from '../tokens/lru.ts';
import type { Gateway } from './authenticate/bearer.ts';
import type { Configuration, ServedZone } from './configuration.ts';
import { decide } from './decisions.ts';
import { OAuthError } from './errors.ts';
import { mayServe } from './feed/slice.ts';
import { verifierFor } from './verifiers.ts';

const MAX_MANDATES = 256;
const MAX_MANDATE_BYTES = 8192;
const BEHIND_MS = 500;

const schema = z.strictObject({
  mandates: z.array(z.string().max(MAX_MANDATE_BYTES)).min(1).max(MAX_MANDATES),
  min_epoch: z.int().min(0),
});

/** Throws OAuthError. */
export function parseRevalidateRequest(value: unknown): RevalidateRequest {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OAuthError('invalid_request', `the body is {mandates: 1 to ${MAX_MANDATES} JWTs, min_epoch}`);
}

export interface RevalidatePorts {
  readonly issuer: string;
  readonly configuration: Pick<Configuration, 'zone' | 'reached'>;
  readonly policies: Pick<PolicyEngine, 'evaluate'>;
  readonly store: Pick<Store, 'decisionByJTI'>;
  readonly decisions: LRU<IssuedDecision>;
  now(): number;
}

/** Throws OAuthError; `replica_behind` when this replica does not reach `min_epoch` in time. */
export async function revalidate(
  request: RevalidateRequest,
  zoneID: string,
  gateway: Gateway,
  ports: RevalidatePorts,
): Promise<RevalidateResponse> {
  const zone = await zoneAt(zoneID, request.min_epoch, ports);
  const judged = await Promise.all(request.mandates.map((mandate) => judgeMandate(mandate, zone, gateway, ports)));
  return { epoch: zone.epoch, results: judged.map((one) => (one.valid ? { valid: true } : one)) };
}

/** The zone as this replica serves it, once that is `minEpoch` or later. Throws OAuthError. */
export async function zoneAt(
  zoneID: string,
  minEpoch: number,
  { configuration }: Pick<RevalidatePorts, 'configuration'>,
): Promise<ServedZone> {
  const isReached = await configuration.reached(zoneID, minEpoch, BEHIND_MS);
  const zone = configuration.zone(zoneID);
  if (!zone) throw new OAuthError('zone_not_found', 'no accepted Zone has this id');
  if (!isReached) throw new OAuthError('replica_behind', 'this replica has not reached min_epoch');
  return zone;
}

export type JudgedMandate =
  | { readonly valid: true; readonly claims: MandateClaims; readonly resource: string }
  | { readonly valid: false; readonly reason: string };

/** Of a Resource that the gateway serves, well signed, of a decision of ours, and one that would be made again now. */
export async function judgeMandate(
  mandate: string,
  zone: ServedZone,
  gateway: Gateway,
  ports: RevalidatePorts,
): Promise<JudgedMandate> {
  const now = ports.now();
  const { snapshot } = zone;
  const resource = snapshot.resources.get(audienceOf(mandate) ?? '');
  if (!resource || !mayServe(resource, snapshot, gateway.workload)) return { valid: false, reason: 'audience' };
  const verifier = verifierFor(snapshot, { issuer: ports.issuer, audience: resource.identifier, use: 'resource' });
  const verdict = verifier.verify(mandate, now);
  if (!verdict.ok) return { valid: false, reason: verdict.problem };
  const { claims } = verdict;
  const judged = await judgeRecorded(claims.jti, zone, now, ports);
  return judged.valid ? { valid: true, claims, resource: resource.identifier } : judged;
}

/** Which resource the mandate says it is for; the verifier then checks exactly that. */
function audienceOf(mandate: string): string | undefined {
  const parsed = parseCompactJWT(mandate, { maxBytes: MAX_MANDATE_BYTES });
  const audience: unknown = parsed.ok ? parsed.payload['aud'] : undefined;
  if (!Array.isArray(audience) || audience.length !== 1) return undefined;
  const only: unknown = audience[0];
  return typeof only === 'string' ? only : undefined;
}

type Judgement = { readonly valid: true } | { readonly valid: false; readonly reason: string };

/** A mandate whose decision this store does not have is none of ours: an earlier store's, or forged. */
export async function judgeRecorded(
  jti: string,
  zone: ServedZone,
  now: number,
  ports: Pick<RevalidatePorts, 'decisions' | 'store' | 'policies'>,
): Promise<Judgement> {
  const record = ports.decisions.get(jti) ?? (await ports.store.decisionByJTI(zone.snapshot.uid, jti));
  if (!record?.request || record.outcome !== 'permit') return { valid: false, reason: 'unknown_decision' };
  ports.decisions.set(jti, toIssuedDecision(record));
  const issued = { jti, at: record.at, epoch: record.epoch };
  const judged = { issued, approved: record.challengeID !== undefined };
  const { result } = await decide(zone, record.request, now, ports.policies, judged);
  if (result.type === 'denial') return { valid: false, reason: result.reason };
  if (result.type === 'hold') return { valid: false, reason: 'StepUpRequired' };
  return isLive(record, record.request, zone, now) ? { valid: true } : { valid: false, reason: 'recreated' };
}

/** A login rests on its Application alone, which the checks know by UID. */
function isLive({ basis }: IssuedDecision, request: ExchangeRequest, { snapshot }: ServedZone, now: number): boolean {
  if (request.resource === undefined) return true;
  return basis !== undefined && isBasisLive(basis, request, snapshot, now);
}
