/** Reads the store's head twice a second, since a replica that cannot read it may not prove freshness. */
import type { Clock } from '../../authority/clock.ts';
import type { Store } from '../../store/store.ts';

export interface StoreHead {
  start(): Promise<void>;
  /** Read within the last 500 ms, timer and call included. */
  isFresh(): boolean;
  close(): void;
}

const EVERY_MS = 200;
const FRESH_MS = 500;

export function createStoreHead(store: Pick<Store, 'zoneEpoch'>, clock: Pick<Clock, 'monotonic'>): StoreHead {
  let readAt = Number.NEGATIVE_INFINITY;
  let reading = false;
  const read = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    const started = clock.monotonic();
    try {
      await store.zoneEpoch('');
      readAt = started;
    } catch {
      // An unreadable store is what this is here to notice: no heartbeat until it answers again.
    } finally {
      reading = false;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    async start() {
      await read();
      timer = setInterval(() => void read(), EVERY_MS).unref();
    },
    isFresh: () => clock.monotonic() - readAt <= FRESH_MS,
    close: () => clearInterval(timer),
  };
}
