/** One record in its chain: what is hashed, and its line of an export, of which every byte is accounted for. */
import { hash } from 'node:crypto';

/** One chain: the records of one zone that one writer (one life of a store) made. */
export interface Chain {
  readonly zoneUID: string;
  readonly writer: string;
}

/** The end of a chain: how many records it has, and the hash of the last. */
export interface Head {
  readonly size: number;
  /** Hexadecimal SHA-256. */
  readonly hash: string;
}

export interface Entry extends Chain {
  /** From 1, without gaps. */
  readonly position: number;
  /** Hash of the entry before; of the first one ROOT.hash. */
  readonly previous: string;
  readonly hash: string;
  /** The record's JSON text, byte for byte as it was written. */
  readonly record: string;
}

/** What the first entry follows. */
export const ROOT: Head = { size: 0, hash: '0'.repeat(64) };

const VERSION = 'caracal.audit/1';

/** SHA-256 over `["caracal.audit/1",zone UID,writer,position,previous]`, a line feed and the record's text. */
export function hashEntry({ zoneUID, writer }: Chain, position: number, previous: string, record: string): string {
  return hash('sha256', `${JSON.stringify([VERSION, zoneUID, writer, position, previous])}\n${record}`, 'hex');
}

/** The head after one more record. */
export function extend(chain: Chain, { size, hash: previous }: Head, record: string): Head {
  return { size: size + 1, hash: hashEntry(chain, size + 1, previous, record) };
}

export function chainKey({ zoneUID, writer }: Chain): string {
  return JSON.stringify([zoneUID, writer]);
}

/** One line of JSON without its line feed; the record is the last member, in its own bytes. */
export function toEntryLine(entry: Entry): string {
  return `${toLineStart(entry)}${entry.record}}`;
}

/** Undefined where it is not exactly a line that toEntryLine makes. */
export function parseEntryLine(line: string, value: Readonly<Record<string, unknown>>): Entry | undefined {
  const { zone_uid: zoneUID, writer, position, previous, hash: digest } = value;
  if (typeof zoneUID !== 'string' || typeof writer !== 'string') return undefined;
  if (typeof position !== 'number' || !Number.isSafeInteger(position) || position < 1) return undefined;
  if (!isDigest(previous) || !isDigest(digest)) return undefined;
  const start = toLineStart({ zoneUID, writer, position, previous, hash: digest });
  if (!line.startsWith(start) || !line.endsWith('}')) return undefined;
  return { zoneUID, writer, position, previous, hash: digest, record: line.slice(start.length, -1) };
}

function toLineStart({ zoneUID, writer, position, previous, hash: digest }: Omit<Entry, 'record'>): string {
  const members = JSON.stringify({ type: 'record', zone_uid: zoneUID, writer, position, previous, hash: digest });
  return `${members.slice(0, -1)},"record":`;
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
