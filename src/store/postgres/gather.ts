/** Locks the zones of a group, and reads all that the database has of what the group names. */
import type { Operation } from '../protocol.ts';
import type { Seal } from '../seal.ts';
import { newHead, parseHeadRow, toHeadColumns, toHeadRow, type ZoneHead } from '../zoneHead.ts';
import { decisionKeys, toKey, type CommitOperation, type Facts } from './plan.ts';
import { insertAll, selectAll, type Columns } from './rows.ts';
import type { Session } from './sessions.ts';

/** Of zones that are held until the transaction ends. Throws where one has no row, which each is given before. */
export async function lockHeads(
  session: Session,
  seal: Seal,
  zoneUIDs: readonly string[],
): Promise<ReadonlyMap<string, ZoneHead>> {
  const text = 'SELECT * FROM zone_heads WHERE zone_uid = ANY($1::text[]) ORDER BY zone_uid FOR UPDATE';
  const { rows } = await session.query(text, [zoneUIDs]);
  const heads = rows.map((row: Record<string, unknown>) => parseHeadRow(seal, toHeadColumns(row)));
  if (heads.length < zoneUIDs.length) throw new HeadsMissing();
  return new Map(heads.map((head) => [head.zoneUID, head]));
}

/** Zones that were known have no row any more. */
export class HeadsMissing extends Error {
  override readonly name = 'HeadsMissing';
  constructor() {
    super('the head of a zone is gone');
  }
}

/** Of all zones that there are. */
export async function lockAllHeads(session: Session, seal: Seal): Promise<readonly ZoneHead[]> {
  const { rows } = await session.query('SELECT * FROM zone_heads ORDER BY zone_uid FOR UPDATE');
  return rows.map((row: Record<string, unknown>) => parseHeadRow(seal, toHeadColumns(row)));
}

const HEAD: Columns = {
  ...{ zone_uid: 'text', version: 'bigint', epoch: 'bigint', digest: 'text', sequence: 'bigint', entry_seal: 'text' },
  ...{ base_sequence: 'bigint', base_seal: 'text', revocations: 'bigint', tally: 'text', seal: 'text' },
};

/** In a transaction of its own, before a writer holds anything: two that each make what the other waits for would wait for ever. */
export async function insertHeads(session: Session, seal: Seal, zoneUIDs: readonly string[]): Promise<void> {
  const rows = zoneUIDs.toSorted().map((zoneUID) => headValues(seal, newHead(zoneUID)));
  await insertAll(session, 'zone_heads', HEAD, rows, 'ON CONFLICT DO NOTHING');
}

/** Of zones that are locked. */
export async function writeHeads(session: Session, seal: Seal, heads: readonly ZoneHead[]): Promise<void> {
  const columns = Object.keys(HEAD).filter((name) => name !== 'zone_uid');
  const update = columns.map((name) => `${name} = excluded.${name}`).join(', ');
  const rows = heads.map((head) => headValues(seal, head));
  await insertAll(session, 'zone_heads', HEAD, rows, `ON CONFLICT (zone_uid) DO UPDATE SET ${update}`);
}

function headValues(seal: Seal, head: ZoneHead) {
  const row = toHeadRow(seal, head);
  const { zoneUID, version, epoch, digest, sequence, entrySeal, baseSequence, baseSeal, revocations, tally } = row;
  return [zoneUID, version, epoch, digest, sequence, entrySeal, baseSequence, baseSeal, revocations, tally, row.seal];
}

/** The zones that a group touches; the one without a name is that of ids which are single use across zones. */
export function zonesOf(operations: readonly Operation[]): readonly string[] {
  const zones = operations.flatMap((operation) =>
    operation.type === 'raiseEpoch'
      ? [operation.zoneUID]
      : [operation.decision.zoneUID, ...operation.consume.map(({ zoneUID }) => zoneUID)],
  );
  return [...new Set(zones)].toSorted();
}

/**
 * A writer holds the zones that it names until it has committed, each writer in the same order: what is read after they
 * are locked stays so, and sequences follow one another in the order of the commits. Sent together.
 */
export async function gatherFacts(
  session: Session,
  seal: Seal,
  operations: readonly Operation[],
): Promise<Omit<Facts, 'logHeads'>> {
  const commits = operations.filter((operation): operation is CommitOperation => operation.type === 'commit');
  const [heads, spent, decisions, revocations, objectSeals] = await Promise.all([
    lockHeads(session, seal, zonesOf(operations)),
    gatherSpent(session, commits),
    gatherDecisions(session, operations),
    gatherRevocations(session, operations),
    gatherObjectSeals(session, commits),
  ]);
  return { heads, spent, decisions, revocations, objectSeals };
}

async function gatherSpent(session: Session, commits: readonly CommitOperation[]): Promise<ReadonlySet<string>> {
  const columns: Columns = { class: 'text', zone_uid: 'text', key: 'text' };
  const uses = commits.flatMap(({ consume }) => consume);
  const tuples = uses.map((use) => [use.class, use.zoneUID, toKeyText(use.key)]);
  const rows = await selectAll(session, 'single_use', columns, tuples);
  const found = new Set(rows.map((row) => toKey(String(row['class']), String(row['zone_uid']), String(row['key']))));
  const isFound = (use: (typeof uses)[number]) => found.has(toKey(use.class, use.zoneUID, toKeyText(use.key)));
  return new Set(uses.filter(isFound).map((use) => toKey(use.class, use.zoneUID, use.key)));
}

/** Keys come from outside, and a text of PostgreSQL holds no NUL: written so that no two become one. */
export function toKeyText(key: string): string {
  return key.replaceAll('\\', '\\\\').replaceAll('\0', '\\0');
}

async function gatherDecisions(session: Session, operations: readonly Operation[]): Promise<ReadonlySet<string>> {
  const decisions = operations.flatMap(({ decision }) => decision ?? []);
  if (decisions.length === 0) return new Set();
  const { rows } = await session.query(
    `SELECT zone_uid, id, jti FROM decisions JOIN unnest($1::text[], $2::text[]) AS given (zone_uid, id) USING (zone_uid, id)
     UNION ALL
     SELECT zone_uid, id, jti FROM decisions JOIN unnest($1::text[], $3::text[]) AS given (zone_uid, jti) USING (zone_uid, jti)
     WHERE jti IS NOT NULL`,
    [decisions.map(({ zoneUID }) => zoneUID), decisions.map(({ id }) => id), decisions.map(({ jti }) => jti)],
  );
  const toRow = (row: Record<string, unknown>) =>
    decisionKeys({ zoneUID: String(row['zone_uid']), id: String(row['id']), jti: row['jti'] as string | null });
  return new Set(rows.flatMap(toRow));
}

async function gatherRevocations(session: Session, operations: readonly Operation[]): Promise<ReadonlySet<string>> {
  const tuples = operations.flatMap((operation) =>
    operation.type === 'commit' ? [] : operation.revocations.map(({ uid }) => [operation.zoneUID, uid]),
  );
  const rows = await selectAll(session, 'revocations', { zone_uid: 'text', uid: 'text' }, tuples);
  return new Set(rows.map((row) => toKey(String(row['zone_uid']), String(row['uid']))));
}

async function gatherObjectSeals(
  session: Session,
  commits: readonly CommitOperation[],
): Promise<ReadonlyMap<string, string>> {
  const tuples = commits.flatMap(({ decision, runtime }) =>
    (runtime?.objects ?? []).map(({ kind, id }) => [decision.zoneUID, kind, id]),
  );
  const rows = await selectAll(session, 'runtime_objects', { zone_uid: 'text', kind: 'text', id: 'text' }, tuples);
  return new Map(
    rows.map((row) => [toKey(String(row['zone_uid']), String(row['kind']), String(row['id'])), String(row['seal'])]),
  );
}
