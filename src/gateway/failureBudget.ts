/** How many wrong signatures one address may cause: checking one costs as much as hundreds of cheap refusals. */
import type { Clock } from '../authority/clock.ts';
import { toSource } from '../http/source.ts';

export interface FailureBudget {
  isExhausted(source: string): boolean;
  add(source: string): void;
}

const PER_SECOND = 200;
const BURST = 400;
const MAX_SOURCES = 10_000;

interface Bucket {
  used: number;
  /** Monotonic milliseconds. */
  at: number;
}

export function createFailureBudget(clock: Pick<Clock, 'monotonic'>): FailureBudget {
  const buckets = new Map<string, Bucket>();
  const drain = (bucket: Bucket): Bucket => {
    const now = clock.monotonic();
    bucket.used = Math.max(0, bucket.used - ((now - bucket.at) * PER_SECOND) / 1000);
    bucket.at = now;
    return bucket;
  };
  return {
    isExhausted(source) {
      const bucket = buckets.get(toSource(source));
      return bucket !== undefined && drain(bucket).used >= BURST;
    },
    add(address) {
      const source = toSource(address);
      const bucket = drain(buckets.get(source) ?? { used: 0, at: clock.monotonic() });
      bucket.used += 1;
      buckets.delete(source);
      buckets.set(source, bucket);
      if (buckets.size > MAX_SOURCES) buckets.delete(buckets.keys().next().value!);
    },
  };
}
