/** Heads and hints: what a replica asks to know whether it is behind. */
import { describe, expect, it } from 'vitest';
import { decisionOf, sessionOf } from '../records.ts';
import { EVERYTHING } from '../support.ts';
import { NOW, type Engine } from './engine.ts';

export function describeHeads(engine: Engine): void {
  describe('the heads of the zones', () => {
    const change = { all: false, applications: [], resources: [], sessions: ['a'] };

    it('are the epoch and the sequence of each that has one', async () => {
      const store = await (await engine.place()).open({ clock: { now: () => NOW } });
      expect(await store.heads()).toEqual(new Map());
      await store.commit({ decision: decisionOf('plain', { zoneUID: 'plain-uid' }) });
      await store.raiseEpoch('epoch-uid', 'a', EVERYTHING);
      const runtime = { expected: 0, puts: [sessionOf('a')] };
      await store.commit({ decision: decisionOf('one'), runtime });
      await store.commit({ decision: decisionOf('two'), runtime: { ...runtime, expected: 1, change } });
      const epoch = NOW / 1000;
      expect(await store.heads()).toEqual(
        new Map([
          ['epoch-uid', { epoch, sequence: 0 }],
          ['zone-uid', { epoch, sequence: 2 }],
        ]),
      );
    });

    it('are hinted at when they move, and not when they do not', async () => {
      const store = await (await engine.place()).open();
      let hints = 0;
      const stop = store.onHint(() => (hints += 1));
      await store.commit({ decision: decisionOf('plain') });
      expect(hints).toBe(0);
      await store.commit({ decision: decisionOf('one'), runtime: { expected: 0, puts: [sessionOf('a')] } });
      expect(hints).toBeGreaterThan(0);
      stop();
      const before = hints;
      await store.raiseEpoch('zone-uid', 'a', EVERYTHING);
      expect(hints).toBe(before);
    });
  });
}
