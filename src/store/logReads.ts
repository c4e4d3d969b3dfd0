/** The stored log read as lines of an export, and as records newest first. */
import type { DatabaseSync } from 'node:sqlite';
import { ROOT, toEntryLine, type Chain } from '../audit/entry.ts';
import { toCheckpointLine } from '../audit/exportLines.ts';
import type { DecisionRecord } from '../authority/decision.ts';

export interface LoggedDecision extends Chain {
  readonly position: number;
  readonly hash: string;
  /** Whether a checkpoint of its chain covers it. */
  readonly isSigned: boolean;
  readonly record: DecisionRecord;
}

const SELECT_LOGGED = `SELECT zone_uid, writer, position, hash, record,
  position <= (SELECT coalesce(max(size), 0) FROM checkpoints
    WHERE checkpoints.zone_uid = decisions.zone_uid AND checkpoints.writer = decisions.writer) AS signed
  FROM decisions`;

/** As of one moment, whoever writes meanwhile: chain after chain, each checkpoint after the last record that it covers. */
export function* readLogLines(db: DatabaseSync, zoneUID: string | undefined): Generator<string> {
  db.exec('BEGIN');
  try {
    for (const chain of readChains(db)) {
      if (zoneUID === undefined || chain.zoneUID === zoneUID) yield* readChain(db, chain);
    }
  } finally {
    db.exec('COMMIT');
  }
}

export function* readLogged(db: DatabaseSync, first: 'newest' | 'oldest'): Generator<LoggedDecision> {
  const order = first === 'newest' ? 'DESC' : 'ASC';
  for (const row of db.prepare(`${SELECT_LOGGED} ORDER BY seq ${order}`).iterate()) yield toLogged(row);
}

/** By the id of the decision or of the request that it answered. */
export function findLogged(db: DatabaseSync, id: string): readonly LoggedDecision[] {
  const found = db.prepare(`${SELECT_LOGGED} WHERE id = :id OR json_extract(record, '$.requestID') = :id ORDER BY seq`);
  return found.all({ id }).map(toLogged);
}

export function readZones(db: DatabaseSync): readonly { readonly zoneUID: string; readonly zoneID: string }[] {
  const rows = db.prepare("SELECT DISTINCT zone_uid, json_extract(record, '$.zoneID') AS zone_id FROM decisions").all();
  return rows.map((row) => ({ zoneUID: String(row['zone_uid']), zoneID: String(row['zone_id']) }));
}

function readChains(db: DatabaseSync): readonly Chain[] {
  const rows = db
    .prepare('SELECT zone_uid, writer FROM decisions UNION SELECT zone_uid, writer FROM checkpoints ORDER BY 1, 2')
    .all();
  return rows.map((row) => ({ zoneUID: String(row['zone_uid']), writer: String(row['writer']) }));
}

function* readChain(db: DatabaseSync, chain: Chain): Generator<string> {
  const { zoneUID, writer } = chain;
  const records = db.prepare(
    'SELECT position, hash, record FROM decisions WHERE zone_uid = ? AND writer = ? ORDER BY position',
  );
  const checkpoints = db.prepare(
    'SELECT size, note FROM checkpoints WHERE zone_uid = ? AND writer = ? ORDER BY number',
  );
  yield* toChainLines(chain, records.iterate(zoneUID, writer), checkpoints.iterate(zoneUID, writer));
}

type Row = Readonly<Record<string, unknown>>;

/** Each checkpoint after the last record that it covers; both in order. */
export function* toChainLines(chain: Chain, records: Iterable<Row>, notes: Iterable<Row>): Generator<string> {
  const checkpoints = notes[Symbol.iterator]();
  let checkpoint = checkpoints.next();
  let previous = ROOT.hash;
  for (const row of records) {
    const [position, hash] = [Number(row['position']), String(row['hash'])];
    yield toEntryLine({ ...chain, position, previous, hash, record: String(row['record']) });
    previous = hash;
    for (; !checkpoint.done && Number(checkpoint.value['size']) <= position; checkpoint = checkpoints.next())
      yield toCheckpointLine(String(checkpoint.value['note']));
  }
  for (; !checkpoint.done; checkpoint = checkpoints.next()) yield toCheckpointLine(String(checkpoint.value['note']));
}

function toLogged(row: Readonly<Record<string, unknown>>): LoggedDecision {
  return {
    zoneUID: String(row['zone_uid']),
    writer: String(row['writer']),
    position: Number(row['position']),
    hash: String(row['hash']),
    isSigned: row['signed'] === 1,
    record: JSON.parse(String(row['record'])) as DecisionRecord,
  };
}
