/** Records of a zone's requests: taken in memory, written in groups, delivered to the STS in batches, at least once. */
import type { Clock } from '../../authority/clock.ts';
import type { AuditBatch, GatewayRecord } from '../../authority/gatewayRecords.ts';
import type { GatewayLog } from '../log.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { createRepetitions } from './repetitions.ts';
import type { Segments } from './segments.ts';
import { createWriter } from './writer.ts';

export interface Recorder {
  /** Rejects where the spool cannot be used. */
  open(): Promise<void>;
  /** False: nothing may be admitted, since it could not be recorded. */
  hasRoom(): boolean;
  allowed(record: GatewayRecord): void;
  /** Those that are alike are counted. */
  refused(record: GatewayRecord): void;
  /** Of all that waits for delivery. */
  bytes(): number;
  /** Writes what is there and tries to deliver it, for `milliseconds` at most. */
  close(milliseconds: number): Promise<void>;
}

export interface RecorderPorts {
  openSegments(): Promise<Segments>;
  /** Rejects where the STS did not store it. */
  send(batch: AuditBatch): Promise<void>;
  onDelivered(requests: number): void;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly zoneID: string;
}

const MINUTE_MS = 60_000;

export function createRecorder(ports: RecorderPorts): Recorder {
  const { clock, log, zoneID, maxBytes } = ports;
  const repetitions = createRepetitions();
  let opened: { readonly segments: Segments; readonly delivery: Delivery } | undefined;
  let minuteFrom = clock.monotonic();
  const writer = createWriter(
    async (lines) => opened?.segments.append(lines),
    (error) => log.error({ zone: zoneID, error: messageOf(error) }, 'requests cannot be recorded: they are denied'),
  );
  const bytes = (): number => (opened?.segments.bytes() ?? 0) + writer.bytes();
  const hasRoom = (): boolean => writer.canWrite() && bytes() < maxBytes;
  const tellRepetitions = (): void => {
    minuteFrom = clock.monotonic();
    for (const record of repetitions.take()) writer.add(record);
  };

  return {
    async open() {
      const segments = await ports.openSegments();
      const delivery = createDelivery({
        ...{ segments, send: ports.send, onDelivered: ports.onDelivered },
        onFailure: (error) =>
          log.warn({ zone: zoneID, error: messageOf(error) }, 'records wait: the STS did not store them'),
        onTurn() {
          // While there is no room they are counted on.
          if (clock.monotonic() - minuteFrom >= MINUTE_MS && hasRoom()) tellRepetitions();
        },
      });
      opened = { segments, delivery };
      delivery.start();
    },
    hasRoom,
    allowed: writer.add,
    refused(record) {
      if (repetitions.isFirst(record, hasRoom())) writer.add(record);
    },
    bytes,
    async close(milliseconds) {
      if (!opened) return;
      tellRepetitions();
      await writer.flush();
      // What came during that write.
      await writer.flush();
      await within(milliseconds, opened.delivery.finish());
      const left = bytes();
      if (left > 0) log.warn({ zone: zoneID, bytes: left }, 'records were not delivered');
      writer.close();
      await opened.segments.close();
    },
  };
}

async function within(milliseconds: number, what: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => void (timer = setTimeout(resolve, milliseconds)));
  await Promise.race([what, late]);
  clearTimeout(timer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
