/** Which life of the database this is: one that was restored, or may have been, never passes for the one before. */
import type { Seal } from '../seal.ts';
import { EVERYTHING, outdated, type ZoneHead } from '../zoneHead.ts';
import { insertEpochs } from './apply.ts';
import { lockAllHeads, writeHeads } from './gather.ts';
import type { Session } from './sessions.ts';

/**
 * `place`: the cluster, the database and the table; a dump that was restored has other ones. `life`: the start of the
 * server and its timeline; files that were put back, and a standby that took over, have other ones.
 */
const PRESENT = `SELECT
  concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
    (SELECT oid FROM pg_database WHERE datname = current_database()), 'caracal.incarnation'::regclass::oid) AS place,
  concat_ws('/', extract(epoch FROM pg_postmaster_start_time()),
    (SELECT timeline_id FROM pg_control_checkpoint())) AS life`;

interface Present {
  readonly place: string;
  readonly life: string;
}

/**
 * The incarnation for a process that starts. In another place it is a new one; after another start of the server
 * it stays, and every epoch is above those that may have been lost.
 */
export async function beginLife(session: Session, seal: Seal, newID: string, now: number): Promise<string> {
  await session.query('LOCK TABLE incarnation IN EXCLUSIVE MODE');
  const { rows } = await session.query('SELECT id, place, life FROM incarnation');
  const known = rows[0] as ({ readonly id: string } & Present) | undefined;
  const present = (await session.query(PRESENT)).rows[0] as Present;
  if (known?.place === present.place && known.life === present.life) return known.id;
  const id = known?.place === present.place ? known.id : newID;
  await session.query(
    `INSERT INTO incarnation (one, id, place, life) VALUES (1, $1, $2, $3)
     ON CONFLICT (one) DO UPDATE SET id = excluded.id, place = excluded.place, life = excluded.life`,
    [id, present.place, present.life],
  );
  await outdateAll(session, seal, now);
  return id;
}

/** For a database that went back while it was in use: every process has to start again. */
export async function endLife(session: Session, seal: Seal, newID: string, now: number): Promise<void> {
  await session.query('LOCK TABLE incarnation IN EXCLUSIVE MODE');
  await session.query('UPDATE incarnation SET id = $1', [newID]);
  await outdateAll(session, seal, now);
}

async function outdateAll(session: Session, seal: Seal, now: number): Promise<void> {
  const heads = (await lockAllHeads(session, seal)).filter(({ epoch }) => epoch !== 0);
  const raised = heads.map((head) => outdated(head, now));
  await writeHeads(session, seal, raised);
  await insertEpochs(
    session,
    raised.map((head) => ({ ...head, change: EVERYTHING })),
    now,
  );
}

/** Throws where the database is not the one that was opened. */
export async function checkLife(session: Session, incarnation: string): Promise<void> {
  const { rows } = await session.query('SELECT id FROM incarnation');
  if ((rows[0] as { id: string } | undefined)?.id !== incarnation) throw new DatabaseReplaced();
}

export class DatabaseReplaced extends Error {
  override readonly name = 'DatabaseReplaced';
  constructor() {
    super('the database was restored or replaced while it was in use: start again to use the one that is there');
  }
}

/** How far each zone is known to have come: none ever goes back but in a database that was put back. */
export interface Reached {
  /** What is known now, to be compared with what is read from now on. */
  known(): ReadonlyMap<string, ZoneHead>;
  /** Throws where a head is behind what was known before it was read. */
  note(heads: Iterable<ZoneHead>, before: ReadonlyMap<string, ZoneHead>): void;
}

export function createReached(): Reached {
  let reached: ReadonlyMap<string, ZoneHead> = new Map();
  return {
    known: () => reached,
    note(heads, before) {
      const next = new Map<string, ZoneHead>();
      for (const head of heads) {
        const last = before.get(head.zoneUID);
        if (last && (head.epoch < last.epoch || head.sequence < last.sequence)) throw new DatabaseWentBack();
        const newest = reached.get(head.zoneUID);
        if (!newest || newest.epoch < head.epoch || newest.sequence < head.sequence) next.set(head.zoneUID, head);
      }
      if (next.size > 0) reached = new Map([...reached, ...next]);
    },
  };
}

export class DatabaseWentBack extends Error {
  override readonly name = 'DatabaseWentBack';
  constructor() {
    super('the database is behind what it had answered: it was restored while it was in use');
  }
}
