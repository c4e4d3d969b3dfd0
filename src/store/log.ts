/** The log of decisions as this writer continues it: the head of each zone's chain, and checkpoints signed over them. */
import type { DatabaseSync } from 'node:sqlite';
import { parseCheckpointText, toCheckpointText, type Checkpoint } from '../audit/checkpoint.ts';
import { extend, ROOT, type Head } from '../audit/entry.ts';
import { openNote, signNote, type NoteSigner } from '../audit/note.ts';

export interface Log {
  /** This life of the database: a copy of it writes chains of its own. */
  readonly writer: string;
  /** By zone UID. */
  readonly heads: Map<string, Head>;
  /** Zones with records after their last checkpoint. */
  readonly unsigned: Set<string>;
  readonly signer: NoteSigner;
  readonly statements: LogStatements;
}

type LogStatements = ReturnType<typeof prepareLogStatements>;

/** Throws where what is stored does not follow from what was signed: nothing inconsistent is ever signed. */
export function openLog(db: DatabaseSync, writer: string, signer: NoteSigner): Log {
  const log: Log = {
    writer,
    heads: new Map(),
    unsigned: new Set(),
    signer,
    statements: prepareLogStatements(db),
  };
  for (const row of log.statements.zones.all()) recover(log, String(row['zone_uid']));
  return log;
}

/** The head that the record makes; `advance` once it is written. */
export function nextHead({ writer, heads }: Log, zoneUID: string, record: string): Head {
  return extend({ zoneUID, writer }, heads.get(zoneUID) ?? ROOT, record);
}

export function advance({ heads, unsigned }: Log, zoneUID: string, head: Head): void {
  heads.set(zoneUID, head);
  unsigned.add(zoneUID);
}

/** Signs the head of each chain that has grown since its last checkpoint, all in one transaction. `now` in Unix milliseconds. */
export function signHeads(db: DatabaseSync, { writer, heads, unsigned, signer, statements }: Log, now: number): void {
  if (unsigned.size === 0) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    let number = Number(statements.lastNumber.get(writer)?.['number'] ?? 0);
    for (const zoneUID of unsigned) {
      number += 1;
      const checkpoint = { zoneUID, writer, ...heads.get(zoneUID)!, number, at: now };
      const note = signNote(toCheckpointText(checkpoint), signer);
      statements.insertCheckpoint.run(writer, number, zoneUID, checkpoint.size, note);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
  unsigned.clear();
}

/** Makes the records since the last checkpoint follow from it, by their text. */
function recover(log: Log, zoneUID: string): void {
  const { writer, statements, heads, unsigned } = log;
  const signed = lastCheckpoint(log, zoneUID);
  let head: Head = signed ?? ROOT;
  for (const row of statements.recordsFrom.iterate(zoneUID, writer, head.size)) {
    const isSigned = Number(row['position']) === signed?.size;
    const next = isSigned ? head : extend({ zoneUID, writer }, head, String(row['record']));
    if (Number(row['position']) !== next.size || row['hash'] !== next.hash) throw toBroken(zoneUID, next.size);
    head = next;
  }
  if (signed && statements.recordAt.get(zoneUID, writer, signed.size) === undefined)
    throw toBroken(zoneUID, signed.size);
  if (head.size === 0) return;
  heads.set(zoneUID, head);
  if (head.size > (signed?.size ?? 0)) unsigned.add(zoneUID);
}

/** By another key of ours it counts as none: the chain is then followed from its beginning. */
function lastCheckpoint({ writer, signer, statements }: Log, zoneUID: string): Checkpoint | undefined {
  const row = statements.lastCheckpoint.get(zoneUID, writer);
  if (!row) return undefined;
  const opened = openNote(String(row['note']), [signer.verifier]);
  if (opened.ok) return parseCheckpointText(opened.text);
  if (opened.reason === 'unknown-key') return undefined;
  throw toBroken(zoneUID, Number(row['size']));
}

function toBroken(zoneUID: string, position: number): Error {
  return new Error(
    `the log of zone ${zoneUID} is not the one that was written, at record ${position}: keep the store as evidence, and restore it from a backup or begin a new one`,
  );
}

function prepareLogStatements(db: DatabaseSync) {
  return {
    // Each step is one look into an index, however many records there are.
    zones: db.prepare(
      `WITH RECURSIVE zones (zone_uid) AS (
         SELECT min(zone_uid) FROM decisions
         UNION ALL
         SELECT (SELECT min(zone_uid) FROM decisions WHERE decisions.zone_uid > zones.zone_uid)
         FROM zones WHERE zone_uid IS NOT NULL)
       SELECT zone_uid FROM zones WHERE zone_uid IS NOT NULL
       UNION SELECT zone_uid FROM checkpoints`,
    ),
    recordsFrom: db.prepare(
      `SELECT position, hash, record FROM decisions
       WHERE zone_uid = ? AND writer = ? AND position >= ? ORDER BY position`,
    ),
    recordAt: db.prepare('SELECT 1 FROM decisions WHERE zone_uid = ? AND writer = ? AND position = ?'),
    lastCheckpoint: db.prepare(
      'SELECT note, size FROM checkpoints WHERE zone_uid = ? AND writer = ? ORDER BY number DESC LIMIT 1',
    ),
    lastNumber: db.prepare('SELECT max(number) AS number FROM checkpoints WHERE writer = ?'),
    insertCheckpoint: db.prepare(
      'INSERT INTO checkpoints (writer, number, zone_uid, size, note) VALUES (?, ?, ?, ?, ?)',
    ),
  };
}
