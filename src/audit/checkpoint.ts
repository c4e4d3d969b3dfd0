/** What is signed about the log: the head of a chain (in the form of C2SP tlog-checkpoint), and all of an export. */
import type { Chain, Head } from './entry.ts';

/** The name of the key in every signature. */
export const KEY_NAME = 'caracal.run/audit';

export interface Checkpoint extends Chain, Head {
  /** From 1 for each writer, over all of its chains: a gap is a checkpoint that was taken away. */
  readonly number: number;
  /** Unix milliseconds. */
  readonly at: number;
}

/** The end of an export. */
export interface Closing {
  /** How many lines are before it. */
  readonly lines: number;
  /** Hexadecimal SHA-256 of all bytes before it. */
  readonly digest: string;
  /** The zone that it is limited to; undefined: all that the store has. */
  readonly zoneUID: string | undefined;
  /** Unix milliseconds. */
  readonly at: number;
}

const CLOSING_ORIGIN = `${KEY_NAME}-export`;

/** Origin, size, head, then two extension lines. */
export function toCheckpointText({ zoneUID, writer, size, hash, number, at }: Checkpoint): string {
  const origin = `${KEY_NAME}/${encodeURIComponent(zoneUID)}/${encodeURIComponent(writer)}`;
  return `${origin}\n${size}\n${toBase64(hash)}\ncheckpoint ${number}\ntime ${new Date(at).toISOString()}\n`;
}

/** Undefined where the text is not exactly one that toCheckpointText makes. */
export function parseCheckpointText(text: string): Checkpoint | undefined {
  const match = /^([^\n/]+\/[^\n/]+)\/([^\n/]*)\/([^\n/]*)\n(\d+)\n(\S+)\ncheckpoint (\d+)\ntime (\S+)\n$/.exec(text);
  if (!match || match[1] !== KEY_NAME) return undefined;
  const checkpoint = {
    zoneUID: decodeURIComponent(match[2]!),
    writer: decodeURIComponent(match[3]!),
    size: Number(match[4]),
    hash: toHex(match[5]!),
    number: Number(match[6]),
    at: Date.parse(match[7]!),
  };
  return Number.isFinite(checkpoint.at) && toCheckpointText(checkpoint) === text ? checkpoint : undefined;
}

export function toClosingText({ lines, digest, zoneUID, at }: Closing): string {
  const zone = zoneUID === undefined ? 'all zones' : `zone ${encodeURIComponent(zoneUID)}`;
  return `${CLOSING_ORIGIN}\n${lines}\n${toBase64(digest)}\n${zone}\ntime ${new Date(at).toISOString()}\n`;
}

/** Undefined where the text is not exactly one that toClosingText makes. */
export function parseClosingText(text: string): Closing | undefined {
  const match = /^[^\n]+\n(\d+)\n(\S+)\n(?:all zones|zone (\S*))\ntime (\S+)\n$/.exec(text);
  if (!match) return undefined;
  const closing = {
    lines: Number(match[1]),
    digest: toHex(match[2]!),
    zoneUID: match[3] === undefined ? undefined : decodeURIComponent(match[3]),
    at: Date.parse(match[4]!),
  };
  return Number.isFinite(closing.at) && toClosingText(closing) === text ? closing : undefined;
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}
