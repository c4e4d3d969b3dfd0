/** What a compile of 10,000 objects and of one change among them costs: printed, never asserted in absolute time. */
import { expect, it } from 'vitest';
import { createCompiler, compile } from '../../src/compiler/compile.ts';
import type { World } from '../../src/compiler/world.ts';
import { NOW, application, grant, resource, results, shop } from './world.ts';

const APPLICATIONS = 2500;
const RESOURCES = 2500;
const GRANTS = 5000;

function large(): World {
  const range = (count: number) => Array.from({ length: count }, (_, index) => index);
  return shop({
    applications: range(APPLICATIONS).map((index) => application({}, { name: `a${index}` })),
    resources: range(RESOURCES).map((index) => resource({}, { name: `r${index}` })),
    grants: range(GRANTS).map((index) =>
      grant(
        { applicationRef: { name: `a${index % APPLICATIONS}` }, resourceRef: { name: `r${(index * 7) % RESOURCES}` } },
        { name: `g${index}` },
      ),
    ),
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function time(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

it('one change among 10,000 objects costs a fraction of a whole compile', () => {
  const outcome = results();
  const full = median(
    [1, 2, 3].map(() => {
      const objects = large();
      return time(() => compile(objects, NOW, outcome));
    }),
  );
  const objects = large();
  const compiler = createCompiler();
  const first = compiler.compile(objects, NOW, outcome);
  expect(first.verdicts.size).toBe(APPLICATIONS + RESOURCES + GRANTS + 4);
  let grants = [...objects.grants];
  const changes = Array.from({ length: 25 }, (_, index) => {
    grants = grants.with(index, grant({ ...grants[index]!.spec, scopes: ['write'] }, { name: `g${index}` }));
    return time(() => compiler.compile({ ...objects, grants }, NOW, outcome));
  });
  const rest = Array.from({ length: 25 }, () => time(() => compiler.compile({ ...objects, grants }, NOW, outcome)));
  const [change, nothing] = [median(changes), median(rest)];
  console.log(
    `compile of 10,000 objects: ${full.toFixed(1)} ms; one Grant changed: ${change.toFixed(1)} ms; nothing changed: ${nothing.toFixed(1)} ms`,
  );
  expect(change).toBeLessThan(full);
});
