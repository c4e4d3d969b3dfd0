/** Time and randomness as ports: only the entry points hold the real ones. */

export interface Clock {
  /** Wall clock, Unix milliseconds. */
  now(): number;
  /** Monotonic milliseconds, for ages and deadlines. */
  monotonic(): number;
}

/** Fills `size` random bytes. */
export type RandomBytes = (size: number) => Uint8Array;

/** A UUIDv7 (RFC 9562 §5.7) for `now` (Unix milliseconds). */
export function uuidv7(now: number, randomBytes: RandomBytes): string {
  const bytes = randomBytes(16);
  const time = now.toString(16).padStart(12, '0');
  const random = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  const variant = '89ab'[(bytes[8]! >> 4) & 3]!;
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-${random.slice(20)}`;
}

/** A UUIDv4 (RFC 9562 §5.4): 122 random bits, for ids that whoever knows them may use. */
export function uuidv4(randomBytes: RandomBytes): string {
  const bytes = randomBytes(16);
  const random = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  const variant = '89ab'[(bytes[8]! >> 4) & 3]!;
  return `${random.slice(0, 8)}-${random.slice(8, 12)}-4${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-${random.slice(20)}`;
}

const POOL_BYTES = 4096;

/** Asking the system for a few bytes at a time costs more than the bytes: each is taken from the pool once. Not for keys. */
export function pooled(randomBytes: RandomBytes): RandomBytes {
  let bytes = new Uint8Array(0);
  let at = 0;
  return (size) => {
    if (at + size > bytes.length) {
      bytes = Uint8Array.from(randomBytes(Math.max(size, POOL_BYTES)));
      at = 0;
    }
    at += size;
    return bytes.subarray(at - size, at);
  };
}
