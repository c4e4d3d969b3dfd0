/** What holds of compile for every world: order, repetition, isolation, memory, digests and time. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Snapshot, ZoneSnapshot } from '../../src/authority/snapshot.ts';
import { compile, createCompiler, type CompileResult } from '../../src/compiler/compile.ts';
import { planRevisions } from '../../src/compiler/revisions.ts';
import { anyObject, anyObjects, keyOf, toWorld, type AnyObject } from './arbitrary.ts';
import { ALLOW, NOW, results } from './world.ts';

const RUNS = { numRuns: 300 };
const failing = results(
  new Map([
    [`${ALLOW}# 2\n`, { ok: false, reason: 'TestsFailed', message: 't', testsPassed: 0, testsTotal: 1 } as const],
  ]),
);
const compiled = (objects: readonly AnyObject[], now = NOW) => compile(toWorld(objects), now, failing);

/** Fresh references, so that nothing is remembered of them. */
function copy(objects: readonly AnyObject[]): readonly AnyObject[] {
  return objects.map((object) => structuredClone(object));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}

function isAccepted(result: CompileResult, object: AnyObject): boolean {
  const verdict = result.verdicts.get(keyOf(object));
  return verdict?.conditions.every(({ type, status }) => type !== 'Accepted' || status === 'True') ?? false;
}

describe('compile', () => {
  it('never depends on the order of input', () => {
    const shuffled = anyObjects.chain((objects) =>
      fc.tuple(fc.constant(objects), fc.shuffledSubarray(objects, { minLength: objects.length })),
    );
    fc.assert(
      fc.property(shuffled, ([objects, other]) => {
        expect(compiled(copy(other))).toEqual(compiled(objects));
      }),
      RUNS,
    );
  });

  it('says the same twice and changes nothing it is given', () => {
    fc.assert(
      fc.property(anyObjects, (objects) => {
        deepFreeze(objects);
        expect(compiled(objects)).toEqual(compiled(copy(objects)));
      }),
      RUNS,
    );
  });

  it('one object’s error never changes another’s entry: without any refused object the snapshot is the same', () => {
    let refused = 0;
    fc.assert(
      fc.property(anyObjects, (objects) => {
        const result = compiled(objects);
        for (const object of objects) {
          if (isAccepted(result, object) || keepsClaim(result, object)) continue;
          refused += 1;
          const without = compiled(objects.filter((other) => other !== object));
          expect(without.snapshot).toEqual(result.snapshot);
        }
      }),
      RUNS,
    );
    expect(refused).toBeGreaterThan(1000);
  });

  it('every present object has exactly one verdict, and Accepted exactly if it is in the snapshot', () => {
    fc.assert(
      fc.property(anyObjects, (objects) => {
        const result = compiled(objects);
        const present = objects.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
        expect([...result.verdicts.keys()].sort()).toEqual(present.map(keyOf).sort());
        for (const object of present) {
          const served = isServed(result.snapshot, object);
          if (served !== undefined)
            expect([keyOf(object), isAccepted(result, object)]).toEqual([keyOf(object), served]);
        }
      }),
      RUNS,
    );
  });

  it('K-21 no status is read', () => {
    const status = { observedGeneration: 99, conditions: [], policy: { digest: 'sha256:evil' }, zoneID: 'other' };
    fc.assert(
      fc.property(anyObjects, (objects) => {
        const claiming = copy(objects).map((object) => ({ ...object, status }));
        expect(compiled(claiming)).toEqual(compiled(objects));
      }),
      { numRuns: 50 },
    );
  });

  it('nothing changes before nextChange', () => {
    fc.assert(
      fc.property(anyObjects, fc.integer({ min: 0, max: 12_000 }), (objects, wait) => {
        const first = compiled(objects);
        const later = Math.min(NOW + wait, (first.nextChange ?? Infinity) - 1);
        expect(compiled(copy(objects), later)).toEqual(first);
      }),
      RUNS,
    );
  });
});

/** An Application that failed only by time keeps its claim, and a refused set the revisions it has. */
function keepsClaim(result: CompileResult, object: AnyObject): boolean {
  if (object.kind === 'PolicySet' || object.kind === 'PolicySetRevision') return true;
  const [accepted] = result.verdicts.get(keyOf(object))?.conditions ?? [];
  return object.kind === 'Application' && accepted?.reason === 'Expired';
}

function isServed({ zones }: Snapshot, { kind, metadata: { namespace, name } }: AnyObject): boolean | undefined {
  const entries = (zone: ZoneSnapshot): Iterable<{ readonly namespace: string; readonly name: string }> | undefined => {
    switch (kind) {
      case 'Zone':
        return [zone];
      case 'Application':
        return zone.applications.values();
      case 'Resource':
        return zone.resources.values();
      case 'Grant':
        return [...zone.grants.values()].flat();
      default:
        return undefined;
    }
  };
  if (kind === 'Policy' || kind === 'PolicySet' || kind === 'PolicySetRevision') return undefined;
  return [...zones.values()].some((zone) =>
    [...(entries(zone) ?? [])].some((entry) => entry.namespace === namespace && entry.name === name),
  );
}

type Edit = { readonly put: AnyObject } | { readonly remove: number } | { readonly wait: number };
const edits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ put: anyObject }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 6000 }) }) },
  ),
  { maxLength: 25 },
);

/** Every state on the way: the objects that an edit does not touch stay the same references. */
function* play(
  start: readonly AnyObject[],
  list: readonly Edit[],
): Generator<{ objects: readonly AnyObject[]; now: number }> {
  let objects = [...start];
  let now = NOW;
  yield { objects, now };
  for (const edit of list) {
    if ('wait' in edit) now += edit.wait;
    else if ('remove' in edit)
      objects = objects.filter((_object, index) => index !== edit.remove % Math.max(objects.length, 1));
    else objects = [...objects.filter((object) => keyOf(object) !== keyOf(edit.put)), edit.put];
    yield { objects, now };
  }
}

describe('createCompiler', () => {
  it('says after any sequence of edits what a fresh compile says', () => {
    fc.assert(
      fc.property(anyObjects, edits, (start, list) => {
        const compiler = createCompiler();
        for (const { objects, now } of play(start, list)) {
          expect(compiler.compile(toWorld(objects), now, failing)).toEqual(compiled(copy(objects), now));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('keeps the reference of a zone exactly while its content is the same, and the digest says which', () => {
    const content = ({ digest: _digest, ...rest }: ZoneSnapshot) => rest;
    fc.assert(
      fc.property(anyObjects, edits, (start, list) => {
        const compiler = createCompiler();
        let before: Snapshot = { zones: new Map() };
        for (const { objects, now } of play(start, list)) {
          const { snapshot } = compiler.compile(toWorld(objects), now, failing);
          const fresh = compiled(copy(objects), now).snapshot;
          for (const [id, zone] of snapshot.zones) {
            const last = before.zones.get(id);
            if (last && zone === last) expect(content(fresh.zones.get(id)!)).toEqual(content(last));
            if (last && zone !== last) expect(content(zone)).not.toEqual(content(last));
          }
          before = snapshot;
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('planRevisions', () => {
  it('never depends on the order of input and never writes what exists', () => {
    const names = (list: readonly { readonly metadata: { readonly namespace: string; readonly name: string } }[]) =>
      list.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort();
    fc.assert(
      fc.property(anyObjects, (objects) => {
        const plan = planRevisions(toWorld(objects), failing);
        const reversed = planRevisions(toWorld(copy(objects).toReversed()), failing);
        expect([names(reversed.create), names(reversed.remove)]).toEqual([names(plan.create), names(plan.remove)]);
        const existing = new Set(names(toWorld(objects).policySetRevisions));
        expect(names(plan.create).filter((name) => existing.has(name))).toEqual([]);
      }),
      RUNS,
    );
  });
});
