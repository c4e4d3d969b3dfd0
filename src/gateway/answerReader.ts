/** Reads one HTTP/1.1 answer (RFC 9112) from bytes as they come: what could be read in two ways is an error. */

interface AnswerSink {
  /** Names and values, alternating. Interim answers are not told. */
  head(status: number, rawHeaders: string[]): void;
  /** The bytes are the reader's again when the call returns. */
  data(bytes: Buffer): void;
}

export interface AnswerReader {
  /** Before each answer. One to HEAD has no body, whatever its fields say. */
  start(isToHead: boolean): void;
  /** True with the last byte of the answer. Throws MalformedAnswer. */
  read(bytes: Buffer): boolean;
  /** The peer closed: true where that is how the answer ends. */
  endsWithConnection(): boolean;
  /** How long the connection may rest before it serves again; 0: it must not. */
  restMs(): number;
}

export class MalformedAnswer extends Error {
  override readonly name = 'MalformedAnswer';
}

const MAX_HEAD = 32 * 1024;
const MAX_LINE = 4096;
/** Rest where the peer says nothing of it, and how much sooner than it says. */
const REST_MS = 30_000;
const REST_MARGIN_MS = 2000;

type Phase = 'head' | 'length' | 'close' | 'chunkSize' | 'chunk' | 'chunkEnd' | 'trailer' | 'done';

const NOTHING = Buffer.alloc(0);

export function createAnswerReader(sink: AnswerSink): AnswerReader {
  let phase: Phase = 'done';
  let isToHead = false;
  /** Of the body, or of the chunk. */
  let left = 0;
  /** Of a head or a line that is not whole yet. */
  let begun: Buffer = NOTHING;
  let trailers = 0;
  let rest = 0;

  const readHead = (bytes: Buffer): number => {
    const all = begun.length === 0 ? bytes : Buffer.concat([begun, bytes]);
    const end = all.indexOf('\r\n\r\n');
    if ((end < 0 ? all.length : end) > MAX_HEAD) throw new MalformedAnswer('its head is too large');
    if (end < 0) {
      begun = Buffer.from(all);
      return bytes.length;
    }
    const used = end + 4 - begun.length;
    begun = NOTHING;
    const head = parseHead(all.toString('latin1', 0, end));
    if (head.status < 200) return used;
    const hasNoBody = isToHead || head.status === 204 || head.status === 304;
    phase = hasNoBody || head.length === 0 ? 'done' : head.isChunked ? 'chunkSize' : 'length';
    if (phase === 'length' && head.length === undefined) phase = 'close';
    left = head.length ?? 0;
    rest = phase === 'close' ? 0 : head.restMs;
    sink.head(head.status, head.rawHeaders);
    return used;
  };

  const readData = (bytes: Buffer): number => {
    const part = bytes.length <= left ? bytes : bytes.subarray(0, left);
    left -= part.length;
    if (left === 0) phase = phase === 'chunk' ? 'chunkEnd' : 'done';
    sink.data(part);
    return part.length;
  };

  const readLine = (bytes: Buffer): number => {
    const end = bytes.indexOf(10);
    const part = end < 0 ? bytes : bytes.subarray(0, end + 1);
    const all = begun.length === 0 ? part : Buffer.concat([begun, part]);
    if (all.length > MAX_LINE) throw new MalformedAnswer('a line of its chunks is too long');
    begun = end < 0 ? Buffer.from(all) : NOTHING;
    if (end >= 0) takeLine(all.toString('latin1'));
    return part.length;
  };

  const takeLine = (line: string): void => {
    if (phase === 'chunkSize') {
      left = parseChunkSize(line);
      phase = left === 0 ? 'trailer' : 'chunk';
    } else if (phase === 'chunkEnd') {
      if (line !== '\r\n') throw new MalformedAnswer('a chunk is longer than it says');
      phase = 'chunkSize';
    } else if (line === '\r\n') phase = 'done';
    else if ((trailers += line.length) > MAX_HEAD || !line.endsWith('\r\n'))
      throw new MalformedAnswer('its trailer is malformed');
  };

  const readSome = (bytes: Buffer): number => {
    switch (phase) {
      case 'head':
        return readHead(bytes);
      case 'length':
      case 'chunk':
        return readData(bytes);
      case 'close':
        sink.data(bytes);
        return bytes.length;
      case 'chunkSize':
      case 'chunkEnd':
      case 'trailer':
        return readLine(bytes);
      case 'done':
        // Bytes that nobody asked for would be taken for the next answer.
        rest = 0;
        return bytes.length;
    }
  };

  return {
    start(toHead) {
      phase = 'head';
      isToHead = toHead;
      begun = NOTHING;
      trailers = 0;
      rest = 0;
    },
    read(bytes) {
      for (let at = 0; at < bytes.length;) at += readSome(at === 0 ? bytes : bytes.subarray(at));
      return phase === 'done';
    },
    endsWithConnection: () => phase === 'close',
    restMs: () => rest,
  };
}

interface Head {
  readonly status: number;
  readonly rawHeaders: string[];
  readonly isChunked: boolean;
  readonly length: number | undefined;
  readonly restMs: number;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

function parseHead(text: string): Head {
  const lines = text.split('\r\n');
  const [, version, digits] = STATUS_LINE.exec(lines[0]!) ?? [];
  const status = Number(digits);
  if (digits === undefined || status === 101) throw new MalformedAnswer('its first line is not one of HTTP/1.1');
  const rawHeaders: string[] = [];
  let length: string | undefined;
  let encoding: string | undefined;
  let restMs = version === '0' ? 0 : REST_MS;
  for (let index = 1; index < lines.length; index += 1) {
    const field = FIELD.exec(lines[index]!);
    if (!field) throw new MalformedAnswer('a field of its head is malformed');
    const [, name, value] = field as unknown as readonly [string, string, string];
    rawHeaders.push(name, trimEnd(value));
    switch (name.length) {
      case 14:
        if (name.toLowerCase() === 'content-length') length = readOnce(length, trimEnd(value));
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') encoding = readOnce(encoding, trimEnd(value));
        break;
      case 10:
        restMs = Math.min(restMs, readRest(name.toLowerCase(), value.toLowerCase()));
        break;
    }
  }
  return { status, rawHeaders, restMs, ...toFraming(length, encoding, version === '0') };
}

function readOnce(known: string | undefined, value: string): string {
  if (known !== undefined) throw new MalformedAnswer('its length is said twice');
  return value;
}

function toFraming(length: string | undefined, encoding: string | undefined, isOld: boolean) {
  if (encoding !== undefined && (encoding.toLowerCase() !== 'chunked' || length !== undefined || isOld))
    throw new MalformedAnswer('its end has two readings');
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) throw new MalformedAnswer('its length is no number');
  return { isChunked: encoding !== undefined, length: length === undefined ? undefined : Number(length) };
}

function readRest(name: string, value: string): number {
  if (name === 'connection') return /(?:^|[\s,])close(?:$|[\s,])/.test(value) ? 0 : REST_MS;
  const seconds = name === 'keep-alive' ? /(?:^|[\s,])timeout=([0-9]{1,6})/.exec(value)?.[1] : undefined;
  return seconds === undefined ? REST_MS : Math.max(0, Number(seconds) * 1000 - REST_MARGIN_MS);
}

function trimEnd(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === ' ' || value[end - 1] === '\t')) end -= 1;
  return end === value.length ? value : value.slice(0, end);
}

function parseChunkSize(line: string): number {
  const [, size] = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n$/.exec(line) ?? [];
  if (size === undefined) throw new MalformedAnswer('a chunk has no size');
  return Number.parseInt(size, 16);
}
