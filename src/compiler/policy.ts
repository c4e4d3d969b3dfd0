/** Policy: what OPA said of its text. */
import type { Policy } from '../api/policy.ts';
import { policyDigest } from '../policy/digest.ts';
import type { PolicyReport, PolicyResults, PolicyTest } from '../policy/results.ts';
import { path, refuse, type Refusal } from './outcome.ts';
import { perObject } from './perObject.ts';

const digestOf = perObject(({ spec }: Policy) =>
  policyDigest({ rego: spec.rego, tests: (spec.tests ?? []) as readonly PolicyTest[] }),
);

/** Undefined: not gathered yet. */
export function reportOf(policy: Policy, results: PolicyResults): PolicyReport | undefined {
  return results.policy(digestOf(policy));
}

export function checkPolicyReport(policy: Policy, report: PolicyReport): Refusal | undefined {
  if (report.ok) return undefined;
  return refuse(report.reason, `Policy ${path(policy)}: ${report.message}`);
}

/** The Tests column: "5/5". */
export function policyFields(report: PolicyReport | undefined): Readonly<Record<string, unknown>> {
  return report ? { tests: `${report.testsPassed}/${report.testsTotal}` } : {};
}
