/** The smallest records that the store accepts. */
import type { DecisionRecord } from '../../src/authority/decision.ts';
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
