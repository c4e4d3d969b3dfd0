/** A held exchange: its approval is spent, or it is told what it waits for; either in one write with its record. */
import type { DecisionRecord, DenialReason, ExchangeRequest, Permit } from '../../authority/decision.ts';
import { toBinding, toBindingFacts } from '../../authority/stepUp/binding.ts';
import type { Challenge } from '../../authority/stepUp/challenge.ts';
import {
  openChallenge,
  readPresented,
  spendChallenge,
  type ChallengeContext,
} from '../../authority/stepUp/challenges.ts';
import type { Hold } from '../../authority/stepUp/hold.ts';
import { findStanding } from '../../authority/stepUp/standing.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';
import type { ServedZone } from '../configuration.ts';
import { OAuthError, toLimited } from '../errors.ts';
import type { BareCommit, Decision } from '../runtime/runtimes.ts';

/** What a hold comes to. */
export type Settled =
  | { readonly type: 'permit'; readonly permit: Permit; readonly record: DecisionRecord }
  | { readonly type: 'refusal'; readonly error: OAuthError };

export interface HeldExchange {
  readonly hold: Hold;
  readonly zone: ServedZone;
  /** As the caller presents it. */
  readonly challengeID: string | undefined;
  /** Unix milliseconds. */
  readonly now: number;
  /** A UUIDv4. */
  newID(): string;
  /** The record of the permit that spends an approval, or of the hold. */
  toRecord(result: Permit | Hold, challengeID: string): DecisionRecord;
  /** What else of an exchange is written with its record. */
  toCommit(result: Permit | Hold, record: DecisionRecord): BareCommit;
}

/** For Runtimes.write. */
export function settleHold(held: HeldExchange, view: RuntimeView): Decision<Settled> {
  const context = toContext(held);
  const binding = toBinding(toBindingFacts(held.hold, context));
  return held.challengeID === undefined
    ? meetStanding(held, context, binding, view)
    : present(held, view.challenge(held.challengeID), binding);
}

function toContext({ hold, zone }: HeldExchange): ChallengeContext {
  const { request, lineage } = hold;
  const { snapshot } = zone;
  const resource = request.resource === undefined ? undefined : snapshot.resources.get(request.resource);
  const leaf = lineage?.edges.at(-1);
  return {
    zoneUID: snapshot.uid,
    resources: resource ? [resource] : [],
    ttl: snapshot.stepUp,
    ...(request.agentSessionID !== undefined && { agentSessionID: request.agentSessionID }),
    ...(request.jkt !== undefined && { jkt: request.jkt }),
    ...(leaf && {
      delegation: { edgeID: leaf.id, path: leaf.path, applications: lineage!.edges.map(({ issuer }) => issuer.id) },
    }),
  };
}

function present(held: HeldExchange, challenge: Challenge | undefined, binding: string): Decision<Settled> {
  const presented = readPresented(challenge, binding, held.now);
  switch (presented.type) {
    case 'approved':
      return spend(held, presented.challenge, binding);
    case 'replay':
      return {
        type: 'answer',
        value: { type: 'permit', permit: toReplayed(held, presented.record), record: presented.record },
      };
    case 'pending':
      return hold(held, presented.challenge, []);
    case 'rejected':
      return refuse(toRejected(presented.challenge));
    case 'consumed':
      return refuse(new OAuthError('approval_consumed', 'the approval was spent; ask for a new one'));
    case 'unknown':
      return refuse(
        new OAuthError('access_denied', 'challenge_id is no approval of this request: ask again without it', {
          status: 401,
        }),
      );
  }
}

function spend(held: HeldExchange, challenge: Challenge, binding: string): Decision<Settled> {
  const { requirements: _, ...decided } = held.hold;
  const permit: Permit = { ...decided, type: 'permit' };
  const record = held.toRecord(permit, challenge.id);
  const spent = spendChallenge(challenge, binding, record, held.now);
  // What was read as approved a moment ago, in the same turn, is approved.
  if (typeof spent === 'string') throw new Error(`an approved challenge could not be spent: ${spent}`);
  const commit = { ...held.toCommit(permit, record), runtime: { puts: [spent] } };
  return { type: 'commit', commit, value: { type: 'permit', permit, record } };
}

/** The mandate as it was decided then, within what its chain is now. */
function toReplayed({ hold: { lineage } }: HeldExchange, record: DecisionRecord): Permit {
  return {
    type: 'permit',
    request: record.request as ExchangeRequest,
    expiresAt: record.expiresAt!,
    grants: record.grants ?? [],
    policyDigest: record.policyDigest!,
    ...(lineage && { lineage }),
  };
}

function meetStanding(
  held: HeldExchange,
  context: ChallengeContext,
  binding: string,
  view: RuntimeView,
): Decision<Settled> {
  const { sid, agentSessionID } = held.hold.request;
  const session = { sid, ...(agentSessionID !== undefined && { agentSessionID }) };
  const standing = findStanding([...view.challenges()], binding, session, held.now);
  switch (standing.type) {
    case 'pending':
    case 'approved':
      return hold(held, standing.challenge, []);
    case 'rejected':
      return refuse(toRejected(standing.challenge));
    case 'limited': {
      const why = standing.reason === 'backing_off' ? 'after a rejection' : 'while others wait for a decision';
      return refuse(toLimited(standing.retryAfterSeconds, `no new approval is asked for ${why}`));
    }
    case 'none': {
      const opened = openChallenge(held.hold, context, held.now, held.newID());
      return hold(held, opened, [opened]);
    }
  }
}

/** Each attempt leaves a record, also where the challenge is there already. */
function hold(held: HeldExchange, challenge: Challenge, puts: readonly Challenge[]): Decision<Settled> {
  const record = held.toRecord(held.hold, challenge.id);
  const commit = { ...held.toCommit(held.hold, record), ...(puts.length > 0 && { runtime: { puts } }) };
  return { type: 'commit', commit, value: { type: 'refusal', error: toInteraction(challenge, record.id) } };
}

function refuse(error: OAuthError): Decision<Settled> {
  return { type: 'answer', value: { type: 'refusal', error } };
}

function toRejected({ id, decision }: Challenge): OAuthError {
  const why = decision?.reason === undefined ? '' : `: ${decision.reason}`;
  const reason = 'StepUpRejected' satisfies DenialReason;
  return new OAuthError('access_denied', `${reason}: the approval was rejected${why}`, {
    body: { reason, challenge_id: id },
  });
}

/** wire.md, `interaction_required`; RFC 9470 §3 has the same challenge for another purpose. */
function toInteraction(challenge: Challenge, decisionID: string): OAuthError {
  const { id, state, tier, binding, requirements } = challenge;
  const expiresAt = new Date(challenge.expiresAt * 1000).toISOString();
  const reasons = requirements.flatMap(({ reason }) => reason ?? []);
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  return new OAuthError('interaction_required', `a person has to approve (tier ${tier})${why}`, {
    headers: { 'WWW-Authenticate': 'Bearer error="interaction_required"' },
    body: {
      challenge_id: id,
      approval_id: id,
      challenge_type: 'human_approval',
      approval_type: 'human_approval',
      state,
      tier,
      approver: challenge.approver,
      binding,
      challenge_expires_at: expiresAt,
      approval_expires_at: expiresAt,
      decision_id: decisionID,
    },
  });
}
