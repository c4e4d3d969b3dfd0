/** From what the combining module returned to an outcome: exactly one shape counts, everything else is a failure. */
import * as z from 'zod';
import type { PolicyOutcome } from '../authority/policyInput.ts';
import { byStrength } from '../authority/stepUp/requirements.ts';
import { shortenText } from './reasonText.ts';
import { stepUpTerm, toStepUp } from './stepUp.ts';

/** The result of `policies/decision.rego`, nothing more and nothing less. */
const decision = z.strictObject({
  permit: z.boolean(),
  wrong_types: z.array(z.string()),
  denials: z.array(z.strictObject({ policy: z.string(), reason: z.string() })),
  allowed_by: z.array(z.string()),
  step_ups: z.array(z.strictObject({ policy: z.string(), requirement: stepUpTerm })),
  max_ttl_seconds: z.number().nullable(),
});

const results = z.tuple([z.strictObject({ result: decision })]);

/** Reasons reach callers and records: so many. */
const MAX_DENIALS = 64;
/** More than so many is a failure: leaving one out could leave out the strictest. */
const MAX_STEP_UPS = 16;

export type PolicyFailure = NonNullable<PolicyOutcome['failure']>;

export function toFailure(failure: PolicyFailure, asked: readonly string[] = []): PolicyOutcome {
  return { permit: false, failure, denials: [], allowedBy: [], stepUps: [], asked };
}

/** `json` is the result set that the module printed. */
export function toOutcome(json: string, asked: readonly string[]): PolicyOutcome {
  const parsed = results.safeParse(parseJSON(json));
  if (!parsed.success) return toFailure('error', asked);
  const { permit, wrong_types, denials, allowed_by, step_ups, max_ttl_seconds } = parsed.data[0].result;
  if (wrong_types.length > 0 || step_ups.length > MAX_STEP_UPS) return toFailure('wrong_type', asked);
  return {
    permit: permit && denials.length === 0,
    denials: denials.sort(byPolicyAndReason).slice(0, MAX_DENIALS).map(shorten),
    allowedBy: allowed_by.sort(),
    stepUps: step_ups.map(({ policy, requirement }) => toStepUp(policy, requirement)).sort(byStrength),
    asked,
    ...(max_ttl_seconds !== null && { maxTTLSeconds: max_ttl_seconds }),
  };
}

interface Denial {
  readonly policy: string;
  readonly reason: string;
}

function shorten({ policy, reason }: Denial): Denial {
  return { policy, reason: shortenText(reason) };
}

function byPolicyAndReason(a: Denial, b: Denial): number {
  if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1;
  return a.reason < b.reason ? -1 : a.reason > b.reason ? 1 : 0;
}

function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
