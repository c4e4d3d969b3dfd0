/** What is read of the database, each as of one moment and with its seals checked. */
import { checkAuthority, checkRevocations } from '../authorityRows.ts';
import type { Methods } from '../protocol.ts';
import { checkEntries, toEntryRow, toObjectRow, toState, type EntryRow } from '../runtimeRows.ts';
import type { Seal } from '../seal.ts';
import { newHead, parseHeadRow, toHeadColumns, type ZoneHead } from '../zoneHead.ts';
import type { Session } from './sessions.ts';

type Row = Readonly<Record<string, unknown>>;

export async function readHead(session: Session, seal: Seal, zoneUID: string): Promise<ZoneHead> {
  const { rows } = await session.query('SELECT * FROM zone_heads WHERE zone_uid = $1', [zoneUID]);
  const row = rows[0] as Row | undefined;
  return row ? parseHeadRow(seal, toHeadColumns(row)) : newHead(zoneUID);
}

export async function readHeads(session: Session, seal: Seal): Promise<readonly ZoneHead[]> {
  const { rows } = await session.query('SELECT * FROM zone_heads');
  return rows.map((row: Row) => parseHeadRow(seal, toHeadColumns(row)));
}

/** Unix milliseconds. */
export async function readClock(session: Session): Promise<number> {
  const { rows } = await session.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now');
  return Number((rows[0] as { now: string }).now);
}

export async function readAuthority(
  session: Session,
  seal: Seal,
  { zoneUID, key }: Methods['authorityRecord']['request'],
): Promise<string | undefined> {
  const text = 'SELECT expires_at, record, seal FROM authority_records WHERE zone_uid = $1 AND sid = $2';
  const row = (await session.query(text, [zoneUID, key])).rows[0] as Row | undefined;
  if (!row) return undefined;
  const record = String(row['record']);
  const sealed = { expiresAt: Number(row['expires_at']), record, seal: String(row['seal']) };
  checkAuthority(seal, { zoneUID, sid: key, ...sealed });
  return record;
}

export async function readRevocations(session: Session, seal: Seal, head: ZoneHead) {
  const { zoneUID } = head;
  const text = 'SELECT uid, epoch, record, seal FROM revocations WHERE zone_uid = $1 ORDER BY epoch, uid';
  const rows = (await session.query(text, [zoneUID])).rows.map((row: Row) => ({
    zoneUID,
    uid: String(row['uid']),
    epoch: Number(row['epoch']),
    record: String(row['record']),
    seal: String(row['seal']),
  }));
  checkRevocations(seal, head, rows);
  return rows;
}

export async function readRuntime(session: Session, seal: Seal, head: ZoneHead) {
  const { rows } = await session.query('SELECT * FROM runtime_objects WHERE zone_uid = $1', [head.zoneUID]);
  return toState(seal, head, rows.map(toObjectRow));
}

/** Undefined where some were forgotten, or the state never came as far. */
export async function readEntries(
  session: Session,
  seal: Seal,
  head: ZoneHead,
  { after, limit }: Methods['runtimeEntries']['request'],
): Promise<readonly EntryRow[] | undefined> {
  const { zoneUID, baseSequence, baseSeal, sequence } = head;
  if (after < baseSequence || after > sequence) return undefined;
  const text = 'SELECT * FROM runtime_entries WHERE zone_uid = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3';
  const found = (await session.query(text, [zoneUID, after, limit + 1])).rows.map(toEntryRow);
  const last = found.find((row) => row.sequence === after);
  const rows = found.filter((row) => row !== last).slice(0, limit);
  const from = { sequence: after, seal: after === baseSequence ? baseSeal : (last?.seal ?? '') };
  checkEntries(seal, head, from, rows, limit);
  return rows;
}

const DECISIONS = {
  decision: 'SELECT record FROM decisions WHERE zone_uid = $1 AND id = $2',
  decisionByJTI: 'SELECT record FROM decisions WHERE zone_uid = $1 AND jti = $2',
} as const;

export async function readDecision(
  session: Session,
  method: keyof typeof DECISIONS,
  { zoneUID, key }: Methods['decision']['request'],
): Promise<string | undefined> {
  const { rows } = await session.query(DECISIONS[method], [zoneUID, key]);
  return (rows[0] as { readonly record: string } | undefined)?.record;
}

export async function readDecisions(
  session: Session,
  { zoneUID, limit }: Methods['decisions']['request'],
): Promise<readonly string[]> {
  const text = 'SELECT record FROM decisions WHERE zone_uid = $1 ORDER BY at DESC, seq DESC LIMIT $2';
  const { rows } = await session.query(text, [zoneUID, limit]);
  return rows.map((row: { readonly record: string }) => row.record);
}
