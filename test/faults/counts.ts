/** How often a fault happens in this run, and what came of it: printed as a line of JSON each at the end of the run. */
import type { TestContext } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    counts?: Counts[];
  }
}

export interface Counts {
  readonly fault: string;
  readonly runs: number;
  readonly [what: string]: string | number;
}

const isFull = process.env['CARACAL_FAULTS'] === 'full';

/** `npm run test:faults` is the full form; `npm test` the short one. */
export const howOften = (full: number, short: number): number => (isFull ? full : short);

/** Left with the test, for the reporter. */
export function count({ task }: Pick<TestContext, 'task'>, counts: Counts): void {
  (task.meta.counts ??= []).push(counts);
}
