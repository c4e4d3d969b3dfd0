/** Where records wait for delivery: segments of lines, each of which is delivered as one batch and never changed once it is sealed. */
import { uuidv7, type Clock, type RandomBytes } from '../../authority/clock.ts';
import type { AuditBatch, GatewayRecord } from '../../authority/gatewayRecords.ts';

export interface Segments {
  /** Adds lines of JSON, each with its line feed; when it resolves they are kept as well as they will be. */
  append(lines: string): Promise<void>;
  /** The oldest, undefined where none waits; the open one only where `seals`, since what is written next would be a batch for itself. */
  oldest(seals: boolean): Promise<Waiting | undefined>;
  /** Of all that waits. */
  bytes(): number;
  close(): Promise<void>;
}

export interface Waiting {
  readonly batch: AuditBatch;
  /** It was delivered. */
  remove(): Promise<void>;
}

export interface SegmentPorts {
  readonly clock: Pick<Clock, 'now'>;
  readonly randomBytes: RandomBytes;
}

/** About 700 requests: a batch that the STS stores in one write. */
export const SEGMENT_BYTES = 256 * 1024;

/** Without a folder: what was not delivered is lost with the process. */
export function createMemorySegments({ clock, randomBytes }: SegmentPorts): Segments {
  const spool = uuidv7(clock.now(), randomBytes);
  const segments: { readonly sequence: number; text: string; isSealed: boolean }[] = [];
  let sequence = 0;
  let total = 0;
  return {
    async append(lines) {
      total += lines.length;
      const last = segments.at(-1);
      if (last && !last.isSealed && last.text.length < SEGMENT_BYTES) last.text += lines;
      else segments.push({ sequence: (sequence += 1), text: lines, isSealed: false });
    },
    async oldest(seals) {
      const [first] = segments;
      if (!first || (!first.isSealed && !seals && segments.length === 1)) return undefined;
      first.isSealed = true;
      return {
        batch: { spool, sequence: first.sequence, ...parseLines(first.text) },
        async remove() {
          segments.shift();
          total -= first.text.length;
        },
      };
    },
    bytes: () => total,
    close: async () => undefined,
  };
}

/** A last line without its line feed was never acknowledged to anyone: the process died while it wrote it. */
export function parseLines(text: string): Pick<AuditBatch, 'requests' | 'lost'> {
  const requests: GatewayRecord[] = [];
  let lost = 0;
  for (const line of text.split('\n').slice(0, -1)) {
    try {
      requests.push(JSON.parse(line) as GatewayRecord);
    } catch {
      lost += 1;
    }
  }
  return { requests, ...(lost > 0 && { lost }) };
}
