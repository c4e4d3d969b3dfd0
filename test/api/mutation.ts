/** One change at a random place of an object: other value, no value, an unknown field, a repeated or a missing item. */
import * as fc from 'fast-check';
import type { Manifest } from './apiServer.ts';

/** Values that sit on or beyond some bound. */
const VALUES: readonly unknown[] = [
  null,
  '',
  ' ',
  'x',
  'Upper',
  'a.b',
  'a b',
  'ü',
  '😀'.repeat(40),
  'x'.repeat(64),
  'x'.repeat(600),
  '0s',
  '1ms',
  '15m',
  '1h',
  '1.5m',
  '-5m',
  'PT5M',
  '2027-02-29T00:00:00Z',
  '2026-01-01T00:00:00z',
  '2026-01-01 00:00:00Z',
  'https://user@host/x',
  'https://host/x?y#z',
  'resource://x',
  '/a/{b}/**',
  '/a/../b',
  'agent:x',
  0,
  1,
  -1,
  1.5,
  70_000,
  3_000_000_000,
  true,
  false,
  [],
  [null],
  ['x'],
  {},
  { x: 1 },
];

export interface Mutation {
  /** Picks the place; taken modulo the number of places. */
  readonly place: number;
  readonly change:
    | { readonly type: 'set'; readonly value: unknown }
    | { readonly type: 'delete' }
    | { readonly type: 'add' }
    | { readonly type: 'repeat' };
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  place: fc.nat(10_000),
  change: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...VALUES).map((value) => ({ type: 'set', value }) as const) },
    { weight: 2, arbitrary: fc.constant({ type: 'delete' } as const) },
    { weight: 1, arbitrary: fc.constant({ type: 'add' } as const) },
    { weight: 1, arbitrary: fc.constant({ type: 'repeat' } as const) },
  ),
});

type Container = Record<string, unknown> | unknown[];

/** Every member of the spec, as its container and key. */
function placesOf(value: unknown, container: Container, key: string): readonly [Container, string][] {
  const own: [Container, string] = [container, key];
  if (typeof value !== 'object' || value === null) return [own];
  return [own, ...Object.entries(value).flatMap(([name, member]) => placesOf(member, value as Container, name))];
}

export function mutate(sample: Manifest, { place, change }: Mutation): Manifest {
  const object = structuredClone(sample) as unknown as Record<string, unknown>;
  const places = placesOf(object['spec'], object, 'spec');
  const [container, key] = places[place % places.length]!;
  apply(container, key, change);
  return object as unknown as Manifest;
}

function apply(container: Container, key: string, change: Mutation['change']): void {
  const members = container as Record<string, unknown>;
  switch (change.type) {
    case 'set':
      members[key] = structuredClone(change.value);
      return;
    case 'delete':
      if (Array.isArray(container)) container.splice(Number(key), 1);
      else delete members[key];
      return;
    case 'add':
      if (!Array.isArray(container)) members['unknown'] = 'x';
      return;
    case 'repeat':
      if (Array.isArray(container)) container.push(structuredClone(container[Number(key)]));
  }
}
