/** What several `step_up` amount to together: one list, one approver, one tier, one time. */
import type { PolicyOutcome } from '../policyInput.ts';
import type { Approver, StepUpRequirement } from './challenge.ts';

/** The strictest first: an operator is nobody's own choice, the user in person is one person, any is either of them. */
const STRENGTH: Readonly<Record<Approver, number>> = { operator: 0, subject: 1, any: 2 };

/** A total order: the strictest approver first, then by tier, policy, time and reason. */
export function byStrength(a: StepUpRequirement, b: StepUpRequirement): number {
  if (a.approver !== b.approver) return STRENGTH[a.approver] - STRENGTH[b.approver];
  const [left, right] = [toKey(a), toKey(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function toKey({ tier, policy, ttlSeconds, reason }: StepUpRequirement): string {
  return JSON.stringify([tier, policy, ttlSeconds ?? null, reason ?? null]);
}

/** Those of every scope, each once, sorted: they share one challenge. */
export function mergeRequirements(outcomes: readonly Pick<PolicyOutcome, 'stepUps'>[]): readonly StepUpRequirement[] {
  const merged = new Map(
    outcomes
      .flatMap(({ stepUps }) => stepUps)
      .map((requirement) => [`${requirement.approver} ${toKey(requirement)}`, requirement]),
  );
  return [...merged.values()].sort(byStrength);
}

/**
 * Of several requirements the one that decides who approves: any that says operator wins over subject, and subject over
 * any, since one person decides for all of them. Its tier is the challenge's: the first in alphabetical order where
 * several are as strict. Undefined for none.
 */
export function strictestOf(requirements: readonly StepUpRequirement[]): StepUpRequirement | undefined {
  return [...requirements].sort(byStrength)[0];
}
