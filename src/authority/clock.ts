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
  const bytes = Buffer.from(randomBytes(16));
  bytes.writeUIntBE(now, 0, 6);
  return toUUID(bytes, 7);
}

/** A UUIDv4 (RFC 9562 §5.4): 122 random bits, for ids that whoever knows them may use. */
export function uuidv4(randomBytes: RandomBytes): string {
  return toUUID(Buffer.from(randomBytes(16)), 4);
}

function toUUID(bytes: Buffer, version: number): string {
  bytes[6] = (bytes[6]! & 0x0f) | (version << 4);
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
