/** The small parts of a gateway: epochs, events, operations, budgets, metrics. */
import { describe, expect, it } from 'vitest';
import type { MandateClaims } from '../../src/authority/claims.ts';
import { createEpochs } from '../../src/gateway/epochs.ts';
import { createFailureBudget } from '../../src/gateway/failureBudget.ts';
import { createEventParser } from '../../src/gateway/feed/events.ts';
import { parseEpoch } from '../../src/gateway/feed/messages.ts';
import { createGatewayMetrics, METRICS } from '../../src/gateway/metrics.ts';
import { createOperationIndex } from '../../src/authority/operations.ts';

const CLAIMS = { client_id: 'team.agent', aud: ['resource://orders'] } as unknown as MandateClaims;
const none = { all: false, applications: [], resources: [] };

describe('epochs', () => {
  it('are good, to be asked about, or ahead', () => {
    const epochs = createEpochs();
    epochs.restart(10);
    epochs.add({ epoch: 11, change: { ...none, applications: ['team.other'] } });
    epochs.add({ epoch: 12, change: { ...none, resources: ['resource://orders'] } });
    const judged = [9, 10, 11, 12, 13].map((epoch) => epochs.judge(CLAIMS, epoch));
    expect(judged).toEqual(['ask', 'ask', 'ask', 'good', 'ahead']);
    epochs.add({ epoch: 13, change: none });
    expect(epochs.judge(CLAIMS, 12)).toBe('good');
  });

  it('R-05 that come twice or late change nothing', () => {
    const epochs = createEpochs();
    epochs.restart(10);
    epochs.add({ epoch: 11, change: none });
    epochs.add({ epoch: 11, change: { ...none, all: true } });
    epochs.add({ epoch: 5, change: { ...none, all: true } });
    epochs.restart(8);
    expect([epochs.current(), epochs.judge(CLAIMS, 10)]).toEqual([11, 'good']);
  });

  it('R-04 are kept for a bounded number: before that everything is asked about', () => {
    const epochs = createEpochs();
    epochs.restart(10);
    for (let epoch = 11; epoch < 3000; epoch += 1) epochs.add({ epoch, change: none });
    expect(epochs.judge(CLAIMS, 11)).toBe('ask');
    expect(epochs.judge(CLAIMS, 2990)).toBe('good');
  });
});

describe('a change', () => {
  const DELEGATED = {
    ...{ client_id: 'team.tool', aud: ['resource://orders'], agent_session_id: 'session-3' },
    ...{ delegation_edge_id: 'edge-2', source_session_id: 'session-2', target_session_id: 'session-3' },
    ...{ delegation_path: ['edge-1', 'edge-2'], hop_count: 2 },
    delegation_chain: [
      { application_id: 'team.root', agent_session_id: 'session-1', delegation_edge_id: 'edge-1' },
      { application_id: 'team.worker', agent_session_id: 'session-2', delegation_edge_id: 'edge-2' },
      { application_id: 'team.tool', agent_session_id: 'session-3' },
    ],
  } as unknown as MandateClaims;
  const CHANGES: readonly (readonly [what: string, change: object, claims: MandateClaims, judged: string])[] = [
    ['of its session', { sessions: ['session-3'] }, DELEGATED, 'ask'],
    ['of the session in the middle', { sessions: ['other', 'session-2'] }, DELEGATED, 'ask'],
    ['of the session at the root', { sessions: ['session-1'] }, DELEGATED, 'ask'],
    ['of another session', { sessions: ['session-4', 'edge-1'] }, DELEGATED, 'good'],
    ['of its edge', { edges: ['edge-2'] }, DELEGATED, 'ask'],
    ['of the first edge', { edges: ['edge-1'] }, DELEGATED, 'ask'],
    ['of another edge', { edges: ['edge-3', 'session-1'] }, DELEGATED, 'good'],
    ['of its Application', { applications: ['team.tool'] }, DELEGATED, 'ask'],
    ['of the Application at the root', { applications: ['team.root'] }, DELEGATED, 'ask'],
    ['of an Application in the middle', { applications: ['team.worker'] }, DELEGATED, 'ask'],
    ['of another Application', { applications: ['team.agent'] }, DELEGATED, 'good'],
    ['of sessions and edges, to a mandate without any', { sessions: ['a'], edges: ['b'] }, CLAIMS, 'good'],
    [
      'of the session that a mandate without delegation acts within',
      { sessions: ['session-1'] },
      { ...CLAIMS, agent_session_id: 'session-1' },
      'ask',
    ],
  ];
  it.each(CHANGES)('R-01 %s', (_what, change, claims, judged) => {
    const epochs = createEpochs();
    epochs.restart(10);
    epochs.add({ epoch: 11, change: { ...none, ...change } });
    expect(epochs.judge(claims, 10)).toBe(judged);
  });

  it('names sessions and edges in lists of texts, or not at all', () => {
    const text = (change: object) => JSON.stringify({ epoch: 11, change: { ...none, ...change } });
    expect(parseEpoch(text({})).change).toEqual(none);
    const named = { sessions: ['session-1'], edges: ['edge-1'] };
    expect(parseEpoch(text(named)).change).toEqual({ ...none, ...named });
    for (const wrong of ['session-1', [1], null, {}]) {
      expect(() => parseEpoch(text({ sessions: wrong }))).toThrow('sessions');
      expect(() => parseEpoch(text({ edges: wrong }))).toThrow('edges');
    }
  });
});

describe('events', () => {
  const TEXT = 'event: hello\ndata: {"a":1}\n\nid: x\nevent: config\ndata: {"b":"é"}\n\n';
  it('are the same however the text is cut', () => {
    const expected = createEventParser()(TEXT);
    expect(expected.map(({ event }) => event)).toEqual(['hello', 'config']);
    for (let at = 0; at <= TEXT.length; at += 1) {
      const parse = createEventParser();
      expect([...parse(TEXT.slice(0, at)), ...parse(TEXT.slice(at))]).toEqual(expected);
    }
  });
});

describe('operations', () => {
  const operations = [
    { methods: ['GET'], path: '/', scopes: ['root'] },
    { methods: ['GET'], path: '/a/{id}', scopes: ['parameter'] },
    { methods: ['GET'], path: '/a/b', scopes: ['literal'] },
    { methods: ['GET'], path: '/a/{id}/c', scopes: ['deep'] },
    { methods: ['GET'], path: '/a/**', scopes: ['rest'] },
    { methods: ['GET'], path: '/x/%40/{id}', scopes: ['encoded'] },
    { methods: ['POST'], path: '/**', scopes: ['all'] },
  ];
  const index = createOperationIndex(operations);

  it.each([
    ['/', ['root']],
    ['/a/1', ['parameter']],
    ['/a/b', ['literal']],
    ['/a/b/c', ['deep']],
    ['/a/b/d', ['rest']],
    ['/a', ['rest']],
    ['/a/', ['rest']],
    ['/x/@/1', ['encoded']],
    ['/b', undefined],
    ['/a/{id}/constructor', ['rest']],
    ['/__proto__', undefined],
  ])('GET %s needs %j', (path, scopes) => {
    expect(index.find('GET', path.slice(1).split('/'))).toEqual(scopes);
  });

  it('of another method are others', () => {
    expect(index.find('POST', ['', 'any'])).toEqual(['all']);
    expect(index.find('HEAD', ['a', 'b'])).toBeUndefined();
  });
});

describe('the budget of wrong signatures', () => {
  it('is one per IPv4 address and per /64 of IPv6, and fills up with time', () => {
    let now = 0;
    const budget = createFailureBudget({ monotonic: () => now });
    const spend = (address: string) => {
      for (let index = 0; index < 400; index += 1) budget.add(address);
    };
    spend('192.0.2.1');
    spend('2001:db8::1');
    const exhausted = (address: string) => budget.isExhausted(address);
    expect(['192.0.2.1', '192.0.2.2', '2001:db8::2', '2001:db8:0:0:9::1', '2001:db8:0:1::1'].map(exhausted)).toEqual([
      true,
      false,
      true,
      true,
      false,
    ]);
    now = 1000;
    expect(exhausted('192.0.2.1')).toBe(false);
  });
});

describe('metrics', () => {
  it('are the text of the table', () => {
    const metrics = createGatewayMetrics();
    metrics.count('caracal_gateway_requests_total', 'forwarded');
    metrics.count('caracal_gateway_requests_total', 'forwarded');
    metrics.gauge('caracal_gateway_requests_active', () => 3);
    metrics.gauge('caracal_gateway_feed_age_seconds', () => Infinity, 'team.main');
    const text = metrics.text();
    for (const { name, type, help } of METRICS)
      expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    expect(text).toContain('caracal_gateway_requests_total{outcome="forwarded"} 2\n');
    expect(text).toContain('caracal_gateway_requests_active 3\n');
    expect(text).toContain('caracal_gateway_feed_age_seconds{zone="team.main"} +Inf\n');
  });
});
