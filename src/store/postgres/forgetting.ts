/** Removes what expired and what is over, some of it at a time, one replica at a time. */
import { checkEntries, checkObject, toEntryRow, toForgotten, toObjectRow } from '../runtimeRows.ts';
import type { Seal } from '../seal.ts';
import { tallied } from '../zoneHead.ts';
import type { Context } from './context.ts';
import { lockHeads, writeHeads } from './gather.ts';
import type { Session, Sessions } from './sessions.ts';

const AT_ONCE = 500;
/** Seconds that something expired is kept, for clocks that differ. */
const MARGIN = 60;
/** Milliseconds that a runtime entry is kept for replicas that are behind. */
const ENTRIES_KEPT_MS = 3_600_000;
/** "FRGT": held by the one replica that removes. */
const LOCK = 0x4652_4754;

const EVERY_MS = 60_000;

export interface Forgetting {
  /** After a write, and beside the next ones: what is removed now may be removed later just as well. */
  sometimes(): void;
  /** Resolves when nothing is under way, and nothing more comes. */
  end(): Promise<void>;
}

export function createForgetting({ sessions, seal, clock }: Context): Forgetting {
  let underWay: Promise<void> | undefined;
  let nextAt = 0;
  let ended = false;
  const forget = async (now: number): Promise<void> => {
    const isMore = await forgetSome(sessions, seal, now).catch(() => false);
    nextAt = isMore ? now : now + EVERY_MS;
    underWay = undefined;
    // Writes that came meanwhile asked in vain.
    sometimes();
  };
  const sometimes = (): void => {
    const now = clock.now();
    if (!underWay && !ended && now >= nextAt) underWay = forget(now);
  };
  return {
    sometimes,
    async end() {
      ended = true;
      await underWay;
    },
  };
}

/** True where more may be left. `now` in Unix milliseconds. */
async function forgetSome(sessions: Sessions, seal: Seal, now: number): Promise<boolean> {
  const before = Math.floor(now / 1000) - MARGIN;
  const zones = await sessions.tend((session) => forgetExpired(session, before, now));
  const counts = [zones?.removed ?? 0];
  for (const zoneUID of zones?.withObjects ?? [])
    counts.push(await sessions.tend((session) => forgetObjects(session, seal, zoneUID, before)));
  for (const zoneUID of zones?.withEntries ?? [])
    counts.push(await sessions.tend((session) => forgetEntries(session, seal, zoneUID, now - ENTRIES_KEPT_MS)));
  return counts.some((count) => count >= AT_ONCE);
}

/** And the zones that have something to forget; undefined where another replica is at it. */
async function forgetExpired(session: Session, before: number, now: number) {
  const { rows } = await session.query('SELECT pg_try_advisory_xact_lock($1) AS mine', [LOCK]);
  if (!(rows[0] as { mine: boolean }).mine) return undefined;
  const uses = await session.query(
    `DELETE FROM single_use WHERE ctid = ANY(ARRAY(SELECT ctid FROM single_use WHERE expires_at < $1 LIMIT $2))`,
    [before, AT_ONCE],
  );
  const logins = await session.query(
    `DELETE FROM authority_records
     WHERE ctid = ANY(ARRAY(SELECT ctid FROM authority_records WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, AT_ONCE],
  );
  const over = await session.query('SELECT DISTINCT zone_uid FROM runtime_objects WHERE forget_at < $1', [before]);
  const old = await session.query(
    `SELECT zone_uid FROM zone_heads WHERE sequence > base_sequence + 1 AND
       (SELECT at FROM runtime_entries WHERE runtime_entries.zone_uid = zone_heads.zone_uid
          AND runtime_entries.sequence = base_sequence + 1) < $1`,
    [now - ENTRIES_KEPT_MS],
  );
  const removed = Math.max(uses.rowCount ?? 0, logins.rowCount ?? 0);
  return { removed, withObjects: zonesOf(over.rows), withEntries: zonesOf(old.rows) };
}

const zonesOf = (rows: readonly Record<string, unknown>[]) => rows.map((row) => String(row['zone_uid']));

async function forgetObjects(session: Session, seal: Seal, zoneUID: string, before: number): Promise<number> {
  const head = (await lockHeads(session, seal, [zoneUID])).get(zoneUID)!;
  const found = await session.query(
    'SELECT * FROM runtime_objects WHERE zone_uid = $1 AND forget_at < $2 ORDER BY forget_at LIMIT $3',
    [zoneUID, before, AT_ONCE],
  );
  const rows = found.rows.map(toObjectRow);
  for (const row of rows) checkObject(seal, row);
  await session.query(
    `DELETE FROM runtime_objects WHERE zone_uid = $1
       AND (kind, id) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
    [zoneUID, rows.map(({ kind }) => kind), rows.map(({ id }) => id)],
  );
  const removed = rows.map((row) => row.seal);
  await writeHeads(session, seal, [tallied(seal, head, [], removed)]);
  return rows.length;
}

async function forgetEntries(session: Session, seal: Seal, zoneUID: string, before: number): Promise<number> {
  const head = (await lockHeads(session, seal, [zoneUID])).get(zoneUID)!;
  const found = await session.query('SELECT * FROM runtime_entries WHERE zone_uid = $1 ORDER BY sequence LIMIT $2', [
    zoneUID,
    AT_ONCE,
  ]);
  const rows = found.rows.map(toEntryRow);
  checkEntries(seal, head, { sequence: head.baseSequence, seal: head.baseSeal }, rows, AT_ONCE);
  const gone = toForgotten(rows, head.sequence, before);
  const last = gone.at(-1);
  if (!last) return 0;
  await session.query('DELETE FROM runtime_entries WHERE zone_uid = $1 AND sequence <= $2', [zoneUID, last.sequence]);
  await writeHeads(session, seal, [{ ...head, baseSequence: last.sequence, baseSeal: last.seal }]);
  return gone.length;
}
