/** Authority records and revocations as sealed rows. */
import { toForged, type Seal } from './seal.ts';
import type { ZoneHead } from './zoneHead.ts';

export interface AuthorityRow {
  readonly zoneUID: string;
  readonly sid: string;
  readonly expiresAt: number;
  readonly record: string;
}

export interface RevocationRow {
  readonly zoneUID: string;
  readonly uid: string;
  readonly epoch: number;
  readonly record: string;
}

export type SealedRow<Row> = Row & { readonly seal: string };

export function sealAuthority(seal: Seal, { zoneUID, sid, expiresAt, record }: AuthorityRow): string {
  return seal.of('authority', [zoneUID, sid, expiresAt, record]);
}

/** Throws where the row was not written with the key. */
export function checkAuthority(seal: Seal, { seal: found, ...row }: SealedRow<AuthorityRow>): void {
  const { zoneUID, sid, expiresAt, record } = row;
  const what = `the authority record ${sid} of zone ${zoneUID}`;
  seal.check('authority', [zoneUID, sid, expiresAt, record], found, what);
}

export function sealRevocation(seal: Seal, { zoneUID, uid, epoch, record }: RevocationRow): string {
  return seal.of('revocation', [zoneUID, uid, epoch, record]);
}

/** Throws where one was changed, or where they are not as many as there were. */
export function checkRevocations(seal: Seal, head: ZoneHead, rows: readonly SealedRow<RevocationRow>[]): void {
  for (const { zoneUID, uid, epoch, record, seal: found } of rows)
    seal.check('revocation', [zoneUID, uid, epoch, record], found, `the revocation ${uid} of zone ${zoneUID}`);
  if (rows.length !== head.revocations) throw toForged(`the set of revocations of zone ${head.zoneUID}`);
}
