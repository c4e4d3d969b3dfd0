/** Holds, contexts, challenges and records for tests, each with every member written out. */
import type { DecisionRecord } from '../../../src/authority/decision.ts';
import type { Challenge, StepUpRequirement } from '../../../src/authority/stepUp/challenge.ts';
import { openChallenge, type ChallengeContext } from '../../../src/authority/stepUp/challenges.ts';
import type { Hold } from '../../../src/authority/stepUp/hold.ts';
import { NOW, request, resource, SECONDS, user } from '../zone.ts';

export const OPERATOR: StepUpRequirement = { policy: 'money', tier: 'money', approver: 'operator' };

export function hold(said: Partial<Hold> = {}): Hold {
  return {
    type: 'hold',
    request: request({ subject: user(), subjectIssuer: 'https://id', scopes: ['refund', 'write'], ttlSeconds: 60 }),
    requirements: [OPERATOR],
    expiresAt: SECONDS + 60,
    policyDigest: 'sha256:policy',
    grants: ['shop/g'],
    ...said,
  };
}

export function context(said: Partial<ChallengeContext> = {}): ChallengeContext {
  return {
    zoneUID: 'uid-main',
    resources: [resource()],
    agentSessionID: 'agent-1',
    delegation: { edgeID: 'edge-2', path: ['edge-1', 'edge-2'], applications: ['shop.front', 'shop.planner'] },
    jkt: 'thumbprint',
    ttl: { operatorTTL: 14_400, subjectTTL: 900 },
    ...said,
  };
}

/** Opened at NOW for an operator, for an hour, unless said otherwise. */
export function challenge(said: Partial<Challenge> = {}): Challenge {
  const requirements = [{ ...OPERATOR, ttlSeconds: 3600 }];
  return { ...openChallenge(hold({ requirements }), context(), NOW, 'challenge-1'), ...said };
}

/** The record of the mandate that an approval was spent for: it lives five minutes from `at`. */
export function permitAt(at: number): DecisionRecord {
  return {
    id: 'decision-1',
    zoneUID: 'uid-main',
    zoneID: 'shop.main',
    at,
    requestID: 'r-1',
    kind: 'exchange',
    outcome: 'permit',
    jti: 'jti-1',
    expiresAt: Math.floor(at / 1000) + 300,
    epoch: 1,
  };
}
