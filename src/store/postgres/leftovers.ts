/** What processes that were killed left unsigned: followed from their last checkpoint, and signed by whoever starts next. */
import { parseCheckpointText } from '../../audit/checkpoint.ts';
import { extend, ROOT, type Chain, type Head } from '../../audit/entry.ts';
import { openNote, type NoteSigner } from '../../audit/note.ts';
import { insertCheckpoints } from './chains.ts';
import type { Session, Sessions } from './sessions.ts';

/** Milliseconds after which a writer that lives would have signed. */
const LEFT_AFTER_MS = 60_000;
const AT_ONCE = 1000;

/** Each step is one look into an index, however many records there are. */
const UNSIGNED = `
  WITH RECURSIVE chains AS (
    (SELECT zone_uid, writer FROM decisions ORDER BY zone_uid, writer LIMIT 1)
    UNION ALL
    SELECT next.* FROM chains, LATERAL (
      SELECT zone_uid, writer FROM decisions WHERE (zone_uid, writer) > (chains.zone_uid, chains.writer)
      ORDER BY zone_uid, writer LIMIT 1) AS next)
  SELECT zone_uid, writer, last.position, signed.note FROM chains,
    LATERAL (SELECT position, at FROM decisions
      WHERE decisions.zone_uid = chains.zone_uid AND decisions.writer = chains.writer
      ORDER BY position DESC LIMIT 1) AS last
    LEFT JOIN LATERAL (SELECT size, note FROM checkpoints
      WHERE checkpoints.zone_uid = chains.zone_uid AND checkpoints.writer = chains.writer
      ORDER BY number DESC LIMIT 1) AS signed ON true
  WHERE last.at < $1 AND last.position > coalesce(signed.size, 0)`;

/** Throws where the records are not those that follow what was signed: nothing inconsistent is ever signed. */
export async function signLeftovers(sessions: Sessions, signer: NoteSigner, now: number): Promise<void> {
  const found = await sessions.read((session) => session.query(UNSIGNED, [now - LEFT_AFTER_MS]));
  for (const row of found.rows as readonly Readonly<Record<string, unknown>>[]) {
    const chain = { zoneUID: String(row['zone_uid']), writer: String(row['writer']) };
    const signed = readSigned(row['note'] as string | null, signer, chain);
    // Of a key that is not ours: whoever has it can sign.
    if (!signed) continue;
    const head = await follow(sessions, chain, signed, Number(row['position']));
    await sessions
      .tend((session) => insertCheckpoints(session, [{ ...chain, ...head }], signer, now))
      .catch(ignoreRace);
  }
}

function readSigned(note: string | null, signer: NoteSigner, chain: Chain): Head | undefined {
  if (note === null) return ROOT;
  const opened = openNote(note, [signer.verifier]);
  if (opened.ok) return parseCheckpointText(opened.text);
  if (opened.reason === 'unknown-key') return undefined;
  throw toBroken(chain, 0);
}

async function follow(sessions: Sessions, chain: Chain, signed: Head, last: number): Promise<Head> {
  let head = signed;
  while (head.size < last) {
    const from = head;
    const rows = await sessions.read((session) => readRecords(session, chain, from.size));
    if (rows.length === 0) throw toBroken(chain, head.size + 1);
    for (const { position, hash, record } of rows) {
      head = extend(chain, head, record);
      if (position !== head.size || hash !== head.hash) throw toBroken(chain, head.size);
    }
  }
  return head;
}

async function readRecords(session: Session, { zoneUID, writer }: Chain, after: number) {
  const { rows } = await session.query(
    `SELECT position, hash, record FROM decisions WHERE zone_uid = $1 AND writer = $2 AND position > $3
     ORDER BY position LIMIT $4`,
    [zoneUID, writer, after, AT_ONCE],
  );
  return rows.map((row: Record<string, unknown>) => ({
    position: Number(row['position']),
    hash: String(row['hash']),
    record: String(row['record']),
  }));
}

function toBroken({ zoneUID }: Chain, position: number): Error {
  return new Error(
    `the log of zone ${zoneUID} is not the one that was written, at record ${position}: keep the database as evidence, and restore it from a backup or begin a new one`,
  );
}

const UNIQUE_VIOLATION = '23505';

/** Someone else signed at the same moment. */
function ignoreRace(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION)) throw error;
}
