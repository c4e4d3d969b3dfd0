/** How many wrong signatures one address may cause: checking one costs as much as hundreds of cheap refusals. */
import type { Clock } from '../authority/clock.ts';

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
      const bucket = buckets.get(toNetwork(source));
      return bucket !== undefined && drain(bucket).used >= BURST;
    },
    add(address) {
      const source = toNetwork(address);
      const bucket = drain(buckets.get(source) ?? { used: 0, at: clock.monotonic() });
      bucket.used += 1;
      buckets.delete(source);
      buckets.set(source, bucket);
      if (buckets.size > MAX_SOURCES) buckets.delete(buckets.keys().next().value!);
    },
  };
}

/** Whoever has an IPv6 address has the 2^64 around it. */
function toNetwork(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail === undefined) return groups.slice(0, 4).join(':');
  const missing = 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  return [...groups, ...Array<string>(missing).fill('0'), ...tail.split(':')].slice(0, 4).join(':');
}
