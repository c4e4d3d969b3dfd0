/** Seals: an HMAC-SHA256 over each row that carries authority, so that a row written without the key is noticed. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** What is sealed; a seal of one is none of another. */
export type Sealed = 'proof' | 'authority' | 'revocation' | 'object' | 'entry' | 'head' | 'element' | 'mask';

export type Field = string | number | null;

export interface Seal {
  /** Tells the key from another without giving it away. */
  readonly proof: string;
  /** Hexadecimal. */
  of(sealed: Sealed, fields: readonly Field[]): string;
  /** Throws where the seal is not the one of these fields; `what` names the row. */
  check(sealed: Sealed, fields: readonly Field[], found: unknown, what: string): void;
}

const VERSION = 'caracal.store/1';

export function createSeal(key: Uint8Array): Seal {
  const digest = (sealed: Sealed, fields: readonly Field[]): Buffer =>
    createHmac('sha256', key)
      .update(JSON.stringify([VERSION, sealed, ...fields]))
      .digest();
  return {
    proof: digest('proof', []).toString('hex'),
    of: (sealed, fields) => digest(sealed, fields).toString('hex'),
    check(sealed, fields, found, what) {
      const given = Buffer.from(String(found), 'hex');
      const expected = digest(sealed, fields);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw toForged(what);
    },
  };
}

export function toForged(what: string): Error {
  return new Error(
    `${what} is not as it was written: keep the store as evidence, and restore it from a backup or begin a new one`,
  );
}
