/** Spends a mandate of single use: once, over all replicas, by one conditional write, and only where it is in force now. */
import * as z from 'zod';
import { uuidv7, type RandomBytes } from '../authority/clock.ts';
import type { DecisionRecord } from '../authority/decision.ts';
import type { ConsumeRequest, ConsumeResponse } from '../authority/feed.ts';
import { StoreUnavailable, type CommitResult, type Store } from '../store/store.ts';
import type { Gateway } from './authenticate/bearer.ts';
import type { ServedZone } from './configuration.ts';
import { OAuthError, toUnavailable } from './errors.ts';
import { judgeMandate, zoneAt, type JudgedMandate, type RevalidatePorts } from './revalidate.ts';

const schema = z.strictObject({ mandate: z.string().max(8192), min_epoch: z.int().min(0) });

/** Throws OAuthError. */
export function parseConsumeRequest(value: unknown): ConsumeRequest {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OAuthError('invalid_request', 'the body is {mandate: JWT, min_epoch}');
}

export interface ConsumePorts extends RevalidatePorts {
  readonly store: Pick<Store, 'decisionByJTI' | 'commit'>;
  readonly randomBytes: RandomBytes;
}

export interface ConsumeCall {
  readonly zoneID: string;
  readonly gateway: Gateway;
  readonly requestID: string;
}

type ValidMandate = Extract<JudgedMandate, { valid: true }>;

/** Past `exp`, since the clocks of replicas and gateways differ: it must be known as spent for as long as anyone takes it. */
const MARGIN_SECONDS = 60;

/** Throws OAuthError; nothing then was admitted, though the mandate may be spent where it says so. */
export async function consume(
  { mandate, min_epoch: minEpoch }: ConsumeRequest,
  call: ConsumeCall,
  ports: ConsumePorts,
): Promise<ConsumeResponse> {
  let zone = await zoneAt(call.zoneID, minEpoch, ports);
  let judged = await judgeMandate(mandate, zone, call.gateway, ports);
  if (!judged.valid) return { consumed: false, reason: judged.reason, epoch: zone.epoch };
  const committed = await spend(judged, zone, call, ports);
  if (!committed.ok) {
    await recordReplay(judged, zone, call, ports);
    return { consumed: false, reason: 'used', epoch: zone.epoch };
  }
  // The store is ahead of what it was judged under: what was taken away before the write must not pass after it.
  if (zone.epoch < committed.zoneEpoch) {
    zone = await zoneAt(call.zoneID, committed.zoneEpoch, ports);
    judged = await judgeMandate(mandate, zone, call.gateway, ports);
    if (!judged.valid) return { consumed: false, reason: judged.reason, epoch: zone.epoch };
  }
  return { consumed: true, epoch: zone.epoch };
}

async function spend(
  judged: ValidMandate,
  zone: ServedZone,
  call: ConsumeCall,
  ports: ConsumePorts,
): Promise<CommitResult> {
  const { jti, exp } = judged.claims;
  const zoneUID = zone.snapshot.uid;
  try {
    return await ports.store.commit({
      decision: toRecord('permit', judged, zone, call, ports),
      consume: [{ class: 'mandate', zoneUID, key: jti, expiresAt: exp + MARGIN_SECONDS }],
    });
  } catch (error) {
    throw error instanceof StoreUnavailable ? toUnavailable(`store: ${error.message}`) : error;
  }
}

/** Evidence, and no more: the refusal stands whether or not it is kept. A gateway asks about a mandate that it knows as spent no more. */
async function recordReplay(
  judged: ValidMandate,
  zone: ServedZone,
  call: ConsumeCall,
  ports: ConsumePorts,
): Promise<void> {
  try {
    await ports.store.commit({ decision: toRecord('denial', judged, zone, call, ports) });
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}

function toRecord(
  outcome: 'permit' | 'denial',
  { claims, resource }: ValidMandate,
  { snapshot, epoch }: ServedZone,
  { gateway, requestID }: ConsumeCall,
  ports: ConsumePorts,
): DecisionRecord {
  const now = ports.now();
  const { namespace, serviceAccount } = gateway.workload;
  return {
    id: uuidv7(now, ports.randomBytes),
    zoneUID: snapshot.uid,
    zoneID: snapshot.id,
    at: now,
    requestID,
    kind: 'consume',
    outcome,
    epoch,
    ...(snapshot.policy && { policyDigest: snapshot.policy.digest }),
    consumed: { jti: claims.jti, resource, gateway: `${namespace}/${serviceAccount}` },
  };
}
