/**
 * Random sequences of everything that can happen to agent sessions and delegation, against the reference. The short form
 * runs with every test; CARACAL_MODEL_RUNS=2000 is the full one.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RuntimeObject } from '../../../src/authority/runtime.ts';
import { createRuntimeIndex, type RuntimeView } from '../../../src/authority/runtimeIndex.ts';
import { createDriver, createTally } from './driver.ts';
import { KINDS, type Operation } from './operations.ts';
import { memoryPort, type MemoryPort } from './world.ts';

const RUNS = Number(process.env['CARACAL_MODEL_RUNS'] ?? 200);
const LENGTH = 20;

const numbers = fc.array(fc.nat({ max: 5039 }), { minLength: 8, maxLength: 8 });
const operation: fc.Arbitrary<Operation> = fc.record({ kind: fc.constantFrom(...KINDS), n: numbers });
/** Sessions to begin with, so that the operations have something to work on. */
const beginning = fc.array(fc.record({ kind: fc.constant('start'), n: numbers }), { minLength: 4, maxLength: 4 });
const sequence = fc.tuple(beginning, fc.array(operation, { minLength: LENGTH, maxLength: LENGTH }));

async function play(operations: readonly Operation[], tally = createTally()): Promise<MemoryPort> {
  const port = memoryPort();
  const driver = createDriver(port, tally);
  for (const one of operations) await driver.step(one);
  return port;
}

describe('D-20 agent sessions and delegation', () => {
  it(
    `agree with the reference after each of ${LENGTH} operations, ${RUNS} times`,
    async ({ annotate }) => {
      const tally = createTally();
      await fc.assert(
        fc.asyncProperty(sequence, async ([first, then]) => {
          await play([...first, ...then], tally);
        }),
        { numRuns: RUNS },
      );
      await annotate(JSON.stringify(tally));
      for (const kind of KINDS) expect([kind, (tally.done[kind] ?? 0) > 0]).toEqual([kind, true]);
      for (const kind of ['child', 'inherit', 'delegate', 'redelegate', 'resume', 'heartbeat', 'lease', 'end'])
        expect([kind, (tally.refused[kind] ?? 0) > 0]).toEqual([kind, true]);
      for (const hops of [0, 1, 2]) expect([hops, (tally.permittedUnder[hops] ?? 0) > 0]).toEqual([hops, true]);
      expect(tally.lost).toBeGreaterThan(RUNS / 10);
    },
    60_000 + RUNS * 1000,
  );
});

/** All that a view answers, whatever the order in which it came to know it. */
function seen(view: RuntimeView) {
  const ids = (objects: readonly { readonly id: string }[]) => objects.map(({ id }) => id).sort();
  const sessions = [...view.sessions()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const edges = [...view.edges()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    sequence: view.sequence(),
    open: view.open(),
    openOf: sessions.map(({ application }) => view.openOf(application.uid)),
    sessions: sessions.map((one) => [
      one,
      ids(view.children(one.id)),
      ids(view.inbound(one.id)),
      ids(view.outbound(one.id)),
    ]),
    edges: edges.map((one) => [one, ids(view.under(one.id)), ids(view.livingBy(one.id))]),
  };
}

function replay({ entries }: MemoryPort, order: (puts: readonly RuntimeObject[]) => readonly RuntimeObject[]) {
  const index = createRuntimeIndex();
  for (const entry of entries) index.apply({ ...entry, puts: order(entry.puts) });
  return index;
}

describe('the runtime state', () => {
  it('is the same replayed from its entries, whatever the order inside them, or from its objects', async () => {
    let several = 0;
    await fc.assert(
      fc.asyncProperty(sequence, async ([first, then]) => {
        const port = await play([...first, ...then]);
        const expected = seen(port.view);
        several += port.entries.filter(({ puts }) => puts.length > 1).length;
        expect(seen(replay(port, (puts) => puts))).toEqual(expected);
        expect(seen(replay(port, (puts) => puts.toReversed()))).toEqual(expected);
        expect(seen(replay(port, (puts) => [...puts.slice(1), ...puts.slice(0, 1)]))).toEqual(expected);
        const objects = [...port.view.edges(), ...port.view.sessions()].toReversed();
        expect(seen(createRuntimeIndex(port.view.sequence(), objects))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
    expect(several).toBeGreaterThan(20);
  });

  it('refuses an entry that does not follow, and changes nothing', async () => {
    const { view, entries } = await play([{ kind: 'start', n: [0, 0, 1, 1, 0, 0, 0, 0] }]);
    const index = createRuntimeIndex();
    expect(() => index.apply({ ...entries[0]!, sequence: 2 })).toThrow('runtime state is at 0');
    expect([index.sequence(), index.open(), view.open()]).toEqual([0, 0, 1]);
  });

  it('forgets what is over for good: whatever hung on it is unknown, and never alive', async () => {
    const { view, entries } = await play([
      { kind: 'start', n: [0, 0, 1, 1, 0, 0, 0, 0] },
      { kind: 'child', n: [0, 1, 1, 1, 0, 0, 0, 0] },
      { kind: 'end', n: [0, 0, 0, 0, 0, 0, 0, 0] },
    ]);
    const index = createRuntimeIndex();
    for (const entry of entries) index.apply(entry);
    index.forget([...view.sessions()]);
    expect(seen(index)).toEqual(seen(createRuntimeIndex(view.sequence())));
  });
});
