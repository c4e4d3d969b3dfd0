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

export async function applyPlan(
  session: Session,
  plan: Plan,
  { seal, writer, now }: { readonly seal: Seal; readonly writer: string; readonly now: number },
): Promise<void> {
  const singleUse = [...plan.singleUse.values()];
  const uses = singleUse.map((use) => [use.class, use.zoneUID, toKeyText(use.key), use.expiresAt]);
  await insertAll(session, 'single_use', SINGLE_USE, uses);
  await insertAll(session, 'decisions', DECISION, toDecisions(plan, writer));
  const authority = [...plan.authority.values()];
  const logins = authority.map((row) => [row.zoneUID, row.sid, row.expiresAt, row.record, row.seal]);
  await insertAll(session, 'authority_records', AUTHORITY, logins, LATEST_EXPIRY);
  if (plan.moved.size === 0) return;
  await insertEpochs(session, plan.epochs, now);
  const revocations = [...plan.revocations.values()];
  const revoked = revocations.map((row) => [row.zoneUID, row.uid, row.epoch, now, row.record, row.seal]);
  await insertAll(session, 'revocations', REVOCATION, revoked);
  await applyRuntime(session, plan);
  const heads = [...plan.moved].toSorted().map((zoneUID) => plan.heads.get(zoneUID)!);
  await writeHeads(session, seal, heads);
}

function toDecisions({ logged }: Plan, writer: string) {
  return logged.map(({ decision: { id, zoneUID, jti, at, outcome, record }, head }) =>
    // Columns of DECISION.
    [id, zoneUID, jti, at, outcome, record, writer, head.size, head.hash],
  );
}

async function applyRuntime(session: Session, { objects, entries }: Plan): Promise<void> {
  const puts = [...objects.values()].map((row) => {
    const { zoneUID, kind, id, sequence, forgetAt, record, seal } = row;
    return [zoneUID, kind, id, sequence, forgetAt, record, seal];
  });
  await insertAll(session, 'runtime_objects', OBJECT, puts, AS_IT_IS_NOW);
  const rows = entries.map((row) => [row.zoneUID, row.sequence, row.epoch, row.at, row.entry, row.seal]);
  await insertAll(session, 'runtime_entries', ENTRY, rows);
}
