/** The outbox: one write at a time per object, retries with back-off, and nothing that holds up others. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createOutbox, type Outbox } from '../../src/controller/outbox.ts';

let now: number;
let failures: string[];
let outbox: Outbox;

beforeEach(() => {
  now = 0;
  failures = [];
  outbox = createOutbox({
    monotonic: () => now,
    onFailure: (key, error, movedOn) =>
      void failures.push(`${key}: ${(error as Error).message}${movedOn ? ' (moved on)' : ''}`),
  });
});

const failing = (error: Error) => async () => {
  throw error;
};
const conflict = Object.assign(new Error('409'), { status: 409 });

describe('the outbox', () => {
  it('writes one at a time per key and the others beside it', async () => {
    const gate = Promise.withResolvers<void>();
    const written: string[] = [];
    outbox.send('a', '1', async () => {
      await gate.promise;
      written.push('a1');
    });
    outbox.send('a', '2', async () => void written.push('a2'));
    outbox.send('b', '1', async () => void written.push('b1'));
    await Promise.resolve();
    await Promise.resolve();
    expect(written).toEqual(['b1']);
    gate.resolve();
    await outbox.idle();
    expect(written).toEqual(['b1', 'a1']);
    expect(outbox.isOpen('a', '2')).toBe(true);
  });

  it('runs at most 16 at once and all in the end', async () => {
    let [running, most, done] = [0, 0, 0];
    for (let index = 0; index < 50; index += 1)
      outbox.send(`k${index}`, '', async () => {
        running += 1;
        most = Math.max(most, running);
        await Promise.resolve();
        running -= 1;
        done += 1;
      });
    await outbox.idle();
    expect([most, done]).toEqual([16, 50]);
  });

  it('does not repeat a success from the same basis until the watch had 5 s to show it', async () => {
    outbox.send('a', '1', async () => undefined);
    await outbox.idle();
    expect([outbox.isOpen('a', '1'), outbox.isOpen('a', '2')]).toEqual([false, true]);
    now = 5_000;
    expect(outbox.isOpen('a', '1')).toBe(true);
  });

  it('retries a failure later and later, and at once when the object changed', async () => {
    const delays: number[] = [];
    for (let attempt = 0; attempt < 10; attempt += 1) {
      outbox.send('a', '1', failing(new Error('500')));
      await outbox.idle();
      delays.push(outbox.nextRetry()! - now);
      expect([outbox.isOpen('a', '1'), outbox.isOpen('a', '2'), outbox.isFailing('a')]).toEqual([false, true, true]);
      now = outbox.nextRetry()!;
    }
    expect(delays).toEqual([200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    outbox.send('a', '1', async () => undefined);
    await outbox.idle();
    expect([outbox.nextRetry(), outbox.isFailing('a')]).toEqual([undefined, false]);
  });

  it.each([
    ['409', conflict],
    ['404', Object.assign(new Error('404'), { status: 404 })],
    ['a conflict in the folder', Object.assign(new Error('moved'), { name: 'WriteConflict' })],
    ['a lost Lease', Object.assign(new Error('stands by'), { name: 'NotLeader' })],
  ])('takes %s for a sign that someone moved on', async (_, error) => {
    outbox.send('a', '1', failing(error));
    await outbox.idle();
    expect(failures).toEqual([`a: ${error.message} (moved on)`]);
    expect(outbox.nextRetry()).toBe(1_000);
  });

  it('forgets everything but what is under way', async () => {
    const gate = Promise.withResolvers<void>();
    outbox.send('a', '1', failing(conflict));
    await outbox.idle();
    outbox.send('b', '1', () => gate.promise);
    outbox.clear();
    expect([outbox.isOpen('a', '1'), outbox.isOpen('b', '1'), outbox.nextRetry()]).toEqual([true, false, undefined]);
    gate.resolve();
    await outbox.idle();
  });
});
