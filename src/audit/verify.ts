/** Verifies a log line by line, from its bytes and public keys only, and names the first bad record of each chain. */
import { createHash } from 'node:crypto';
import type { Alarm, AlarmReason } from './alarm.ts';
import { parseCheckpointText, parseClosingText, type Checkpoint, type Closing } from './checkpoint.ts';
import { chainKey, hashEntry, parseEntryLine, ROOT, type Chain, type Entry, type Head } from './entry.ts';
import { toCheckpointLine, toClosingLine } from './exportLines.ts';
import { openNote, type NoteVerifier } from './note.ts';

export interface VerifyOptions {
  readonly keys: readonly NoteVerifier[];
  /** An export ends with a closing line; the lines of a store, or of one zone of it, that is in use do not. */
  readonly source: 'export' | 'store' | 'zone';
}

export interface Report {
  /** At most one about each chain's records, in the order of the lines, of which the first 100; then what is missing at the end. Empty: all holds. */
  readonly alarms: readonly Alarm[];
  readonly zones: number;
  readonly chains: number;
  readonly records: number;
  readonly checkpoints: number;
  /** Records after the last checkpoint of their chain. */
  readonly afterCheckpoint: number;
  readonly closing: Closing | undefined;
}

export interface Verifier {
  /** One line without its line feed. */
  add(line: Uint8Array): void;
  /** `isWhole` is false where the last line had no line feed. */
  end(isWhole: boolean): Report;
}

interface ChainState extends Chain {
  head: Head;
  /** The last good checkpoint. */
  signed: Pick<Checkpoint, 'size' | 'number'>;
  isBroken: boolean;
}

interface State {
  readonly options: VerifyOptions;
  readonly alarms: Alarm[];
  readonly chains: Map<string, ChainState>;
  /** By writer. */
  readonly checkpoints: Map<string, { count: number; highest: number }>;
  readonly digest: ReturnType<typeof createHash>;
  lines: number;
  records: number;
  closing: Closing | undefined;
}

export function createVerifier(options: VerifyOptions): Verifier {
  const state: State = {
    options,
    alarms: [],
    chains: new Map(),
    checkpoints: new Map(),
    digest: createHash('sha256'),
    lines: 0,
    records: 0,
    closing: undefined,
  };
  return {
    add(bytes) {
      addLine(state, bytes);
      state.lines += 1;
      state.digest.update(bytes).update('\n');
    },
    end: (isWhole) => toReport(state, isWhole),
  };
}

function addLine(state: State, bytes: Uint8Array): void {
  if (state.closing) return alarm(state, 'ExportChanged', 'a line follows the closing line');
  const line = decode(bytes);
  const value = line === undefined ? undefined : parseObject(line);
  if (line === undefined || !value) return alarm(state, 'LineMalformed', 'the line is no JSON object in UTF-8');
  if (value['type'] === 'record') return addRecord(state, line, value);
  const { type, note } = value;
  if (typeof note === 'string') {
    if (type === 'checkpoint' && line === toCheckpointLine(note)) return addCheckpoint(state, note);
    if (type === 'closing' && line === toClosingLine(note)) return addClosing(state, note);
  }
  alarm(state, 'LineMalformed', 'the line is no record, checkpoint or closing in the form that Caracal writes');
}

function addRecord(state: State, line: string, value: Readonly<Record<string, unknown>>): void {
  const entry = parseEntryLine(line, value);
  if (!entry) return alarm(state, 'LineMalformed', 'the record is not in the form that Caracal writes');
  const chain = chainOf(state, entry);
  state.records += 1;
  if (chain.isBroken) return;
  const { position } = entry;
  const wrong = judgeRecord(entry, chain.head, value['record']);
  if (wrong) return alarm(state, wrong.reason, wrong.message, chain, wrong.position);
  chain.head = { size: position, hash: entry.hash };
}

interface Wrong {
  readonly reason: AlarmReason;
  readonly position: number;
  readonly message: string;
}

function judgeRecord(entry: Entry, { size, hash: headHash }: Head, record: unknown): Wrong | undefined {
  const { position, previous, zoneUID } = entry;
  const expected = size + 1;
  const wrong = (reason: AlarmReason, message: string, at = position): Wrong => ({ reason, position: at, message });
  if (position > expected)
    return wrong('RecordMissing', `record ${position} stands where record ${expected} belongs`, expected);
  if (position < expected) return wrong('RecordRepeated', `record ${position} stands where record ${expected} belongs`);
  if (hashEntry(entry, position, previous, entry.record) !== entry.hash)
    return wrong('RecordChanged', `record ${position} does not have the hash that stands beside it`);
  if (previous !== headHash) return wrong('ChainForked', `record ${position} does not follow record ${size}`);
  if (!isObject(record) || record['zoneUID'] !== zoneUID)
    return wrong('WrongZone', `record ${position} names another zone than its chain`);
  return undefined;
}

function addCheckpoint(state: State, note: string): void {
  const opened = openNote(note, state.options.keys);
  if (!opened.ok) return alarm(state, 'SignatureInvalid', `the checkpoint's signature is ${opened.reason}`);
  const checkpoint = parseCheckpointText(opened.text);
  if (!checkpoint) return alarm(state, 'LineMalformed', 'what is signed is no checkpoint of a chain');
  const chain = chainOf(state, checkpoint);
  count(state, checkpoint);
  if (chain.isBroken) return;
  const wrong = judgeCheckpoint(checkpoint, chain);
  if (wrong) return alarm(state, wrong.reason, wrong.message, chain, wrong.position);
  chain.signed = checkpoint;
}

function judgeCheckpoint({ size, hash, number }: Checkpoint, { head, signed }: ChainState): Wrong | undefined {
  if (size > head.size) {
    const message = `${size} records were signed, and ${head.size} stand before the checkpoint`;
    return { reason: 'RecordsTruncated', position: head.size + 1, message };
  }
  if (size < head.size || number <= signed.number) {
    const message = `checkpoint ${number}, of ${size} records, stands after record ${head.size} and checkpoint ${signed.number}`;
    return { reason: 'CheckpointMisplaced', position: head.size, message };
  }
  if (hash === head.hash) return undefined;
  const message = `records ${signed.size + 1} to ${size} are not the ones that checkpoint ${number} signed`;
  return { reason: 'CheckpointMismatch', position: signed.size + 1, message };
}

function addClosing(state: State, note: string): void {
  const opened = openNote(note, state.options.keys);
  if (!opened.ok) return alarm(state, 'SignatureInvalid', `the closing line's signature is ${opened.reason}`);
  const closing = parseClosingText(opened.text);
  if (!closing) return alarm(state, 'LineMalformed', 'what is signed is no closing line');
  state.closing = closing;
  const { lines, digest, zoneUID } = closing;
  if (lines !== state.lines)
    alarm(state, 'ExportChanged', `${lines} lines were signed, and ${state.lines} stand before the closing line`);
  else if (digest !== state.digest.copy().digest('hex'))
    alarm(state, 'ExportChanged', 'the lines are not the ones that were signed');
  const other = [...state.chains.values()].find((chain) => zoneUID !== undefined && chain.zoneUID !== zoneUID);
  if (other) alarm(state, 'WrongZone', 'the export is signed for another zone', other, 1);
}

function toReport(state: State, isWhole: boolean): Report {
  const { closing, options, records, checkpoints } = state;
  const { source } = options;
  if (source === 'export' && !(closing && isWhole))
    alarmAtEnd(state, 'ExportTruncated', 'the closing line is missing or cut off');
  // The numbers of one zone's checkpoints have gaps.
  if (source === 'store' || (closing && closing.zoneUID === undefined)) findMissingCheckpoints(state);
  const chains = [...state.chains.values()];
  return {
    alarms: state.alarms,
    zones: new Set(chains.map(({ zoneUID }) => zoneUID)).size,
    chains: chains.length,
    records,
    checkpoints: sum([...checkpoints.values()].map((of) => of.count)),
    afterCheckpoint: sum(chains.map(({ head, signed }) => head.size - signed.size)),
    closing,
  };
}

/** Numbers are signed and go up within a chain, so that as many as the highest are all of them. */
function findMissingCheckpoints(state: State): void {
  for (const [writer, { count: seen, highest }] of state.checkpoints) {
    if (seen === highest) continue;
    const message = `writer ${writer} signed ${highest} checkpoints or more, and ${seen} are there`;
    alarmAtEnd(state, 'CheckpointMissing', message);
  }
}

function count({ checkpoints }: State, { writer, number }: Checkpoint): void {
  const known = checkpoints.get(writer) ?? { count: 0, highest: 0 };
  checkpoints.set(writer, { count: known.count + 1, highest: Math.max(known.highest, number) });
}

function chainOf(state: State, chain: Chain): ChainState {
  const key = chainKey(chain);
  const known = state.chains.get(key);
  if (known) return known;
  const { zoneUID, writer } = chain;
  const started = { zoneUID, writer, head: ROOT, signed: { size: 0, number: 0 }, isBroken: false };
  state.chains.set(key, started);
  return started;
}

const MAX_ALARMS = 100;

/** A chain with an alarm is judged no further: all after it would be wrong for the same reason. */
function alarm(state: State, reason: AlarmReason, message: string, chain?: ChainState, position?: number): void {
  if (chain) chain.isBroken = true;
  if (state.alarms.length >= MAX_ALARMS) return;
  const of = chain && { zoneUID: chain.zoneUID, writer: chain.writer };
  state.alarms.push({ reason, line: state.lines + 1, chain: of, position, message });
}

function alarmAtEnd({ alarms }: State, reason: AlarmReason, message: string): void {
  alarms.push({ reason, line: undefined, chain: undefined, position: undefined, message });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
