/** Records on their way from memory to where they are kept: in groups, each written and synced as one. */
import type { GatewayRecord } from '../../authority/gatewayRecords.ts';

export interface Writer {
  add(record: GatewayRecord): void;
  /** False after a write that failed, until one succeeds. */
  canWrite(): boolean;
  /** Of what is in memory, about. */
  bytes(): number;
  /** Resolves when nothing is in memory any more, or a write failed. */
  flush(): Promise<void>;
  close(): void;
}

/** How long a record waits in memory: one write and one sync of the disk for all that came meanwhile. */
const WRITE_MS = 20;
/** A write that failed is tried again after this. */
const REWRITE_MS = 500;
/** What a record in memory is counted as. */
const RECORD_BYTES = 512;
/** With a segment that is as full as it may be, half of what the STS takes at once. */
const GROUP_CHARACTERS = 256 * 1024;

/** `append` is for groups of lines; `onFailure` is told the first time. */
export function createWriter(append: (lines: string) => Promise<void>, onFailure: (error: unknown) => void): Writer {
  let pending: GatewayRecord[] = [];
  let canWrite = true;
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): Promise<void> => {
    writing ??= writeAll().finally(() => (writing = undefined));
    return writing;
  };
  const arm = (afterMs: number): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void flush();
    }, afterMs);
  };
  const writeAll = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    while (pending.length > 0) {
      const { lines, count } = toGroup(pending);
      try {
        await append(lines);
        pending = pending.slice(count);
        canWrite = true;
      } catch (error) {
        if (canWrite) onFailure(error);
        canWrite = false;
        arm(REWRITE_MS);
        return;
      }
    }
  };
  return {
    add(record) {
      pending.push(record);
      arm(canWrite ? WRITE_MS : REWRITE_MS);
    },
    canWrite: () => canWrite,
    bytes: () => pending.length * RECORD_BYTES,
    flush,
    close: () => clearTimeout(timer),
  };
}

function toGroup(records: readonly GatewayRecord[]): { readonly lines: string; readonly count: number } {
  let lines = '';
  let count = 0;
  for (const record of records) {
    if (lines.length >= GROUP_CHARACTERS) break;
    lines += `${JSON.stringify(record)}\n`;
    count += 1;
  }
  return { lines, count };
}
