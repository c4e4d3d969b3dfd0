/** Logs made from the pure parts: chains with their checkpoints, closed and signed, as lines. */
import { toCheckpointText, KEY_NAME } from '../../src/audit/checkpoint.ts';
import { extend, ROOT, toEntryLine, type Chain, type Head } from '../../src/audit/entry.ts';
import { createExportEnd, toCheckpointLine } from '../../src/audit/exportLines.ts';
import { createNoteSigner, generateNoteKey, signNote, type NoteSigner } from '../../src/audit/note.ts';
import { splitLines } from '../../src/audit/splitLines.ts';
import { createVerifier, type Report } from '../../src/audit/verify.ts';
import { decisionOf } from '../store/records.ts';

export const OURS = createNoteSigner(KEY_NAME, generateNoteKey());
export const THEIRS = createNoteSigner(KEY_NAME, generateNoteKey());
export const AT = Date.parse('2026-03-01T12:00:00Z');

export interface LogLine {
  readonly text: string;
  readonly chain: Chain;
  /** Undefined for a checkpoint. */
  readonly position: number | undefined;
}

/** Its own generator, so that a seed always makes the same (mulberry32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const ODD = ['', '\u2028 line', 'e\u0301', '\ud800', '\u202e', '"}', '\\', '\r', '😀'];

export function recordText(zoneUID: string, id: string, requestID: string): string {
  return JSON.stringify(decisionOf(id, { zoneUID, requestID }));
}

/** Every zone has at least three records, a checkpoint before its last record, and one after it. */
export function makeLog(seed: number, zones = 3, signer: NoteSigner = OURS): readonly LogLine[] {
  const random = randomOf(seed);
  let number = 0;
  return Array.from({ length: zones }, (_, zone) => ({ zoneUID: `zone-${zone}`, writer: 'writer-1' })).flatMap(
    (chain) => {
      const size = 3 + random(12);
      const lines: LogLine[] = [];
      let head: Head = ROOT;
      for (let position = 1; position <= size; position += 1) {
        const record = recordText(chain.zoneUID, `${chain.zoneUID}-${position}`, ODD[random(ODD.length)]!);
        const next = extend(chain, head, record);
        const text = toEntryLine({ ...chain, position, previous: head.hash, hash: next.hash, record });
        lines.push({ text, chain, position });
        head = next;
        if (position === size - 1 || position === size || random(3) === 0)
          lines.push(checkpointLine(chain, head, (number += 1), signer));
      }
      return lines;
    },
  );
}

export function checkpointLine(chain: Chain, head: Head, number: number, signer: NoteSigner = OURS): LogLine {
  const note = signNote(toCheckpointText({ ...chain, ...head, number, at: AT }), signer);
  return { text: toCheckpointLine(note), chain, position: undefined };
}

export function closingOf(lines: readonly string[], zoneUID?: string, signer: NoteSigner = OURS): string {
  const end = createExportEnd();
  for (const line of lines) end.add(line);
  return end.close(zoneUID, AT, signer);
}

/** As bytes, with its closing line. */
export function toExport(lines: readonly string[], closing = closingOf(lines)): Buffer {
  return Buffer.from([...lines, closing].map((line) => `${line}\n`).join(''));
}

/** In chunks of odd sizes, as a stream may deliver them. */
export async function verifyBytes(bytes: Uint8Array, keys = [OURS.verifier], chunk = 777): Promise<Report> {
  const verifier = createVerifier({ keys, source: 'export' });
  let isWhole = true;
  for await (const line of splitLines(inChunks(bytes, chunk))) {
    verifier.add(line.bytes);
    isWhole = line.isWhole;
  }
  return verifier.end(isWhole);
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
