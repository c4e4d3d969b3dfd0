/** A test reporter that ends the run with what tests counted, and with the one plain line CI reads. */
import type { Reporter, TestModule } from 'vitest/node';

function countTests(modules: readonly TestModule[]) {
  let passed = 0;
  let failed = 0;
  for (const testModule of modules) {
    if (testModule.errors().length > 0) failed += 1;
    for (const test of testModule.children.allTests()) {
      const state = test.result().state;
      if (state === 'passed') passed += 1;
      if (state === 'failed') failed += 1;
    }
  }
  return { passed, failed };
}

/** What tests left in their `meta.counts` (test/faults/counts.ts), a line of JSON each. */
function toCounts(modules: readonly TestModule[]): string {
  const tests = modules.flatMap(({ children }) => [...children.allTests()]);
  const counts = tests.flatMap((test) => (test.meta() as { readonly counts?: readonly object[] }).counts ?? []);
  return counts.map((one) => `${JSON.stringify(one)}\n`).join('');
}

/** Counts tests, files that could not be run, and errors outside of any test. */
export function createCountReporter(): Reporter {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      const { passed, failed } = countTests(modules);
      process.stdout.write(`\n${toCounts(modules)}${passed} passed, ${failed + unhandledErrors.length} failed\n`);
    },
  };
}
