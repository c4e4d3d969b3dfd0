/** The smallest records that the store accepts. */
import type { AgentSession, DelegationEdge } from '../../src/authority/agents/model.ts';
import type { DecisionRecord } from '../../src/authority/decision.ts';
import type { IdempotentAnswer } from '../../src/authority/runtime.ts';
import type { Challenge } from '../../src/authority/stepUp/challenge.ts';
import type { AuthorityRecord, SingleUse } from '../../src/store/store.ts';

export function decisionOf(id: string, members: Partial<DecisionRecord> = {}): DecisionRecord {
  return {
    id,
    zoneUID: 'zone-uid',
    zoneID: 'team.zone',
    at: 1_700_000_000_000,
    requestID: `request-${id}`,
    kind: 'exchange',
    outcome: 'permit',
    jti: `jti-${id}`,
    expiresAt: 1_700_000_900,
    epoch: 7,
    ...members,
  };
}

export function singleUseOf(key: string, members: Partial<SingleUse> = {}): SingleUse {
  return { class: 'login_token', zoneUID: 'zone-uid', key, expiresAt: 4_000_000_000, ...members };
}

export function authorityRecordOf(sid: string, expiresAt: number): AuthorityRecord {
  return {
    sid,
    rootSid: sid,
    zoneUID: 'zone-uid',
    principal: {
      applicationID: 'team.agent',
      applicationUID: 'application-uid',
      credential: 'clientSecret',
      instance: 'digest',
      workload: null,
    },
    subject: {
      type: 'application',
      issuer: '',
      sub: 'team.agent',
      groups: [],
      claims: {},
      auth_time: null,
      acr: null,
      amr: [],
    },
    createdAt: 1_700_000_000_000,
    expiresAt,
  };
}

export function sessionOf(id: string, members: Partial<AgentSession> = {}): AgentSession {
  const { principal, subject } = authorityRecordOf('sid', 4_000_000_000);
  return {
    kind: 'agentSession',
    id,
    application: { id: principal.applicationID, uid: principal.applicationUID },
    ...{ sid: 'sid', rootSid: 'sid', subject, depth: 0, lifecycle: 'task', labels: [], metadata: {} },
    status: 'active',
    startedAt: 1_700_000_000_000,
    expiresAt: 4_000_000_000,
    ...members,
  };
}

export function edgeOf(id: string, members: Partial<DelegationEdge> = {}): DelegationEdge {
  const application = { id: 'team.agent', uid: 'application-uid' };
  return {
    kind: 'delegationEdge',
    id,
    ...{ issuer: application, sourceSessionID: 'source', receiver: application, targetSessionID: 'target' },
    ...{ scopes: ['read'], resources: [], hopsLeft: 0, path: [id], status: 'active' },
    createdAt: 1_700_000_000_000,
    expiresAt: 4_000_000_000,
    ...members,
  };
}

export function answerOf(id: string, expiresAt: number): IdempotentAnswer {
  return { kind: 'idempotentAnswer', id, bodyDigest: '00', answer: { id }, expiresAt };
}

export function challengeOf(id: string, members: Partial<Challenge> = {}): Challenge {
  return {
    kind: 'challenge',
    id,
    binding: '00',
    state: 'pending',
    application: { id: 'team.agent', uid: 'application-uid' },
    ...{ sid: 'sid', rootSid: 'sid', chain: ['team.agent'], resource: 'https://pay.test', scopes: ['pay'] },
    subject: { type: 'application', issuer: '', sub: 'team.agent' },
    ...{ requirements: [], tier: 'high', approver: 'any', createdAt: 1_700_000_000_000, expiresAt: 4_000_000_000 },
    ...members,
  };
}
