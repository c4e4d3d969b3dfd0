/** Ids: of an authority record by what it is, and of everything else by time. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/authority/clock.ts';
import { authorityRecordID } from '../../src/authority/sid.ts';

describe('authorityRecordID', () => {
  it('is a UUIDv8 that stays the same for the same instance', () => {
    const id = authorityRecordID('zone', 'application', 'pod');
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(authorityRecordID('zone', 'application', 'pod')).toBe(id);
  });

  it('K-19 is another for another zone, Application or instance, however their texts run together', () => {
    const tuple = fc.tuple(fc.string(), fc.string(), fc.string());
    fc.assert(
      fc.property(tuple, tuple, (first, second) => {
        const isSame = first.every((part, index) => part === second[index]);
        expect(authorityRecordID(...first) === authorityRecordID(...second)).toBe(isSame);
      }),
    );
    expect(authorityRecordID('a', 'bc', 'd')).not.toBe(authorityRecordID('ab', 'c', 'd'));
  });
});

describe('uuidv7', () => {
  it('carries the instant and the random bits, and sorts by time', () => {
    expect(uuidv7(0x0123456789ab, () => new Uint8Array(16).fill(0xff))).toBe('01234567-89ab-7fff-bfff-ffffffffffff');
    const bytes = () => new Uint8Array(16);
    expect([3000, 1000, 2000].map((now) => uuidv7(now, bytes)).sort()).toEqual(
      [1000, 2000, 3000].map((now) => uuidv7(now, bytes)),
    );
  });
});
