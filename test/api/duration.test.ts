/** Durations as fields and flags write them. */
import { describe, expect, it } from 'vitest';
import { isDuration, parseDuration } from '../../src/api/duration.ts';

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['0s', 0],
    ['15m', 900_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['90s', 90_000],
    ['720h', 2_592_000_000],
    ['1m1m', 120_000],
  ])('reads %s as %d milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
    expect(isDuration(text)).toBe(true);
  });

  it.each(['', '5', 'm', '-5m', '+5m', '5 m', '5d', '1h 30m', 'PT5M', '5m\n', '.5h', '1e3s', '５m', '9'.repeat(40)])(
    'refuses %j and names the form',
    (text) => {
      expect(isDuration(text)).toBe(false);
      expect(() => parseDuration(text)).toThrow(/is no duration: write numbers with units/);
    },
  );
});
