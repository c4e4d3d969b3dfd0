/** Records of a zone's requests: taken in memory, written in groups, delivered to the STS in batches, at least once. */
import type { Clock } from '../../authority/clock.ts';
import type { AuditBatch, GatewayRecord } from '../../authority/gatewayRecords.ts';
import type { GatewayLog } from '../log.ts';
import { createRepetitions } from './repetitions.ts';
import type { Segments } from './segments.ts';

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

/** How long a request waits in memory: one write and one sync of the disk for all that came meanwhile. */
const WRITE_MS = 20;
/** A write that failed is tried again after this. */
const REWRITE_MS = 500;
const DELIVER_MS = 500;
const LAST_RETRY_MS = 8000;
const MINUTE_MS = 60_000;
/** What a record in memory is counted as. */
const RECORD_BYTES = 512;
const AT_ONCE = 500;

export function createRecorder(ports: RecorderPorts): Recorder {
  const { clock, log, zoneID, maxBytes } = ports;
  const repetitions = createRepetitions();
  let segments: Segments | undefined;
  let pending: GatewayRecord[] = [];
  let canWrite = true;
  let writing: Promise<void> | undefined;
  let writeTimer: NodeJS.Timeout | undefined;
  let delivering: Promise<void> | undefined;
  let deliverTimer: NodeJS.Timeout | undefined;
  let failures = 0;
  let minuteFrom = clock.monotonic();

  const bytes = (): number => (segments?.bytes() ?? 0) + pending.length * RECORD_BYTES;
  const hasRoom = (): boolean => canWrite && bytes() < maxBytes;

  const add = (record: GatewayRecord): void => {
    pending.push(record);
    writeTimer ??= setTimeout(() => void write(), canWrite ? WRITE_MS : REWRITE_MS);
  };
  const write = (): Promise<void> => {
    writing ??= writeAll().finally(() => (writing = undefined));
    return writing;
  };
  const writeAll = async (): Promise<void> => {
    clearTimeout(writeTimer);
    writeTimer = undefined;
    const kept = segments;
    if (!kept) return;
    while (pending.length > 0) {
      const group = pending.slice(0, AT_ONCE);
      try {
        await kept.append(group.map((record) => `${JSON.stringify(record)}\n`).join(''));
        pending = pending.slice(group.length);
        canWrite = true;
      } catch (error) {
        if (canWrite)
          log.error({ zone: zoneID, error: messageOf(error) }, 'requests cannot be recorded: they are denied');
        canWrite = false;
        writeTimer ??= setTimeout(() => void write(), REWRITE_MS);
        return;
      }
    }
  };

  const endMinute = (isLast: boolean): void => {
    const isOver = clock.monotonic() - minuteFrom >= MINUTE_MS;
    // While there is no room they are counted on.
    if (!isLast && (!isOver || !hasRoom())) return;
    minuteFrom = clock.monotonic();
    for (const record of repetitions.take()) add(record);
  };
  const deliver = (): Promise<void> => {
    delivering ??= deliverAll().finally(() => (delivering = undefined));
    return delivering;
  };
  const deliverAll = async (): Promise<void> => {
    try {
      for (let next = await segments?.oldest(true); next; next = await segments?.oldest(false)) {
        const { batch, remove } = next;
        if (batch.requests.length > 0 || batch.lost !== undefined) await ports.send(batch);
        await remove();
        ports.onDelivered(batch.requests.length);
        failures = 0;
      }
    } catch (error) {
      if (failures === 0)
        log.warn({ zone: zoneID, error: messageOf(error) }, 'records wait: the STS did not store them');
      failures += 1;
    }
  };
  const tick = (): void => {
    endMinute(false);
    void deliver().finally(() => {
      if (deliverTimer === undefined) return;
      deliverTimer = setTimeout(tick, Math.min(LAST_RETRY_MS, DELIVER_MS * 2 ** Math.min(failures, 8))).unref();
    });
  };

  return {
    async open() {
      segments = await ports.openSegments();
      deliverTimer = setTimeout(tick, DELIVER_MS).unref();
    },
    hasRoom,
    allowed: add,
    refused(record) {
      if (repetitions.isFirst(record, hasRoom())) add(record);
    },
    bytes,
    async close(milliseconds) {
      if (!segments) return;
      clearTimeout(deliverTimer);
      deliverTimer = undefined;
      endMinute(true);
      await writing;
      await write();
      await within(milliseconds, delivering);
      await within(milliseconds, deliver());
      const left = bytes();
      if (left > 0) log.warn({ zone: zoneID, bytes: left }, 'records were not delivered');
      clearTimeout(writeTimer);
      await segments.close();
    },
  };
}

async function within(milliseconds: number, what: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => void (timer = setTimeout(resolve, milliseconds)));
  await Promise.race([what, late]);
  clearTimeout(timer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
