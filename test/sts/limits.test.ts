/** Token buckets: what each key may take, that keys do not touch each other, and that many keys cost no more than some. */
import { describe, expect, it } from 'vitest';
import { createLimiter } from '../../src/sts/limits.ts';

describe('a limiter', () => {
  const start = (maxKeys = 10) => {
    let at = 0;
    const limiter = createLimiter({ monotonic: () => at }, { burstSeconds: 10, maxKeys });
    return { limiter, pass: (milliseconds: number) => (at += milliseconds) };
  };
  const takeAll = (take: () => number | undefined) => {
    let taken = 0;
    while (take() === undefined) taken += 1;
    return taken;
  };

  it('gives ten seconds’ worth at once, then says how long to wait, and gives as time passes', () => {
    const { limiter, pass } = start();
    const take = () => limiter.take('a', 60);
    expect([takeAll(take), take()]).toEqual([10, 1]);
    pass(1000);
    expect([take(), take()]).toEqual([undefined, 1]);
    pass(3_600_000);
    expect(takeAll(take)).toBe(10);
  });

  it('gives at least one, however low the rate', () => {
    const { limiter, pass } = start();
    const take = () => limiter.take('a', 1);
    expect([take(), take()]).toEqual([undefined, 60]);
    pass(60_000);
    expect([take(), take()]).toEqual([undefined, 60]);
  });

  it('looks without taking', () => {
    const { limiter } = start();
    expect([limiter.peek('a', 1), limiter.peek('a', 1), limiter.take('a', 1), limiter.peek('a', 1)]).toEqual([
      ...[undefined, undefined, undefined, 60],
    ]);
  });

  it('X-35 keeps keys apart, and of too many forgets the one that was idle longest', () => {
    const { limiter } = start(2);
    expect([limiter.take('a', 1), limiter.take('b', 1)]).toEqual([undefined, undefined]);
    expect(limiter.take('a', 1)).toBe(60);
    limiter.take('c', 1);
    expect(limiter.take('a', 1)).toBe(60);
    expect(limiter.take('b', 1)).toBe(undefined);
  });
});
