/** The runtime state in the embedded store: written in the transaction of its decision, read whole or entry by entry, and forgotten. */
import type { DatabaseSync } from 'node:sqlite';
import type { Seal } from './seal.ts';
import { readHead, writeHead, type HeadStatements } from './heads.ts';
import {
  checkEntries,
  checkObject,
  toEntryRow,
  toForgotten,
  toObjectRow,
  toState,
  writeRuntime,
  type EntryRow,
  type RuntimeOperation,
} from './runtimeRows.ts';
import { tallied, type ZoneHead } from './zoneHead.ts';

export type RuntimeStatements = HeadStatements & ReturnType<typeof prepareRuntime>;

export function prepareRuntime(db: DatabaseSync) {
  return {
    objectSeal: db.prepare('SELECT seal FROM runtime_objects WHERE zone_uid = ? AND kind = ? AND id = ?'),
    objects: db.prepare('SELECT * FROM runtime_objects WHERE zone_uid = ?'),
    putObject: db.prepare(
      `INSERT OR REPLACE INTO runtime_objects (zone_uid, kind, id, sequence, forget_at, record, seal)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    overObjects: db.prepare('SELECT * FROM runtime_objects WHERE forget_at < ? ORDER BY forget_at LIMIT ?'),
    deleteObject: db.prepare('DELETE FROM runtime_objects WHERE zone_uid = ? AND kind = ? AND id = ?'),
    insertEntry: db.prepare(
      'INSERT INTO runtime_entries (zone_uid, sequence, epoch, at, entry, seal) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    entry: db.prepare('SELECT * FROM runtime_entries WHERE zone_uid = ? AND sequence = ?'),
    entries: db.prepare('SELECT * FROM runtime_entries WHERE zone_uid = ? AND sequence > ? ORDER BY sequence LIMIT ?'),
    deleteEntries: db.prepare('DELETE FROM runtime_entries WHERE zone_uid = ? AND sequence <= ?'),
  };
}

/** Undefined where another write came first. */
export function putRuntime(
  statements: RuntimeStatements,
  seal: Seal,
  before: ZoneHead,
  operation: RuntimeOperation,
  now: number,
): { readonly head: ZoneHead; readonly entry: EntryRow } | undefined {
  const { zoneUID } = before;
  if (before.sequence !== operation.expected) return undefined;
  const sealOf = (kind: string, id: string) => statements.objectSeal.get(zoneUID, kind, id)?.['seal'] as string;
  const { head, entry, objects } = writeRuntime(seal, before, operation, now, sealOf);
  for (const row of objects)
    statements.putObject.run(zoneUID, row.kind, row.id, row.sequence, row.forgetAt, row.record, row.seal);
  statements.insertEntry.run(zoneUID, entry.sequence, entry.epoch, now, entry.entry, entry.seal);
  return { head, entry };
}

/** Throws where an object was changed, is gone, or came back. */
export function readRuntime(statements: RuntimeStatements, seal: Seal, zoneUID: string) {
  const objects = statements.objects.all(zoneUID).map(toObjectRow);
  return toState(seal, readHead(statements, seal, zoneUID), objects);
}

/** Undefined where some were forgotten, or the state never came as far. Throws where one was changed or is gone. */
export function readEntries(
  statements: RuntimeStatements,
  seal: Seal,
  { zoneUID, after, limit }: { readonly zoneUID: string; readonly after: number; readonly limit: number },
): readonly EntryRow[] | undefined {
  const head = readHead(statements, seal, zoneUID);
  if (after < head.baseSequence || after > head.sequence) return undefined;
  const from = after === head.baseSequence ? head.baseSeal : statements.entry.get(zoneUID, after)?.['seal'];
  const rows = statements.entries.all(zoneUID, after, limit).map(toEntryRow);
  checkEntries(seal, head, { sequence: after, seal: String(from) }, rows, limit);
  return rows;
}

/** Removes some objects that are over since before `before` (Unix seconds); how many. */
export function forgetObjects(statements: RuntimeStatements, seal: Seal, before: number, limit: number): number {
  const rows = statements.overObjects.all(before, limit).map(toObjectRow);
  for (const [zoneUID, gone] of Map.groupBy(rows, (row) => row.zoneUID)) {
    for (const row of gone) {
      checkObject(seal, row);
      statements.deleteObject.run(zoneUID, row.kind, row.id);
    }
    const removed = gone.map((row) => row.seal);
    writeHead(statements, seal, tallied(seal, readHead(statements, seal, zoneUID), [], removed));
  }
  return rows.length;
}

/** Removes some entries of a zone from before `before` (Unix milliseconds), never the last; how many. */
export function forgetEntries(
  statements: RuntimeStatements,
  seal: Seal,
  head: ZoneHead,
  before: number,
  limit: number,
): number {
  const { zoneUID, baseSequence: after, sequence } = head;
  const rows = readEntries(statements, seal, { zoneUID, after, limit }) ?? [];
  const gone = toForgotten(rows, sequence, before);
  const last = gone.at(-1);
  if (!last) return 0;
  statements.deleteEntries.run(zoneUID, last.sequence);
  writeHead(statements, seal, { ...head, baseSequence: last.sequence, baseSeal: last.seal });
  return gone.length;
}
