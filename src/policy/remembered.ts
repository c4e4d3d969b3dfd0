/** Outcomes given before: the same set, asked the same as far as it can read, says the same. */
import { hash } from 'node:crypto';
import type { PolicyInput, PolicyOutcome } from '../authority/policyInput.ts';
import { TIME_MEMBERS, type TimeMember } from './inputPaths.ts';

export interface RememberedOutcomes {
  /** Undefined where the set reads an instant, so that no two of its inputs are equal. */
  keyOf(program: number, reads: ReadonlySet<TimeMember>, input: PolicyInput): string | undefined;
  get(key: string): PolicyOutcome | undefined;
  /** Keeps what the set said; that it could not say anything is not kept. */
  set(key: string, outcome: PolicyOutcome): void;
}

const MAX_OUTCOMES = 8192;

/** They are never the same twice. */
const INSTANTS: readonly TimeMember[] = ['unix', 'rfc3339'];

export function createRememberedOutcomes(): RememberedOutcomes {
  const outcomes = new Map<string, PolicyOutcome>();
  return {
    keyOf(program, reads, input) {
      if (INSTANTS.some((member) => reads.has(member))) return undefined;
      const time = TIME_MEMBERS.filter((member) => reads.has(member)).map((member) => [member, input.time[member]]);
      return hash('sha256', JSON.stringify([program, time, { ...input, time: null }]), 'base64url');
    },
    get: (key) => outcomes.get(key),
    set(key, outcome) {
      if (outcome.failure !== undefined) return;
      outcomes.set(key, outcome);
      if (outcomes.size > MAX_OUTCOMES) outcomes.delete(outcomes.keys().next().value!);
    },
  };
}
