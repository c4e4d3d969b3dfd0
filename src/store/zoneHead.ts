/** The head of a zone: its epoch, the end of its runtime entries, and how much of its sealed rows there is. */
import type { Seal } from './seal.ts';
import { toForged } from './seal.ts';

export interface ZoneHead {
  readonly zoneUID: string;
  /** Counts the changes of this row. */
  readonly version: number;
  /** 0: never raised. */
  readonly epoch: number;
  /** Snapshot digest that the epoch was raised for. */
  readonly digest: string;
  /** Of the last runtime entry; 0: nothing was ever written. */
  readonly sequence: number;
  readonly entrySeal: string;
  /** The last runtime entry that was forgotten: the first one that is left follows from it. */
  readonly baseSequence: number;
  readonly baseSeal: string;
  /** How many revocations there are. */
  readonly revocations: number;
  /** Sum over the runtime objects that there are: one that is gone, or back as it once was, does not add up. */
  readonly tally: bigint;
}

/** As columns; `tally` is masked, so that what one object adds to it is not seen. */
export interface ZoneHeadRow extends Omit<ZoneHead, 'tally'> {
  readonly tally: string;
  readonly seal: string;
}

const MODULUS = 1n << 256n;

export function newHead(zoneUID: string): ZoneHead {
  const nothing = { version: 0, epoch: 0, digest: '', sequence: 0, baseSequence: 0, revocations: 0, tally: 0n };
  return { zoneUID, ...nothing, entrySeal: '', baseSeal: '' };
}

/** The row of the head with one change more. */
export function toHeadRow(seal: Seal, head: ZoneHead): ZoneHeadRow {
  const version = head.version + 1;
  const masked = wrap(head.tally + maskOf(seal, head.zoneUID, version));
  const row = { ...head, version, tally: masked.toString(16) };
  return { ...row, seal: seal.of('head', fieldsOf(row)) };
}

/** Throws where the row is not one that was written with the key. */
export function parseHeadRow(seal: Seal, { seal: found, ...row }: ZoneHeadRow): ZoneHead {
  seal.check('head', fieldsOf(row), found, `the head of zone ${row.zoneUID}`);
  return { ...row, tally: wrap(BigInt(`0x${row.tally}`) - maskOf(seal, row.zoneUID, row.version)) };
}

/** The head with its epoch raised. The first is the Unix time in seconds, so that mandates of an earlier store are below it. */
export function raised(head: ZoneHead, digest: string, now: number): ZoneHead {
  return { ...head, epoch: head.epoch === 0 ? Math.floor(now / 1000) : head.epoch + 1, digest };
}

/** The change of an epoch that outdates all before it, as JSON. */
export const EVERYTHING = JSON.stringify({ all: true, applications: [], resources: [] });

/**
 * What raising comes to, with so many revocations that are new; undefined: nothing, the digest is known. `change`: of the epoch
 * that is raised, if any.
 */
export function raisedFor(
  present: ZoneHead,
  { digest, change }: { readonly digest: string; readonly change: string | null },
  added: number,
  now: number,
): { readonly head: ZoneHead; readonly change: string | undefined } | undefined {
  if (present.epoch !== 0 && present.digest === digest && added === 0) return undefined;
  const raises = change !== null || added > 0 || present.epoch === 0;
  const head = raises ? raised(present, digest, now) : { ...present, digest };
  return {
    head: { ...head, revocations: head.revocations + added },
    change: raises ? (change ?? EVERYTHING) : undefined,
  };
}

/** Above every epoch that there can have been: they begin at the Unix time in seconds, and no zone changes as often. */
export function outdated(head: ZoneHead, now: number): ZoneHead {
  return raised({ ...head, epoch: Math.max(head.epoch, Math.floor(now / 1000) - 1) }, '', now);
}

/** Object seals that came and went. */
export function tallied(seal: Seal, head: ZoneHead, added: readonly string[], removed: readonly string[]): ZoneHead {
  const sum = (seals: readonly string[]) => seals.reduce((total, one) => total + elementOf(seal, one), 0n);
  return { ...head, tally: wrap(head.tally + sum(added) - sum(removed)) };
}

/** Throws where the objects are not exactly those that the head knows. */
export function checkTally(seal: Seal, head: ZoneHead, seals: readonly string[]): void {
  const { tally } = tallied(seal, { ...head, tally: 0n }, seals, []);
  if (tally !== head.tally) throw toForged(`the set of runtime objects of zone ${head.zoneUID}`);
}

function fieldsOf(row: Omit<ZoneHeadRow, 'seal'>) {
  const { zoneUID, version, epoch, digest, sequence, entrySeal, baseSequence, baseSeal, revocations, tally } = row;
  return [zoneUID, version, epoch, digest, sequence, entrySeal, baseSequence, baseSeal, revocations, tally];
}

function maskOf(seal: Seal, zoneUID: string, version: number): bigint {
  return BigInt(`0x${seal.of('mask', [zoneUID, version])}`);
}

function elementOf(seal: Seal, objectSeal: string): bigint {
  return BigInt(`0x${seal.of('element', [objectSeal])}`);
}

function wrap(value: bigint): bigint {
  return ((value % MODULUS) + MODULUS) % MODULUS;
}

/** A row as a query returns it. */
export function toHeadColumns(row: Readonly<Record<string, unknown>>): ZoneHeadRow {
  return {
    zoneUID: String(row['zone_uid']),
    version: Number(row['version']),
    epoch: Number(row['epoch']),
    digest: String(row['digest']),
    sequence: Number(row['sequence']),
    entrySeal: String(row['entry_seal']),
    baseSequence: Number(row['base_sequence']),
    baseSeal: String(row['base_seal']),
    revocations: Number(row['revocations']),
    tally: String(row['tally']),
    seal: String(row['seal']),
  };
}
