/** Rows of an earlier schema are sealed as they are: what was changed until then cannot be told. */
import type { DatabaseSync } from 'node:sqlite';
import { sealAuthority, sealRevocation } from './authorityRows.ts';
import { prepareHeads, writeHead } from './heads.ts';
import type { Seal } from './seal.ts';
import { newHead } from './zoneHead.ts';

export function sealRows(db: DatabaseSync, seal: Seal): void {
  db.prepare('INSERT INTO seal_proof (only, proof) VALUES (1, ?)').run(seal.proof);
  sealAuthorityRecords(db, seal);
  sealRevocations(db, seal);
  makeHeads(db, seal);
}

function sealAuthorityRecords(db: DatabaseSync, seal: Seal): void {
  const update = db.prepare('UPDATE authority_records SET seal = ? WHERE zone_uid = ? AND sid = ?');
  for (const row of db.prepare('SELECT zone_uid, sid, expires_at, record FROM authority_records').all()) {
    const [zoneUID, sid, record] = [String(row['zone_uid']), String(row['sid']), String(row['record'])];
    update.run(sealAuthority(seal, { zoneUID, sid, expiresAt: Number(row['expires_at']), record }), zoneUID, sid);
  }
}

function sealRevocations(db: DatabaseSync, seal: Seal): void {
  const update = db.prepare('UPDATE revocations SET seal = ? WHERE zone_uid = ? AND uid = ?');
  for (const row of db.prepare('SELECT zone_uid, uid, epoch, record FROM revocations').all()) {
    const [zoneUID, uid, record] = [String(row['zone_uid']), String(row['uid']), String(row['record'])];
    update.run(sealRevocation(seal, { zoneUID, uid, epoch: Number(row['epoch']), record }), zoneUID, uid);
  }
}

function makeHeads(db: DatabaseSync, seal: Seal): void {
  const statements = prepareHeads(db);
  const count = db.prepare('SELECT count(*) AS n FROM revocations WHERE zone_uid = ?');
  const last = db.prepare(
    `SELECT zone_uid, epoch, digest FROM zone_epochs
     WHERE (zone_uid, epoch) IN (SELECT zone_uid, max(epoch) FROM zone_epochs GROUP BY zone_uid)`,
  );
  for (const row of last.all()) {
    const zoneUID = String(row['zone_uid']);
    const head = { epoch: Number(row['epoch']), digest: String(row['digest']) };
    const revocations = Number(count.get(zoneUID)?.['n']);
    writeHead(statements, seal, { ...newHead(zoneUID), ...head, revocations });
  }
}
