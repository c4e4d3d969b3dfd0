/** Ways to falsify an export without the log's key, each with what must be named. */
import type { Alarm } from '../../src/audit/alarm.ts';
import { hashEntry, parseEntryLine, toEntryLine, type Entry } from '../../src/audit/entry.ts';
import { closingOf, makeLog, recordText, THEIRS, toExport, type LogLine } from './logs.ts';

export interface Mutation {
  readonly bytes: Buffer;
  /** Whether the first alarm names what was done. */
  names(first: Alarm): boolean;
}

type Random = (below: number) => number;
export type Mutate = (log: readonly LogLine[], random: Random) => Mutation;

const textsOf = (log: readonly LogLine[]) => log.map(({ text }) => text);
/** The closing line of the log as it was: who falsifies cannot make another. */
const falsified = (log: readonly LogLine[], lines: readonly string[]) => toExport(lines, closingOf(textsOf(log)));
const atLine = (index: number) => (first: Alarm) => first.line === index + 1;
const atPosition = (of: LogLine, reason?: Alarm['reason']) => (first: Alarm) =>
  first.chain?.zoneUID === of.chain.zoneUID &&
  first.position === of.position &&
  (reason === undefined || first.reason === reason);

function pickRecord(log: readonly LogLine[], random: Random, from = 1): { index: number; line: LogLine } {
  const choices = log.flatMap((line, index) => ((line.position ?? 0) >= from ? [{ index, line }] : []));
  return choices[random(choices.length)]!;
}

function pickCheckpoint(log: readonly LogLine[], random: Random): number {
  const choices = log.flatMap(({ position }, index) => (position === undefined ? [index] : []));
  return choices[random(choices.length)]!;
}

export function entryOf({ text }: Pick<LogLine, 'text'>): Entry {
  return parseEntryLine(text, JSON.parse(text) as Record<string, unknown>)!;
}

/** The chain of `line` from there on with hashes that fit, the checkpoints as they are: all that lies without the key. */
function rehash(log: readonly LogLine[], start: number, record: string): readonly string[] {
  const { chain, position } = log[start]!;
  let previous = entryOf(log[start]!).previous;
  return log.map((line) => {
    const isLater = line.chain === chain && (line.position ?? 0) >= position!;
    if (!isLater) return line.text;
    const entry = entryOf(line);
    const text = line.position === position ? record : entry.record;
    const hash = hashEntry(chain, entry.position, previous, text);
    const changed = toEntryLine({ ...entry, previous, hash, record: text });
    previous = hash;
    return changed;
  });
}

const forgedRecord = ({ chain }: LogLine) => recordText(chain.zoneUID, 'forged', 'forged');

export const MUTATIONS: Readonly<Record<string, Mutate>> = {
  'A-01 a byte is changed': (log, random) => {
    const bytes = toExport(textsOf(log));
    const at = random(bytes.length);
    const index = bytes.subarray(0, at).filter((byte) => byte === 0x0a).length;
    bytes[at] = bytes[at]! ^ (1 << random(8));
    // A line feed more or less moves the lines after it; a digit of a position names a record elsewhere.
    return { bytes, names: (first) => first.line === undefined || Math.abs(first.line - index - 1) <= 1 };
  },
  'A-01 a record is changed, its hash is not': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const text = toEntryLine({ ...entryOf(line), record: forgedRecord(line) });
    return { bytes: falsified(log, textsOf(log).with(index, text)), names: atPosition(line, 'RecordChanged') };
  },
  'A-01 a record is changed with its hash': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const entry = entryOf(line);
    const record = forgedRecord(line);
    const hash = hashEntry(line.chain, entry.position, entry.previous, record);
    const text = toEntryLine({ ...entry, hash, record });
    // It is named by what follows it: the next record, or the checkpoint over it.
    const names = (first: Alarm) =>
      first.chain?.zoneUID === line.chain.zoneUID &&
      (first.reason === 'CheckpointMismatch'
        ? first.position! <= line.position!
        : first.reason === 'ChainForked' && first.position === line.position! + 1);
    return { bytes: falsified(log, textsOf(log).with(index, text)), names };
  },
  'A-04 all after a changed record is made to fit': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const names = (first: Alarm) =>
      first.reason === 'CheckpointMismatch' &&
      first.chain?.zoneUID === line.chain.zoneUID &&
      first.position! <= line.position!;
    return { bytes: falsified(log, rehash(log, index, forgedRecord(line))), names };
  },
  'A-02 a record is lost': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const names = (first: Alarm) =>
      atPosition(line)(first) && ['RecordMissing', 'RecordsTruncated'].includes(first.reason);
    return { bytes: falsified(log, textsOf(log).toSpliced(index, 1)), names };
  },
  'A-02 a checkpoint is lost': (log, random) => {
    const lines = textsOf(log).toSpliced(pickCheckpoint(log, random), 1);
    return { bytes: falsified(log, lines), names: ({ reason }) => reason === 'ExportChanged' };
  },
  'A-02 a whole zone is lost': (log, random) => {
    const { chain } = log[random(log.length)]!;
    const lines = textsOf(log.filter((line) => line.chain !== chain));
    return { bytes: falsified(log, lines), names: ({ reason }) => reason === 'ExportChanged' };
  },
  'A-01 two lines are swapped': (log, random) => {
    const one = random(log.length - 1);
    const other = one + 1 + random(log.length - one - 1);
    const lines = textsOf(log);
    const swapped = lines.with(one, lines[other]!).with(other, lines[one]!);
    const between = (first: Alarm) =>
      first.reason === 'ExportChanged' || (first.line! >= one + 1 && first.line! <= other + 2);
    return { bytes: falsified(log, swapped), names: between };
  },
  'A-01 the payloads of two zones are swapped': (log, random) => {
    const one = pickRecord(log, random);
    const others = log.filter((line) => line.chain !== one.line.chain);
    const other = pickRecord(others, random).line;
    const at = log.indexOf(other);
    const lines = textsOf(log)
      .with(one.index, toEntryLine({ ...entryOf(one.line), record: entryOf(other).record }))
      .with(at, toEntryLine({ ...entryOf(other), record: entryOf(one.line).record }));
    const names = atPosition(one.index < at ? one.line : other, 'RecordChanged');
    return { bytes: falsified(log, lines), names };
  },
  'A-01 a record is moved to another place': (log, random) => {
    const { index, line } = pickRecord(log, random, 2);
    const lines = textsOf(log).toSpliced(index, 1);
    const start = log.findIndex(({ chain }) => chain === line.chain);
    const names = (first: Alarm) => first.chain?.zoneUID === line.chain.zoneUID && first.line === start + 1;
    return { bytes: falsified(log, lines.toSpliced(start, 0, line.text)), names };
  },
  'A-02 the end is cut off': (log, random) => {
    const bytes = toExport(textsOf(log));
    const kept = bytes.subarray(0, random(bytes.length));
    const whole = kept.filter((byte) => byte === 0x0a).length;
    const names = ({ reason, line }: Alarm) => reason === 'ExportTruncated' || line === whole + 1;
    return { bytes: Buffer.from(kept), names };
  },
  'A-02 the last records of a zone are taken away, with their checkpoints': (log, random) => {
    const { line } = pickRecord(log, random);
    const from = log.indexOf(line);
    const lines = textsOf(log.filter((each, index) => each.chain !== line.chain || index < from));
    return { bytes: falsified(log, lines), names: ({ reason }) => reason === 'ExportChanged' };
  },
  'A-02 the last records of a zone are taken away': (log, random) => {
    const { line } = pickRecord(log, random);
    const lost = (each: LogLine) => each.chain === line.chain && (each.position ?? 0) >= line.position!;
    const lines = textsOf(log.filter((each) => !lost(each)));
    return { bytes: falsified(log, lines), names: atPosition(line, 'RecordsTruncated') };
  },
  'A-03 a record is added at the end of a zone': (log, random) => {
    const { chain } = log[random(log.length)]!;
    const last = log.findLast((line) => line.chain === chain && line.position !== undefined)!;
    const { position, hash: previous } = entryOf(last);
    const record = forgedRecord(last);
    const hash = hashEntry(chain, position + 1, previous, record);
    const line = toEntryLine({ ...chain, position: position + 1, previous, hash, record });
    const at = log.findLastIndex((each) => each.chain === chain) + 1;
    return {
      bytes: falsified(log, textsOf(log).toSpliced(at, 0, line)),
      names: ({ reason }) => reason === 'ExportChanged',
    };
  },
  'A-05 a fork stands beside a record': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const entry = entryOf(line);
    const record = forgedRecord(line);
    const hash = hashEntry(line.chain, entry.position, entry.previous, record);
    const fork = toEntryLine({ ...entry, hash, record });
    const bytes = falsified(log, textsOf(log).toSpliced(index + 1, 0, fork));
    return { bytes, names: atPosition(line, 'RecordRepeated') };
  },
  'A-01 a record is replayed into another zone': (log, random) => {
    const { line } = pickRecord(log, random);
    const target = log.find(({ chain }) => chain !== line.chain)!.chain;
    const last = log.findLast((each) => each.chain === target && each.position !== undefined)!;
    const { position, hash: previous } = entryOf(last);
    const { record } = entryOf(line);
    const hash = hashEntry(target, position + 1, previous, record);
    const replayed = toEntryLine({ ...target, position: position + 1, previous, hash, record });
    const at = log.findLastIndex((each) => each.chain === target) + 1;
    const names = atPosition({ text: '', chain: target, position: position + 1 }, 'WrongZone');
    return { bytes: falsified(log, textsOf(log).toSpliced(at, 0, replayed)), names };
  },
  'A-01 a chain is replayed as that of another zone': (log, random) => {
    const { chain } = log[random(log.length)]!;
    const index = log.findIndex((line) => line.chain === chain);
    const lines = log.map((line) => {
      if (line.chain !== chain || line.position === undefined) return line.text;
      return toEntryLine({ ...entryOf(line), zoneUID: 'zone-other' });
    });
    return { bytes: falsified(log, lines), names: atLine(index) };
  },
  'A-15 the checkpoint of another chain stands in its place': (log, random) => {
    const one = pickCheckpoint(log, random);
    const others = log.filter((line) => line.chain !== log[one]!.chain);
    const other = others[pickCheckpoint(others, random)]!;
    const names = ({ line, reason }: Alarm) => line === one + 1 || reason === 'ExportChanged' || line! > one;
    return { bytes: falsified(log, textsOf(log).with(one, other.text)), names };
  },
  'A-16 all is made anew and signed with another key': (_log, random) => {
    const log = textsOf(makeLog(random(1000), 2, THEIRS));
    const bytes = toExport(log, closingOf(log, undefined, THEIRS));
    return { bytes, names: ({ reason }) => reason === 'SignatureInvalid' };
  },
  'A-02 an older end stands under a newer log': (log) => {
    const bytes = toExport(textsOf(log), closingOf(textsOf(log).slice(0, -1)));
    return { bytes, names: atLine(log.length) };
  },
  'A-01 a line is written twice': (log, random) => {
    const index = random(log.length);
    const lines = textsOf(log);
    return { bytes: falsified(log, lines.toSpliced(index, 0, lines[index]!)), names: atLine(index + 1) };
  },
  'A-11 a record says the same in other bytes': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const text = line.text.replace('"kind":', '"kind": ');
    return { bytes: falsified(log, textsOf(log).with(index, text)), names: atPosition(line, 'RecordChanged') };
  },
  'A-11 a member stands twice': (log, random) => {
    const { index, line } = pickRecord(log, random);
    const text = line.text.replace('"writer":', '"writer":"other","writer":');
    return { bytes: falsified(log, textsOf(log).with(index, text)), names: atLine(index) };
  },
};
