/** The lines of an export: records, checkpoints and the closing line that signs all before it. */
import { createHash } from 'node:crypto';
import { toClosingText } from './checkpoint.ts';
import { signNote, type NoteSigner } from './note.ts';

export interface ExportEnd {
  /** Counts a line (without its line feed) that was written. */
  add(line: string): void;
  /** The last line; `zoneUID` is undefined for an export of all zones, `at` in Unix milliseconds. */
  close(zoneUID: string | undefined, at: number, signer: NoteSigner): string;
}

export function toCheckpointLine(note: string): string {
  return JSON.stringify({ type: 'checkpoint', note });
}

export function toClosingLine(note: string): string {
  return JSON.stringify({ type: 'closing', note });
}

export function createExportEnd(): ExportEnd {
  const digest = createHash('sha256');
  let lines = 0;
  return {
    add(line) {
      digest.update(`${line}\n`);
      lines += 1;
    },
    close: (zoneUID, at, signer) =>
      toClosingLine(signNote(toClosingText({ lines, digest: digest.copy().digest('hex'), zoneUID, at }), signer)),
  };
}
