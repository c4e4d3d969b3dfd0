/** One member of a policy's `step_up`: exactly one shape is a requirement. */
import * as z from 'zod';
import type { StepUpRequirement } from '../authority/stepUp/challenge.ts';
import { shortenText } from './reasonText.ts';

/** As Rego writes it. `policies/decision.rego` holds it to the same. */
export const stepUpTerm = z.strictObject({
  tier: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .max(64),
  approver: z.enum(['operator', 'subject', 'any']),
  ttl_seconds: z.int().min(1).max(86_400).optional(),
  reason: z.string().optional(),
});

export function toStepUp(
  policy: string,
  { tier, approver, ttl_seconds, reason }: z.output<typeof stepUpTerm>,
): StepUpRequirement {
  return {
    policy,
    tier,
    approver,
    ...(ttl_seconds !== undefined && { ttlSeconds: ttl_seconds }),
    ...(reason !== undefined && { reason: shortenText(reason) }),
  };
}

/** Undefined for anything else. */
export function readStepUp(policy: string, value: unknown): StepUpRequirement | undefined {
  const parsed = stepUpTerm.safeParse(value);
  return parsed.success ? toStepUp(policy, parsed.data) : undefined;
}
