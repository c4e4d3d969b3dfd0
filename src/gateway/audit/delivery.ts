/** Delivers what waits, oldest first, again and again until the STS has stored it. */
import type { AuditBatch } from '../../authority/gatewayRecords.ts';
import type { Segments } from './segments.ts';

export interface Delivery {
  start(): void;
  /** Ends the repetition; then one attempt more, at all that there is. */
  finish(): Promise<void>;
}

export interface DeliveryPorts {
  readonly segments: Segments;
  /** Rejects where the STS did not store it. */
  send(batch: AuditBatch): Promise<void>;
  onDelivered(requests: number): void;
  /** Told the first time. */
  onFailure(error: unknown): void;
  /** Before each attempt. */
  onTurn(): void;
}

const EVERY_MS = 500;
const LAST_RETRY_MS = 8000;

export function createDelivery({ segments, send, onDelivered, onFailure, onTurn }: DeliveryPorts): Delivery {
  let timer: NodeJS.Timeout | undefined;
  let attempt: Promise<void> = Promise.resolve();
  let failures = 0;
  let isOver = false;

  const deliver = async (): Promise<void> => {
    try {
      for (let next = await segments.oldest(true); next; next = await segments.oldest(isOver)) {
        const { batch, remove } = next;
        if (batch.requests.length > 0 || batch.lost !== undefined) await send(batch);
        await remove();
        onDelivered(batch.requests.length);
        failures = 0;
      }
    } catch (error) {
      if (failures === 0) onFailure(error);
      failures += 1;
    }
  };
  const turn = async (): Promise<void> => {
    onTurn();
    await deliver();
    if (!isOver) schedule();
  };
  const schedule = (): void => {
    const wait = Math.min(LAST_RETRY_MS, EVERY_MS * 2 ** Math.min(failures, 8));
    timer = setTimeout(() => void (attempt = turn()), wait).unref();
  };
  return {
    start: schedule,
    async finish() {
      isOver = true;
      clearTimeout(timer);
      await attempt;
      await deliver();
    },
  };
}
