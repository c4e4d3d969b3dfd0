/** Ambiguity of operations against an oracle: the sets of paths that two templates match. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { findAmbiguous } from '../../src/compiler/operations.ts';

const segment = fc.constantFrom('a', 'b', '{x}', '{y}');
const template = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([segments, open]) => `/${[...segments, ...(open ? ['**'] : [])].join('/')}`);

/** Every path of up to four segments; `c` stands for whatever no template names. */
const PATHS = [1, 2, 3, 4].flatMap((length) => words(length));

function words(length: number): readonly (readonly string[])[] {
  if (length === 0) return [[]];
  return words(length - 1).flatMap((rest) => ['a', 'b', 'c'].map((letter) => [...rest, letter]));
}

function matches(pattern: string, path: readonly string[]): boolean {
  const segments = pattern.split('/').slice(1);
  const isOpen = segments.at(-1) === '**';
  const fixed = isOpen ? segments.slice(0, -1) : segments;
  if (isOpen ? path.length < fixed.length : path.length !== fixed.length) return false;
  return fixed.every((part, index) => part.startsWith('{') || part === path[index]);
}

/** Both match some path, and neither matches only what the other matches, or both match the same. */
function isAmbiguous(first: string, second: string): boolean {
  const [a, b] = [first, second].map((pattern) => new Set(PATHS.filter((path) => matches(pattern, path))));
  if (a!.isDisjointFrom(b!)) return false;
  return a!.isSubsetOf(b!) === b!.isSubsetOf(a!);
}

it('two operations are ambiguous exactly if some path matches both and neither is more specific', () => {
  const operation = (path: string) => ({ methods: ['GET'], path, scopes: ['read'] });
  fc.assert(
    fc.property(template, template, (first, second) => {
      const found = findAmbiguous([operation(first), operation(second)]) !== undefined;
      expect(found).toBe(isAmbiguous(first, second));
    }),
    { numRuns: 3000 },
  );
});
