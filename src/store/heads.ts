/** The heads of the zones in the embedded store. */
import type { DatabaseSync } from 'node:sqlite';
import type { Seal } from './seal.ts';
import { newHead, parseHeadRow, toHeadColumns, toHeadRow, type ZoneHead } from './zoneHead.ts';

export type HeadStatements = ReturnType<typeof prepareHeads>;

export function prepareHeads(db: DatabaseSync) {
  return {
    head: db.prepare('SELECT * FROM zone_heads WHERE zone_uid = ?'),
    heads: db.prepare('SELECT * FROM zone_heads'),
    writeHead: db.prepare(
      `INSERT OR REPLACE INTO zone_heads
       (zone_uid, version, epoch, digest, sequence, entry_seal, base_sequence, base_seal, revocations, tally, seal)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
  };
}

/** Throws where it was changed by someone without the key. */
export function readHead({ head }: HeadStatements, seal: Seal, zoneUID: string): ZoneHead {
  const row = head.get(zoneUID);
  return row ? parseHeadRow(seal, toHeadColumns(row)) : newHead(zoneUID);
}

export function readHeads({ heads }: HeadStatements, seal: Seal): readonly ZoneHead[] {
  return heads.all().map((row) => parseHeadRow(seal, toHeadColumns(row)));
}

export function writeHead({ writeHead: write }: HeadStatements, seal: Seal, head: ZoneHead): void {
  const { zoneUID, version, epoch, digest, sequence, entrySeal, ...row } = toHeadRow(seal, head);
  const { baseSequence, baseSeal, revocations, tally } = row;
  write.run(
    ...[zoneUID, version, epoch, digest, sequence, entrySeal, baseSequence, baseSeal, revocations, tally, row.seal],
  );
}
