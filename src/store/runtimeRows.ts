/** Runtime state as rows: objects and the entries that wrote them, sealed, the entries each after the one before. */
import type { RuntimeEntry, RuntimeObject, RuntimeWrite } from '../authority/runtime.ts';
import { toForgetAt } from '../authority/forgetting.ts';
import type { Seal } from './seal.ts';
import { toForged } from './seal.ts';
import { checkTally, raised, tallied, type ZoneHead } from './zoneHead.ts';

/** A runtime write as it travels to the engine: each object serialised once, the last where one is put twice. */
export interface RuntimeOperation {
  readonly expected: number;
  readonly objects: readonly PutRow[];
  /** JSON of an entry's body. */
  readonly entry: string;
  /** JSON of the AuthorityChange. */
  readonly change?: string;
}

export interface PutRow {
  readonly kind: string;
  readonly id: string;
  /** Unix seconds from which it may be forgotten; null: not while it is like this. */
  readonly forgetAt: number | null;
  readonly record: string;
}

export interface ObjectRow extends PutRow {
  readonly zoneUID: string;
  /** Of the entry that wrote it. */
  readonly sequence: number;
  readonly seal: string;
}

export interface EntryRow {
  readonly zoneUID: string;
  readonly sequence: number;
  /** The epoch raised with it; null: none. */
  readonly epoch: number | null;
  /** Unix milliseconds. */
  readonly at: number;
  readonly entry: string;
  readonly seal: string;
}

type EntryBody = Pick<RuntimeWrite, 'puts' | 'change'>;

export function toRuntimeOperation({ expected, puts, change }: RuntimeWrite): RuntimeOperation {
  const objects = new Map(puts.map((put) => [JSON.stringify([put.kind, put.id]), toPutRow(put)]));
  return {
    expected,
    objects: [...objects.values()],
    entry: JSON.stringify({ puts, change } satisfies { [M in keyof EntryBody]: EntryBody[M] | undefined }),
    ...(change && { change: JSON.stringify(change) }),
  };
}

function toPutRow(put: RuntimeObject): PutRow {
  return { kind: put.kind, id: put.id, forgetAt: toForgetAt(put), record: JSON.stringify(put) };
}

export interface Written {
  readonly head: ZoneHead;
  readonly entry: EntryRow;
  readonly objects: readonly ObjectRow[];
}

/** The rows that the write makes. `sealOf`: of the object that is there, if any. `now` in Unix milliseconds. */
export function writeRuntime(
  seal: Seal,
  before: ZoneHead,
  operation: RuntimeOperation,
  now: number,
  sealOf: (kind: string, id: string) => string | undefined,
): Written {
  const { zoneUID } = before;
  const sequence = before.sequence + 1;
  const risen = operation.change === undefined ? before : raised(before, before.digest, now);
  const epoch = operation.change === undefined ? null : risen.epoch;
  const unsealed = { zoneUID, sequence, epoch, at: now, entry: operation.entry };
  const entry: EntryRow = { ...unsealed, seal: sealEntry(seal, before.entrySeal, unsealed) };
  const objects = operation.objects.map((put) => sealObject(seal, { ...put, zoneUID, sequence }));
  const removed = operation.objects.flatMap(({ kind, id }) => sealOf(kind, id) ?? []);
  const added = objects.map((object) => object.seal);
  return { head: { ...tallied(seal, risen, added, removed), sequence, entrySeal: entry.seal }, entry, objects };
}

export function checkObject(seal: Seal, row: ObjectRow): void {
  const { zoneUID, kind, id } = row;
  seal.check('object', objectFields(row), row.seal, `the runtime object ${kind} ${id} of zone ${zoneUID}`);
}

/** The entry that others are read after, which theirs follow from. */
export interface EntryEnd {
  readonly sequence: number;
  readonly seal: string;
}

/** Throws where `rows` are not those after `from`, in order and without a gap, `limit` of them or to the head's end. */
export function checkEntries(seal: Seal, head: ZoneHead, from: EntryEnd, rows: readonly EntryRow[], limit: number) {
  const { zoneUID } = head;
  const nameOf = (sequence: number) => `the runtime entry ${sequence} of zone ${zoneUID}`;
  let [sequence, previous] = [from.sequence, from.seal];
  for (const row of rows) {
    sequence += 1;
    if (row.sequence !== sequence) throw toForged(nameOf(sequence));
    seal.check('entry', entryFields(previous, row), row.seal, nameOf(sequence));
    previous = row.seal;
  }
  if (sequence > head.sequence || (sequence < head.sequence && rows.length < limit))
    throw toForged(nameOf(sequence + 1));
  if (sequence === head.sequence && previous !== head.entrySeal) throw toForged(nameOf(sequence));
}

export function parseEntry({ sequence, epoch, entry }: Pick<EntryRow, 'sequence' | 'epoch' | 'entry'>): RuntimeEntry {
  const { puts, change } = JSON.parse(entry) as EntryBody;
  return { sequence, puts, ...(epoch !== null && change && { raised: { epoch, change } }) };
}

function sealEntry(seal: Seal, previous: string, row: Omit<EntryRow, 'seal'>): string {
  return seal.of('entry', entryFields(previous, row));
}

function entryFields(previous: string, { zoneUID, sequence, epoch, at, entry }: Omit<EntryRow, 'seal'>) {
  return [previous, zoneUID, sequence, epoch, at, entry];
}

function sealObject(seal: Seal, row: Omit<ObjectRow, 'seal'>): ObjectRow {
  return { ...row, seal: seal.of('object', objectFields(row)) };
}

function objectFields({ zoneUID, kind, id, sequence, forgetAt, record }: Omit<ObjectRow, 'seal'>) {
  return [zoneUID, kind, id, sequence, forgetAt, record];
}

/** Throws where an object was changed, is gone, or came back. */
export function toState(seal: Seal, head: ZoneHead, objects: readonly ObjectRow[]) {
  for (const row of objects) checkObject(seal, row);
  const seals = objects.map((row) => row.seal);
  checkTally(seal, head, seals);
  return { sequence: head.sequence, objects: objects.map(({ record }) => ({ record })) };
}

/** Of the first entries that are kept, those from before `before` (Unix milliseconds), never the last there is. */
export function toForgotten(rows: readonly EntryRow[], lastSequence: number, before: number): readonly EntryRow[] {
  const kept = rows.findIndex((row) => row.at >= before || row.sequence === lastSequence);
  return kept < 0 ? rows : rows.slice(0, kept);
}

type Columns = Readonly<Record<string, unknown>>;

export function toObjectRow(row: Columns): ObjectRow {
  return {
    zoneUID: String(row['zone_uid']),
    kind: String(row['kind']),
    id: String(row['id']),
    sequence: Number(row['sequence']),
    forgetAt: row['forget_at'] === null ? null : Number(row['forget_at']),
    record: String(row['record']),
    seal: String(row['seal']),
  };
}

export function toEntryRow(row: Columns): EntryRow {
  return {
    zoneUID: String(row['zone_uid']),
    sequence: Number(row['sequence']),
    epoch: row['epoch'] === null ? null : Number(row['epoch']),
    at: Number(row['at']),
    entry: String(row['entry']),
    seal: String(row['seal']),
  };
}
