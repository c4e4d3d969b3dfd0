/** Records of gateways: each batch is one record of the zone's chain, stored once however often it is delivered. */
import { hash } from 'node:crypto';
import * as z from 'zod';
import { RECORD_BOUNDS, type AuditBatch } from '../authority/gatewayRecords.ts';
import type { Clock } from '../authority/clock.ts';
import { StoreUnavailable, type Store } from '../store/store.ts';
import type { Gateway } from './authenticate/bearer.ts';
import type { ServedZone } from './configuration.ts';
import { OAuthError, toUnavailable } from './errors.ts';

/** Four times what a gateway puts into one. */
export const AUDIT_LIMIT = 1024 * 1024;

const time = z.int().min(0);
const text = (max: number) => z.string().max(max);

const schema = z.strictObject({
  spool: z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  sequence: z.int().min(1),
  requests: z
    .array(
      z.strictObject({
        at: time,
        request_id: text(RECORD_BOUNDS.requestID),
        decision: z.enum(['allow', 'refuse']),
        method: z
          .string()
          .regex(/^[A-Z]{1,32}$/)
          .optional(),
        resource: text(RECORD_BOUNDS.resource).optional(),
        operation: text(RECORD_BOUNDS.operation).optional(),
        jti: text(RECORD_BOUNDS.jti).optional(),
        source: text(RECORD_BOUNDS.source).optional(),
        error: z
          .string()
          .regex(/^[a-z_]{1,64}$/)
          .optional(),
        status: z.int().min(400).max(599).optional(),
        count: z.int().min(1).optional(),
        until: time.optional(),
      }),
    )
    .max(10_000),
  lost: z.int().min(1).optional(),
});

/** Throws OAuthError. */
export function parseAuditBatch(value: unknown): AuditBatch {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as AuditBatch;
  const [issue] = parsed.error.issues;
  throw new OAuthError('invalid_request', `the body is {spool, sequence, requests, lost?}: ${issue?.path.join('.')}`);
}

export interface GatewayRecordsPorts {
  readonly store: Pick<Store, 'commit' | 'decision'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Resolves when it is stored, now or by an earlier delivery. Throws OAuthError. */
export async function recordBatch(
  batch: AuditBatch,
  { workload }: Gateway,
  { snapshot, epoch }: ServedZone,
  requestID: string,
  { store, clock }: GatewayRecordsPorts,
): Promise<void> {
  const { namespace, serviceAccount, pod, podUID } = workload;
  const id = toBatchID([snapshot.uid, namespace, serviceAccount, batch.spool, batch.sequence]);
  const about = { id, zoneUID: snapshot.uid, zoneID: snapshot.id, at: clock.now(), requestID, epoch } as const;
  const gateway = { by: { namespace, serviceAccount, pod, podUID }, ...batch };
  try {
    await store.commit({ decision: { ...about, kind: 'gateway', outcome: 'done', gateway } });
  } catch (error) {
    if (error instanceof StoreUnavailable) throw toUnavailable(`store: ${error.message}`);
    if (!(await store.decision(snapshot.uid, id))) throw error;
  }
}

/**
 * Of the batch, by name (UUID version 8, RFC 9562 §5.8, over SHA-256): the store takes an id once, for good. By
 * ServiceAccount and not by pod: what a spool kept is delivered by the pod that comes after, too.
 */
function toBatchID(name: readonly (string | number)[]): string {
  const bytes = Buffer.from(hash('sha256', JSON.stringify(name), 'hex'), 'hex').subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
