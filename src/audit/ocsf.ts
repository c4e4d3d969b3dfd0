/** Records as events of the Open Cybersecurity Schema Framework 1.3, for whoever collects them: https://schema.ocsf.io/1.3.0 */
import type { Chain } from './entry.ts';
import type { DecisionRecord, RuntimeAct } from '../authority/decision.ts';
import type { GatewayRecord } from '../authority/gatewayRecords.ts';
import type { PolicySubject } from '../authority/policyInput.ts';

/** A record with its place in the log, where its proof is. */
export interface PlacedRecord extends Chain {
  readonly position: number;
  readonly hash: string;
  readonly record: DecisionRecord;
}

export type OCSFEvent = Readonly<Record<string, unknown>>;

const VERSION = '1.3.0';
/** Class → its category: Authorize Session and Entity Management (identity), API Activity (application). */
const CATEGORIES = { 3003: 3, 3004: 3, 6003: 6 } as const;
type ClassUID = keyof typeof CATEGORIES;

/** `action_id` and `disposition_id` of the profile security_control, and `status_id`. */
const ALLOWED = { status_id: 1, status: 'Success', severity_id: 1, action_id: 1, disposition_id: 1 } as const;
const DENIED = { status_id: 2, status: 'Failure', severity_id: 2, action_id: 2, disposition_id: 2 } as const;
const HELD = { status_id: 99, status: 'Held', severity_id: 1, action_id: 99, disposition_id: 99 } as const;

/** One for each record, but of a gateway's batch one for each request. */
export function toOCSF(placed: PlacedRecord): readonly OCSFEvent[] {
  const { record } = placed;
  switch (record.kind) {
    case 'exchange':
    case 'refusal':
      return [toAuthorizeSession(placed)];
    case 'act':
      return toActs(placed);
    case 'consume':
      return [toConsumption(placed)];
    case 'configuration':
      return [toActivation(placed)];
    case 'gateway':
      return (record.gateway?.requests ?? []).map((request) => toAPIActivity(placed, request));
  }
}

function toEvent(
  { record, zoneUID, writer, position, hash }: PlacedRecord,
  classUID: ClassUID,
  activityID: number,
  members: OCSFEvent,
): OCSFEvent {
  return {
    category_uid: CATEGORIES[classUID],
    class_uid: classUID,
    activity_id: activityID,
    type_uid: classUID * 100 + activityID,
    time: record.at,
    metadata: {
      version: VERSION,
      product: { name: 'Caracal', vendor_name: 'Caracal' },
      profiles: ['security_control'],
      uid: record.id,
      correlation_uid: record.requestID,
      tenant_uid: record.zoneID,
    },
    ...members,
    unmapped: { zone_uid: zoneUID, writer, position, hash, epoch: record.epoch },
  };
}

function toAuthorizeSession(placed: PlacedRecord): OCSFEvent {
  const { outcome, request, jti, at, expiresAt, denial, error, policyDigest } = placed.record;
  const verdict = outcome === 'permit' ? ALLOWED : outcome === 'hold' ? HELD : DENIED;
  const why = denial?.reason ?? error;
  const { principal, subject, scopes, resource } = request ?? {};
  return toEvent(placed, 3003, 1, {
    ...verdict,
    ...(why !== undefined && { status_detail: why }),
    user: toUser(subject),
    ...(scopes && { privileges: scopes }),
    ...(resource !== undefined && { resource: { uid: resource, type: 'Resource' } }),
    ...(jti !== undefined && { session: { uid: jti, created_time: at, expiration_time: (expiresAt ?? 0) * 1000 } }),
    actor: {
      ...(principal && { app_uid: principal.applicationID, app_name: principal.applicationID }),
      authorizations: [
        { decision: verdict.status, ...(policyDigest !== undefined && { policy: { uid: policyDigest } }) },
      ],
    },
  });
}

/** `type_id`: 1 user, 3 system, 0 unknown. */
function toUser(subject: PolicySubject | undefined): OCSFEvent {
  if (!subject) return { name: 'unknown', type_id: 0 };
  if (subject.type === 'application') return { uid: subject.sub, name: subject.sub, type_id: 3 };
  return { uid: subject.sub, name: `${subject.issuer}:${subject.sub}`, domain: subject.issuer, type_id: 1 };
}

const CREATED = 1;
const UPDATED = 3;
const DELETED = 4;

function toActs(placed: PlacedRecord): readonly OCSFEvent[] {
  const { act } = placed.record;
  return (act?.objects ?? []).map((object) =>
    toEvent(placed, 3004, ACTS[act!.name] ?? UPDATED, {
      ...ALLOWED,
      message: act!.name,
      entity: { type: object['kind'], uid: object['id'], data: object },
      actor: { user: { name: act!.by, type_id: 0 } },
    }),
  );
}

/** What is not named here is a change of something that goes on. */
const ACTS: Readonly<Partial<Record<RuntimeAct['name'], number>>> = {
  'session.started': CREATED,
  'delegation.created': CREATED,
  'challenge.opened': CREATED,
  'zone.frozen': CREATED,
  'session.ended': DELETED,
  'delegation.revoked': DELETED,
  'zone.unfrozen': DELETED,
  expired: DELETED,
  revoked: DELETED,
};

function toActivation(placed: PlacedRecord): OCSFEvent {
  const { zoneID, activation } = placed.record;
  return toEvent(placed, 3004, UPDATED, {
    ...ALLOWED,
    message: 'configuration in force',
    entity: { type: 'Zone', uid: zoneID, data: activation },
    actor: { app_name: 'caracal' },
  });
}

/** What a gateway asked before it admitted the request that spent the mandate. */
function toConsumption(placed: PlacedRecord): OCSFEvent {
  const { outcome, requestID, consumed } = placed.record;
  return toEvent(placed, 6003, 99, {
    ...(outcome === 'permit' ? ALLOWED : { ...DENIED, status_detail: 'used' }),
    api: { operation: 'consume', request: { uid: requestID } },
    ...(consumed && { resources: [{ uid: consumed.resource, type: 'Resource' }] }),
    src_endpoint: { name: consumed?.gateway ?? 'unknown' },
    actor: { app_name: consumed?.gateway ?? 'unknown', ...(consumed && { session: { uid: consumed.jti } }) },
  });
}

const ACTIVITIES: Readonly<Record<string, number>> = { GET: 2, HEAD: 2, POST: 1, PUT: 3, PATCH: 3, DELETE: 4 };

function toAPIActivity(placed: PlacedRecord, request: GatewayRecord): OCSFEvent {
  const { at, request_id, decision, method, resource, operation, jti, source, error, status, count, until } = request;
  const activity = ACTIVITIES[method ?? ''] ?? 99;
  return {
    ...toEvent(placed, 6003, activity, {
      ...(decision === 'allow' ? ALLOWED : DENIED),
      ...(error !== undefined && { status_detail: error }),
      api: { operation: [method, operation].filter(Boolean).join(' ') || 'unknown', request: { uid: request_id } },
      ...(method !== undefined && { http_request: { http_method: method, uid: request_id } }),
      ...(status !== undefined && { http_response: { code: status } }),
      ...(resource !== undefined && { resources: [{ uid: resource, type: 'Resource' }] }),
      src_endpoint: source === undefined ? { name: 'unknown' } : { ip: source },
      actor: jti === undefined ? { app_name: 'unknown' } : { session: { uid: jti } },
      ...(count !== undefined && { count, start_time: at, end_time: until ?? at }),
    }),
    time: at,
  };
}
