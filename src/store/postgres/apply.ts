/** Writes the rows of a plan, one statement for each table. */
import type { Seal } from '../seal.ts';
import { toKeyText, writeHeads } from './gather.ts';
import type { Plan } from './plan.ts';
import { insertAll, type Columns } from './rows.ts';
import type { Session } from './sessions.ts';

const SINGLE_USE: Columns = { class: 'text', zone_uid: 'text', key: 'text', expires_at: 'bigint' };
const DECISION: Columns = {
  ...{ id: 'text', zone_uid: 'text', jti: 'text', at: 'bigint', outcome: 'text', record: 'text' },
  ...{ writer: 'text', position: 'bigint', hash: 'text' },
};
const AUTHORITY: Columns = { zone_uid: 'text', sid: 'text', expires_at: 'bigint', record: 'text', seal: 'text' };
const EPOCH: Columns = { zone_uid: 'text', epoch: 'bigint', digest: 'text', change: 'text', at: 'bigint' };
const REVOCATION: Columns = {
  ...{ zone_uid: 'text', uid: 'text', epoch: 'bigint', at: 'bigint', record: 'text', seal: 'text' },
};
const OBJECT: Columns = {
  ...{ zone_uid: 'text', kind: 'text', id: 'text', sequence: 'bigint', forget_at: 'bigint', record: 'text' },
  seal: 'text',
};
const ENTRY: Columns = {
  ...{ zone_uid: 'text', sequence: 'bigint', epoch: 'bigint', at: 'bigint', entry: 'text', seal: 'text' },
};

const LATEST_EXPIRY = `ON CONFLICT (zone_uid, sid) DO UPDATE
  SET expires_at = excluded.expires_at, record = excluded.record, seal = excluded.seal
  WHERE excluded.expires_at > authority_records.expires_at`;
const AS_IT_IS_NOW = `ON CONFLICT (zone_uid, kind, id) DO UPDATE
  SET sequence = excluded.sequence, forget_at = excluded.forget_at, record = excluded.record, seal = excluded.seal`;

/** Of every zone whose epoch was raised, and `now` in Unix milliseconds. */
export function insertEpochs(session: Session, epochs: Plan['epochs'], now: number): Promise<void> {
  const rows = epochs.map(({ zoneUID, epoch, digest, change }) => [zoneUID, epoch, digest, change, now]);
  return insertAll(session, 'zone_epochs', EPOCH, rows);
}

/** Sent together; the head of a zone with what it stands for. */
export async function applyPlan(
  session: Session,
  plan: Plan,
  { seal, writer, now }: { readonly seal: Seal; readonly writer: string; readonly now: number },
): Promise<void> {
  const uses = [...plan.singleUse.values()].map((use) => [use.class, use.zoneUID, toKeyText(use.key), use.expiresAt]);
  const logins = [...plan.authority.values()].map((row) => [row.zoneUID, row.sid, row.expiresAt, row.record, row.seal]);
  const revoked = [...plan.revocations.values()].map(({ zoneUID, uid, epoch, record, seal: own }) =>
    // Columns of REVOCATION.
    [zoneUID, uid, epoch, now, record, own],
  );
  const heads = [...plan.moved].toSorted().map((zoneUID) => plan.heads.get(zoneUID)!);
  await Promise.all([
    insertAll(session, 'single_use', SINGLE_USE, uses),
    insertAll(session, 'decisions', DECISION, toDecisions(plan, writer)),
    insertAll(session, 'authority_records', AUTHORITY, logins, LATEST_EXPIRY),
    insertEpochs(session, plan.epochs, now),
    insertAll(session, 'revocations', REVOCATION, revoked),
    applyRuntime(session, plan),
    writeHeads(session, seal, heads),
  ]);
}

function toDecisions({ logged }: Plan, writer: string) {
  return logged.map(({ decision: { id, zoneUID, jti, at, outcome, record }, head }) =>
    // Columns of DECISION.
    [id, zoneUID, jti, at, outcome, record, writer, head.size, head.hash],
  );
}

function applyRuntime(session: Session, { objects, entries }: Plan): Promise<unknown> {
  const puts = [...objects.values()].map((row) => {
    const { zoneUID, kind, id, sequence, forgetAt, record, seal } = row;
    return [zoneUID, kind, id, sequence, forgetAt, record, seal];
  });
  const rows = entries.map((row) => [row.zoneUID, row.sequence, row.epoch, row.at, row.entry, row.seal]);
  return Promise.all([
    insertAll(session, 'runtime_objects', OBJECT, puts, AS_IT_IS_NOW),
    insertAll(session, 'runtime_entries', ENTRY, rows),
  ]);
}
