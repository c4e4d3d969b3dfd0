/** Records as events of OCSF: what each kind becomes. */
import { describe, expect, it } from 'vitest';
import { toOCSF } from '../../src/audit/ocsf.ts';
import type { DecisionRecord, RuntimeAct } from '../../src/authority/decision.ts';
import { decisionOf } from '../store/records.ts';

const toEvents = (members: Partial<DecisionRecord>) => {
  const { jti: _jti, expiresAt: _expiresAt, ...rest } = decisionOf('one');
  return toOCSF({ zoneUID: 'zone-uid', writer: 'w', position: 1, hash: '00', record: { ...rest, ...members } });
};

describe('an event', () => {
  it('of a mandate that is spent is allowed, and of one that comes again denied', () => {
    const consumed = { jti: 'a-jti', resource: 'resource://api', gateway: 'team/gateway' };
    const [spent] = toEvents({ kind: 'consume', outcome: 'permit', consumed });
    const [again] = toEvents({ kind: 'consume', outcome: 'denial', consumed });
    expect(spent).toMatchObject({ class_uid: 6003, status: 'Success', actor: { session: { uid: 'a-jti' } } });
    expect(again).toMatchObject({ status: 'Failure', status_detail: 'used', src_endpoint: { name: 'team/gateway' } });
  });

  it('of an exchange that waits for a person is neither', () => {
    expect(toEvents({ outcome: 'hold', challengeID: 'c' })).toMatchObject([{ class_uid: 3003, status: 'Held' }]);
  });

  it('of an act creates, updates or deletes each of its objects', () => {
    const activityOf = (name: RuntimeAct['name']) => {
      const objects = [{ kind: 'agentSession', id: 'a', status: 'x' }];
      const [event] = toEvents({ kind: 'act', outcome: 'done', act: { name, by: 'time', objects } });
      return event!['activity_id'];
    };
    expect((['session.started', 'zone.frozen'] as const).map(activityOf)).toEqual([1, 1]);
    expect((['session.suspended', 'challenge.decided'] as const).map(activityOf)).toEqual([3, 3]);
    expect((['revoked', 'expired', 'zone.unfrozen'] as const).map(activityOf)).toEqual([4, 4, 4]);
  });
});
