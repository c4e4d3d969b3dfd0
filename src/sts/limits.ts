/** Token buckets by key, bounded in number: how many mandates a zone mints, how many failures one source may cause. */
import type { Clock } from '../authority/clock.ts';

export interface Limiter {
  /** Takes one; undefined when there was one, else seconds until there is. */
  take(key: string, perMinute: number): number | undefined;
  /** Seconds until one could be taken, without taking it. */
  peek(key: string, perMinute: number): number | undefined;
}

interface Bucket {
  tokens: number;
  /** Monotonic milliseconds. */
  at: number;
}

/** A bucket holds `burstSeconds` worth of its rate, at least one. When too many keys are live, the idlest goes. */
export function createLimiter(
  clock: Pick<Clock, 'monotonic'>,
  { burstSeconds, maxKeys }: { readonly burstSeconds: number; readonly maxKeys: number },
): Limiter {
  const buckets = new Map<string, Bucket>();
  const refill = (key: string, perMinute: number): Bucket => {
    const now = clock.monotonic();
    const capacity = Math.max(1, (perMinute / 60) * burstSeconds);
    const known = buckets.get(key) ?? { tokens: capacity, at: now };
    const bucket = { tokens: Math.min(capacity, known.tokens + ((now - known.at) * perMinute) / 60_000), at: now };
    buckets.delete(key);
    buckets.set(key, bucket);
    if (buckets.size > maxKeys) dropOldest();
    return bucket;
  };
  const dropOldest = (): void => {
    const oldest = buckets.keys().next().value;
    if (oldest !== undefined) buckets.delete(oldest);
  };
  const wait = (bucket: Bucket, perMinute: number): number =>
    Math.max(1, Math.ceil(((1 - bucket.tokens) * 60) / perMinute));
  return {
    take(key, perMinute) {
      const bucket = refill(key, perMinute);
      if (bucket.tokens < 1) return wait(bucket, perMinute);
      bucket.tokens -= 1;
      return undefined;
    },
    peek(key, perMinute) {
      const bucket = refill(key, perMinute);
      return bucket.tokens < 1 ? wait(bucket, perMinute) : undefined;
    },
  };
}
