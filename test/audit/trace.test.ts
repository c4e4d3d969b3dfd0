/** From one id to all that led to it and all that came of it, and to nothing else. */
import { describe, expect, it } from 'vitest';
import { trace } from '../../src/audit/trace.ts';
import type { DecisionRecord, RuntimeAct } from '../../src/authority/decision.ts';
import type { GatewayRecord } from '../../src/authority/gatewayRecords.ts';
import { authorityRecordOf, decisionOf } from '../store/records.ts';

const { principal, subject } = authorityRecordOf('sid', 0);
let at = 1_000;

function record(id: string, members: Partial<DecisionRecord>): DecisionRecord {
  const { jti: _jti, expiresAt: _expiresAt, ...rest } = decisionOf(id);
  return { ...rest, at: (at += 1_000), ...members };
}
const act = (id: string, name: RuntimeAct['name'], ...objects: RuntimeAct['objects']) =>
  record(id, { kind: 'act', outcome: 'done', act: { name, by: 'team.agent', objects } });
const session = (id: string, status = 'active', more: object = {}) => ({ kind: 'agentSession', id, status, ...more });
const edge = (id: string, source: string, target: string) => ({
  ...{ kind: 'delegationEdge', id, status: 'active', path: [id], sourceSessionID: source, targetSessionID: target },
});
const exchange = (
  id: string,
  asked: object,
  members: Partial<DecisionRecord> = { outcome: 'permit', jti: `jti-${id}` },
) =>
  record(id, {
    ...members,
    request: {
      ...{ zoneID: 'team.zone', principal, subject, use: 'resource', resource: 'resource://api', scopes: ['read'] },
      ...{ ttlSeconds: undefined, sid: `sid-${id}`, rootSid: `sid-${id}`, notAfter: undefined, ...asked },
    },
  });
const told = (id: string, ...requests: readonly Partial<GatewayRecord>[]) =>
  record(id, {
    kind: 'gateway',
    gateway: {
      by: { namespace: 'team', serviceAccount: 'gateway', pod: 'p', podUID: 'p' },
      ...{ spool: id, sequence: 1 },
      requests: requests.map((one) => ({ at: (at += 1), request_id: 'x', decision: 'allow', ...one })),
    },
  });
const revoked = (id: string, target: { readonly type: 'agentSession'; readonly id: string }) =>
  record(id, {
    kind: 'configuration',
    activation: { digest: id, objects: [], revocations: [{ namespace: 'team', name: id, uid: id, target }] },
  });

const LOG: readonly DecisionRecord[] = [
  exchange('login', { agentSessionID: undefined }),
  act('start-a', 'session.started', session('a')),
  act('start-b', 'session.started', session('b')),
  act('delegate', 'delegation.created', edge('e', 'a', 'b')),
  exchange('held', { agentSessionID: 'b', delegationEdgeID: 'e' }, { outcome: 'hold', challengeID: 'c' }),
  act('decided', 'challenge.decided', { kind: 'challenge', id: 'c', status: 'approved' }),
  exchange(
    'spent',
    { agentSessionID: 'b', delegationEdgeID: 'e' },
    { outcome: 'permit', jti: 'jti-spent', challengeID: 'c' },
  ),
  exchange('other', { agentSessionID: 'a' }),
  told('batch', { request_id: 'r1', jti: 'jti-spent' }, { request_id: 'r2', jti: 'jti-other' }),
  revoked('stop', { type: 'agentSession', id: 'a' }),
  act('gone', 'session.ended', session('a', 'ended'), session('b', 'ended')),
];

const story = (id: string) => trace(LOG, id).map(({ number, id: of, what, ledBy }) => [number, of, what, ledBy]);

describe('a trace', () => {
  it('of a request at a gateway goes back to its mandate, approval, edge and sessions, and to nothing beside', () => {
    expect(story('r1')).toEqual([
      [1, 'start-a', 'session.started', []],
      [2, 'start-b', 'session.started', []],
      [3, 'delegate', 'delegation.created', [1, 2]],
      [4, 'held', 'held', [2, 3]],
      [5, 'decided', 'challenge.decided', [4]],
      [6, 'spent', 'permit', [2, 3, 4, 5]],
      [7, 'batch', 'allowed', [6]],
    ]);
  });

  it('of a challenge tells who decided it, what it permitted and what was done with that', () => {
    expect(story('c').map(([, of]) => of)).toEqual([
      'start-a',
      'start-b',
      'delegate',
      'held',
      'decided',
      'spent',
      'batch',
    ]);
  });

  it('of an agent session has all that hung on it, each request, and what ended it', () => {
    const told = story('a').map(([, of, what]) => `${of} ${what}`);
    expect(told).toContain('other permit');
    expect(told.filter((one) => one === 'batch allowed').length).toBe(2);
    expect(told).toContain('stop revocation');
    expect(told).not.toContain('login permit');
  });

  it('of a mandate is the same by its decision, its request and its jti', () => {
    expect([story('spent'), story('request-spent')]).toEqual([story('jti-spent'), story('jti-spent')]);
  });

  it('of a mandate of single use tells that it was spent, and when it came again', () => {
    const consumed = { jti: 'jti-spent', resource: 'resource://api', gateway: 'team/gateway' };
    const uses = [
      record('used', { kind: 'consume', outcome: 'permit', consumed }),
      record('replayed', { kind: 'consume', outcome: 'denial', consumed }),
    ];
    const told = trace([...LOG, ...uses], 'jti-spent').map(({ id, what }) => `${id} ${what}`);
    expect(told).toEqual(expect.arrayContaining(['used spent', 'replayed spent before', 'batch allowed']));
    expect(trace([...LOG, ...uses], 'used').map(({ id }) => id)).toContain('delegate');
  });

  it('of a Revocation has what the sweep ended for it, and a freeze stands for itself', () => {
    const freeze = { kind: 'zoneFreeze', id: 'zone', reason: 'a leak' };
    const log = [
      ...LOG.filter(({ id }) => id !== 'gone'),
      act('swept', 'revoked', session('a', 'ended'), session('b', 'ended')),
      act('frozen', 'zone.frozen', { ...freeze, status: 'frozen' }),
      act('unfrozen', 'zone.unfrozen', { ...freeze, status: 'lifted' }),
    ];
    const led = trace(log, 'stop').filter(({ ledBy, number }) => ledBy.length > 0 || number === 1);
    expect(led.map(({ id, what }) => `${id} ${what}`)).toEqual([
      'start-a session.started',
      'stop revocation',
      'swept revoked',
    ]);
    expect(trace(log, 'frozen').map(({ what, text }) => [what, text])).toEqual([
      ['zone.frozen', 'by team.agent: a leak'],
    ]);
  });

  it('of what the log does not have is empty, and another zone’s ids are other ids', () => {
    expect(trace(LOG, 'nothing')).toEqual([]);
    const elsewhere = LOG.map((one) => (one.kind === 'gateway' ? { ...one, zoneUID: 'other' } : one));
    expect(trace(elsewhere, 'jti-spent').map(({ what }) => what)).not.toContain('allowed');
  });
});
