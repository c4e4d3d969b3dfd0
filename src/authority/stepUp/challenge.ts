/** A step-up challenge: a hold on an exchange until a person decides, bound to everything that gives the act its meaning. */
import type { ApplicationRef } from '../agents/model.ts';
import type { DecisionRecord } from '../decision.ts';

/** Who may decide: an operator by the verb `approve`, the user in person, or either. */
export type Approver = 'operator' | 'subject' | 'any';

/** One `step_up` that a policy demands of one scope. */
export interface StepUpRequirement {
  readonly policy: string;
  readonly tier: string;
  readonly approver: Approver;
  readonly ttlSeconds?: number;
  readonly reason?: string;
}

/** `rejected`, `expired` and `consumed` are for good. */
export type ChallengeState = 'pending' | 'approved' | 'rejected' | 'expired' | 'consumed';

export interface Challenge {
  readonly kind: 'challenge';
  /** UUIDv4: who knows it may ask for its state. */
  readonly id: string;
  /** Hex SHA-256 (stepUp/binding.ts). */
  readonly binding: string;
  readonly state: ChallengeState;
  readonly application: ApplicationRef;
  /** The authority record and, where there is one, the agent session that the hold counts against. */
  readonly sid: string;
  readonly rootSid: string;
  readonly agentSessionID?: string;
  /** Every application of the requester's chain: none of them may approve. */
  readonly chain: readonly string[];
  /** `issuer` is the name in the Zone, `subjectIssuer` its URL at the login: the name may come to mean another. */
  readonly subject: {
    readonly type: 'application' | 'user';
    readonly issuer: string;
    readonly sub: string;
    readonly subjectIssuer?: string;
  };
  readonly resource: string | undefined;
  readonly scopes: readonly string[];
  /** The strictest first. */
  readonly requirements: readonly StepUpRequirement[];
  /** Of the strictest requirement: the first in alphabetical order where several are as strict. */
  readonly tier: string;
  /** Of the strictest requirement: operator before subject before any. */
  readonly approver: Approver;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix seconds, exclusive: of the wait, of an approval, and of what a rejection refuses. */
  readonly expiresAt: number;
  readonly decision?: {
    readonly approved: boolean;
    /** Who: `operator:<user name>` or `subject:<issuer name>:<sub>`. */
    readonly by: string;
    readonly reason?: string;
    /** Unix milliseconds. */
    readonly at: number;
  };
  /** The one effect of an approval: what the mandate was minted from, so that a lost reply is rebuilt, never repeated. */
  readonly spent?: { readonly at: number; readonly record: DecisionRecord };
}
