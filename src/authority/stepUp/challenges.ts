/** The life of a challenge: pending → approved → consumed, or rejected, or expired; each step from one value to the next. */
import type { DecisionRecord } from '../decision.ts';
import type { StepUpSettings } from './approvers.ts';
import { toBinding, toBindingFacts, type HoldContext } from './binding.ts';
import type { Challenge } from './challenge.ts';
import type { Hold } from './hold.ts';
import { strictestOf } from './requirements.ts';

/** How long a lost reply may be asked for again. */
export const REPLAY_SECONDS = 120;

export interface ChallengeContext extends HoldContext {
  readonly ttl: Pick<StepUpSettings, 'operatorTTL' | 'subjectTTL'>;
}

/** A new one, pending. `now` in Unix milliseconds, `id` a UUIDv4. Throws TypeError for a hold without requirements. */
export function openChallenge(hold: Hold, context: ChallengeContext, now: number, id: string): Challenge {
  const { request, requirements } = hold;
  const strictest = strictestOf(requirements);
  if (!strictest) throw new TypeError('a hold has requirements');
  const { principal, subject, subjectIssuer, sid, rootSid, resource, scopes } = request;
  const { agentSessionID, delegation } = context;
  return {
    kind: 'challenge',
    id,
    binding: toBinding(toBindingFacts(hold, context)),
    state: 'pending',
    application: { id: principal.applicationID, uid: principal.applicationUID },
    sid,
    rootSid,
    ...(agentSessionID !== undefined && { agentSessionID }),
    chain: [...new Set([...(delegation?.applications ?? []), principal.applicationID])],
    subject: {
      type: subject.type,
      issuer: subject.issuer,
      sub: subject.sub,
      ...(subjectIssuer !== undefined && { subjectIssuer }),
    },
    resource,
    scopes,
    requirements,
    tier: strictest.tier,
    approver: strictest.approver,
    createdAt: now,
    expiresAt: Math.floor(now / 1000) + toTTL(hold, context.ttl),
  };
}

/** Seconds: the shortest of what policies give, under the Zone's ceiling for whoever decides. */
function toTTL({ requirements }: Hold, { operatorTTL, subjectTTL }: ChallengeContext['ttl']): number {
  const ceiling = strictestOf(requirements)?.approver === 'subject' ? subjectTTL : operatorTTL;
  return Math.min(ceiling, ...requirements.map(({ ttlSeconds }) => ttlSeconds ?? ceiling));
}

/** What a person says, of what they were shown. */
export interface ChallengeDecision {
  readonly approved: boolean;
  /** Of the challenge as it was shown. */
  readonly binding: string;
  readonly reason?: string;
}

export type DecideRefusal = 'not_pending' | 'expired' | 'binding_mismatch';

/** `by` is toDecidedBy of somebody who may (approvers.ts). `now` in Unix milliseconds. */
export function decideChallenge(
  challenge: Challenge,
  { approved, binding, reason }: ChallengeDecision,
  by: string,
  now: number,
): Challenge | DecideRefusal {
  const { state } = expireChallenge(challenge, now);
  if (state === 'expired') return 'expired';
  if (state !== 'pending') return 'not_pending';
  if (binding !== challenge.binding) return 'binding_mismatch';
  const isApproved = approved === true;
  const decision = { approved: isApproved, by, ...(reason !== undefined && { reason }), at: now };
  return { ...challenge, state: isApproved ? 'approved' : 'rejected', decision };
}

/** A rejection stands for the Zone's whole time of whoever decided, however late in the life of the challenge it came. */
export function keepRejected(
  challenge: Challenge,
  { operatorTTL, subjectTTL }: Pick<StepUpSettings, 'operatorTTL' | 'subjectTTL'>,
): Challenge {
  const { decision } = challenge;
  if (challenge.state !== 'rejected' || !decision) return challenge;
  const ttl = challenge.approver === 'subject' ? subjectTTL : operatorTTL;
  return { ...challenge, expiresAt: Math.max(challenge.expiresAt, Math.floor(decision.at / 1000) + ttl) };
}

/** The same challenge where its time has not come; an approval that was not used ends as well. */
export function expireChallenge(challenge: Challenge, now: number): Challenge {
  const isOpen = challenge.state === 'pending' || challenge.state === 'approved';
  return isOpen && isPast(challenge, now) ? { ...challenge, state: 'expired' } : challenge;
}

export type SpendRefusal = 'not_approved' | 'expired' | 'consumed' | 'binding_mismatch';

/**
 * The one effect of an approval, for exactly the act that was approved. `record` permits, and is written in the same
 * transaction as what this returns. Throws TypeError for a record of something else.
 */
export function spendChallenge(
  challenge: Challenge,
  binding: string,
  record: DecisionRecord,
  now: number,
): Challenge | SpendRefusal {
  if (record.outcome !== 'permit' || record.jti === undefined)
    throw new TypeError('an approval is spent by a permit and nothing else');
  const { state } = expireChallenge(challenge, now);
  if (state === 'consumed' || state === 'expired') return state;
  if (state !== 'approved') return 'not_approved';
  if (binding !== challenge.binding) return 'binding_mismatch';
  return { ...challenge, state: 'consumed', spent: { at: now, record } };
}

/** From what the same mandate is built once more when its reply was lost; never of a mandate that is over. */
export function replayOf(challenge: Challenge, now: number): DecisionRecord | 'consumed' | 'not_spent' {
  const { state, spent } = challenge;
  if (state !== 'consumed' || !spent) return 'not_spent';
  const seconds = Math.floor(now / 1000);
  const isOver = now >= spent.at + REPLAY_SECONDS * 1000 || (spent.record.expiresAt ?? 0) <= seconds;
  return isOver ? 'consumed' : spent.record;
}

/** Of a challenge that a request presents by its id. */
export type Presented =
  /** Decide again as approved, then spend it. */
  | { readonly type: 'approved'; readonly challenge: Challenge }
  | { readonly type: 'pending' | 'rejected'; readonly challenge: Challenge }
  | { readonly type: 'replay'; readonly record: DecisionRecord }
  | { readonly type: 'consumed' }
  /** None, over, or of another act: one answer for all, so that nobody learns by trying. */
  | { readonly type: 'unknown' };

/** `binding` is that of the request as it is now. */
export function readPresented(challenge: Challenge | undefined, binding: string, now: number): Presented {
  if (!challenge || challenge.binding !== binding) return { type: 'unknown' };
  const current = expireChallenge(challenge, now);
  switch (current.state) {
    case 'pending':
    case 'approved':
      return { type: current.state, challenge: current };
    case 'rejected':
      return isPast(current, now) ? { type: 'unknown' } : { type: 'rejected', challenge: current };
    case 'expired':
      return { type: 'unknown' };
    case 'consumed': {
      const replay = replayOf(current, now);
      return typeof replay === 'string' ? { type: 'consumed' } : { type: 'replay', record: replay };
    }
  }
}

/** Its time is over at the very second. */
export function isPast({ expiresAt }: Challenge, now: number): boolean {
  return now >= expiresAt * 1000;
}
