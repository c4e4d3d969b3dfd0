/** What the rules of a policy said, in words for people: denials and step-ups by their reasons, others by what they are. */
import type { StepUpRequirement } from '../authority/stepUp/challenge.ts';
import type { PolicyExplanation } from './explain.ts';

export interface SaidRule {
  /** Of the policy's text, from 1; 0 where it is not known. */
  readonly line: number;
  /** Such as `deny "placing orders needs a signed-in user"`. */
  readonly text: string;
}

export function toSaidRules(module: PolicyExplanation): readonly SaidRule[] {
  const denials = module.denials.map(({ reason, line }) => ({ line, text: `deny ${JSON.stringify(reason)}` }));
  const others = module.rules
    .filter(({ name, fired }) => fired && (name === 'allow' || name === 'max_ttl_seconds'))
    .map(({ name, line }) => ({ line, text: name === 'allow' ? `allow is ${module.allow}` : toLimit(module) }));
  const stepUps = module.stepUps.map((stepUp) => ({ line: stepUp.line, text: `step_up: ${toStepUpWords(stepUp)}` }));
  return [...denials, ...stepUps, ...others];
}

const APPROVERS = { operator: 'an operator', subject: 'the user', any: 'an operator or the user' } as const;

/** What a person has to do, and why. */
export function toStepUpWords({ tier, approver, ttlSeconds, reason }: Omit<StepUpRequirement, 'policy'>): string {
  const time = ttlSeconds === undefined ? '' : ` within ${ttlSeconds} s`;
  return `${APPROVERS[approver]} has to approve${time}, tier ${tier}${reason === undefined ? '' : `: ${reason}`}`;
}

function toLimit({ maxTTLSeconds }: PolicyExplanation): string {
  return `max_ttl_seconds is ${maxTTLSeconds ?? 'no number'}`;
}
