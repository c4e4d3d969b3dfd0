/** A decision that waits for a person: all but their approval is there. */
import type { Lineage } from '../agents/lineage.ts';
import type { Denial, ExchangeRequest } from '../decision.ts';
import type { PolicyOutcome } from '../policyInput.ts';
import type { StepUpRequirement } from './challenge.ts';
import { mergeRequirements, strictestOf } from './requirements.ts';

export interface Hold {
  readonly type: 'hold';
  readonly request: ExchangeRequest;
  /** Of all scopes, each once, the strictest first; never empty. */
  readonly requirements: readonly StepUpRequirement[];
  /** Unix seconds: the end of a mandate that were minted now. The retry is decided anew. */
  readonly expiresAt: number;
  readonly policyDigest: string;
  /** `<namespace>/<name>` of every Grant that covered a scope. */
  readonly grants: readonly string[];
  /** Within an agent session. */
  readonly lineage?: Lineage;
}

/** Every scope may bring some; a person cannot judge more than this at once. */
const MAX_REQUIREMENTS = 64;

/** What of a decision is the same whether it holds or permits. */
type Undecided = Omit<Hold, 'type' | 'requirements'>;

/** Undefined where nothing holds; a denial where no person could ever approve. */
export function findHold(outcomes: readonly PolicyOutcome[], undecided: Undecided): Hold | Denial | undefined {
  const requirements = mergeRequirements(outcomes);
  const strictest = strictestOf(requirements);
  if (!strictest) return undefined;
  const { request } = undecided;
  if (requirements.length > MAX_REQUIREMENTS) {
    const message = `the policies ask for more than ${MAX_REQUIREMENTS} different approvals; ask for fewer scopes at once`;
    return { type: 'denial', reason: 'StepUpRequired', message };
  }
  if (strictest.approver === 'subject' && request.subject.type !== 'user') {
    const message = `policy ${strictest.policy} asks for the user's own approval (tier ${strictest.tier}), and the request is for no user`;
    return { type: 'denial', reason: 'StepUpRequired', message };
  }
  return { type: 'hold', requirements, ...undecided };
}
