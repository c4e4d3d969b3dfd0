/** Runs a Policy's own tests: each input laid over the default, each outcome held against what is expected. */
import type { PolicyInput, PolicyOutcome } from '../authority/policyInput.ts';
import { pathsOf, toTestInput } from './defaultInput.ts';
import { createInputPaths, type CheckInputPath } from './inputPaths.ts';
import type { ExpectedStepUp, PolicyTest } from './results.ts';

export interface TestRun {
  readonly passed: number;
  /** One sentence per test that failed: its name, what was expected, what was said. */
  readonly failures: readonly string[];
}

/** So many tests are evaluated within one deadline. */
const BATCH = 16;

/** `evaluate` asks the policy alone, without appliesTo. */
export async function runTests(
  tests: readonly PolicyTest[],
  evaluate: (inputs: readonly PolicyInput[]) => Promise<readonly PolicyOutcome[]>,
): Promise<TestRun> {
  const checkPath = createInputPaths();
  const failures: string[] = [];
  for (let at = 0; at < tests.length; at += BATCH) {
    const batch = tests.slice(at, at + BATCH);
    const outcomes = await evaluate(batch.map(({ input }) => toTestInput(input)));
    for (const [index, test] of batch.entries()) {
      const problem = checkInput(test.input, checkPath) ?? compareOutcome(test.expect, outcomes[index]!);
      if (problem !== undefined) failures.push(`test "${test.name}": ${problem}`);
    }
  }
  return { passed: tests.length - failures.length, failures };
}

function checkInput(input: unknown, checkPath: CheckInputPath): string | undefined {
  for (const path of pathsOf(input ?? {})) {
    const problem = checkPath(path);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const FAILURES: Readonly<Record<NonNullable<PolicyOutcome['failure']>, string>> = {
  timeout: 'the policy takes too long; simplify it',
  error: 'the evaluation ends with an error, such as two values for one rule or too much memory',
  wrong_type:
    'allow has to be a boolean, deny a set of strings, max_ttl_seconds a number, step_up a set of at most 16 objects of tier, approver (operator, subject or any), and where wanted ttl_seconds (1 to 86400) and reason',
  too_large: 'the input is larger than 64 KiB; shorten it',
  unavailable: 'the policy is not loaded',
};

function compareOutcome(expect: PolicyTest['expect'], outcome: PolicyOutcome): string | undefined {
  if (outcome.failure !== undefined) return FAILURES[outcome.failure];
  const allow = outcome.allowedBy.length > 0;
  if (expect.allow !== undefined && expect.allow !== allow) return `allow is ${allow}, expected ${expect.allow}`;
  const said = outcome.denials.map(({ reason }) => reason);
  if (expect.deny && !isSameSet(expect.deny, said)) {
    return `deny is ${JSON.stringify(said)}, expected ${JSON.stringify(expect.deny)}`;
  }
  const stepUps = outcome.stepUps.map(toStepUpText);
  const wanted = expect.step_up?.map(({ ttl_seconds: ttlSeconds, ...rest }) => toStepUpText({ ...rest, ttlSeconds }));
  if (wanted && !isSameSet(wanted, stepUps)) return `step_up is [${stepUps}], expected [${wanted}]`;
  const { maxTTLSeconds } = outcome;
  if (expect.max_ttl_seconds !== undefined && expect.max_ttl_seconds !== maxTTLSeconds) {
    return `max_ttl_seconds is ${maxTTLSeconds ?? 'undefined'}, expected ${expect.max_ttl_seconds}`;
  }
  return undefined;
}

type StepUpText = Omit<ExpectedStepUp, 'ttl_seconds'> & { readonly ttlSeconds?: number | undefined };

/** One form for what is said and what is expected: absent members are left out. */
function toStepUpText({ tier, approver, ttlSeconds, reason }: StepUpText): string {
  return JSON.stringify({ tier, approver, ttl_seconds: ttlSeconds, reason });
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).size === new Set(b).size && new Set(a).isSubsetOf(new Set(b));
}
