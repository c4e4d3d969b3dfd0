/** What a revocation takes away: by id for good, otherwise what was issued before, by number first and by clock else. */
import { describe, expect, it } from 'vitest';
import { diffZones } from '../../src/authority/change.ts';
import type { ExchangeRequest } from '../../src/authority/decision.ts';
import { findRevocation, mergeRevocations, type Issued, type RevocationEntry } from '../../src/authority/revocation.ts';
import { authorityRecordID } from '../../src/authority/sid.ts';
import { NOW, PAYMENTS, request, user, zone } from './zone.ts';

const EPOCH = 100;

function entry(target: RevocationEntry['target'], more: Partial<RevocationEntry> = {}): RevocationEntry {
  const base = { namespace: 'shop', name: 'stop', uid: 'uid-stop', issuedBefore: undefined, createdAt: NOW };
  return { ...base, target, epoch: EPOCH, ...more };
}

const before: Issued = { at: NOW - 1000, epoch: EPOCH - 1 };
const after: Issued = { at: NOW + 1000, epoch: EPOCH };

function outcome(revocation: RevocationEntry, asked: Partial<ExchangeRequest>, issued: Issued): string {
  return findRevocation(zone({ revocations: [revocation] }), request(asked), issued) ? 'Revoked' : 'passes';
}

const LINEAGE = {
  sids: [],
  applications: [],
  started: [],
  sessions: ['s-root', 's-middle', 's-leaf'],
  edges: ['e-first', 'e-last'],
};
const OWN = authorityRecordID('uid-main', 'uid-cart', 'pod-uid');
const FOR_GOOD: readonly (readonly [string, RevocationEntry['target'], Partial<ExchangeRequest>])[] = [
  ['a session', { type: 'session', sid: 'sid' }, {}],
  ['a root session', { type: 'rootSession', rootSid: 'root' }, { rootSid: 'root' }],
  ['the instance that names another session of its own', { type: 'session', sid: OWN }, { sid: 'another' }],
  ...LINEAGE.sessions.map(
    (id) => [`the agent session ${id} of its chain`, { type: 'agentSession', id }, { lineage: LINEAGE }] as const,
  ),
  ...LINEAGE.edges.map(
    (id) => [`the edge ${id} of its chain`, { type: 'delegationEdge', id }, { lineage: LINEAGE }] as const,
  ),
  ['its own agent session, told without a chain', { type: 'agentSession', id: 's' }, { agentSessionID: 's' }],
  ['its own edge, told without a chain', { type: 'delegationEdge', id: 'e' }, { delegationEdgeID: 'e' }],
  [
    'the login that a request presents',
    { type: 'mandate', jti: 'login' },
    { login: { jti: 'login', at: NOW + 500, epoch: EPOCH } },
  ],
];

describe('a revocation by id', () => {
  it.each(FOR_GOOD)('of %s refuses it for good, whatever issuedBefore says', (_what, target, asked) => {
    for (const issuedBefore of [undefined, NOW - 10_000])
      for (const issued of [before, after])
        expect(outcome(entry(target, { issuedBefore }), asked, issued)).toBe('Revoked');
    expect(outcome(entry(target), { sid: 'x', rootSid: 'x' }, before)).toBe(
      target.type === 'session' && target.sid === OWN ? 'Revoked' : 'passes',
    );
  });

  it('of an agent session or an edge touches no chain that it is not in, and takes neither for the other', () => {
    const asked = { agentSessionID: 's-leaf', delegationEdgeID: 'e-last', lineage: LINEAGE };
    const others: readonly RevocationEntry['target'][] = [
      { type: 'agentSession', id: 's-below' },
      { type: 'delegationEdge', id: 'e-below' },
      { type: 'agentSession', id: 'e-last' },
      { type: 'delegationEdge', id: 's-leaf' },
      { type: 'session', sid: 's-leaf' },
    ];
    for (const target of others) expect(outcome(entry(target), asked, before)).toBe('passes');
    expect(outcome(entry({ type: 'agentSession', id: 's-leaf' }), {}, before)).toBe('passes');
  });

  it('of a mandate refuses that one and no other', () => {
    const target = { type: 'mandate', jti: 'one' } as const;
    expect(outcome(entry(target), {}, { ...after, jti: 'one' })).toBe('Revoked');
    expect(outcome(entry(target), {}, { ...before, jti: 'two' })).toBe('passes');
  });
});

const CUTS: readonly (readonly [string, RevocationEntry['target'], Partial<ExchangeRequest>])[] = [
  ['everything', { type: 'everything' }, {}],
  ['an application', { type: 'application', id: 'shop.cart' }, {}],
  ['a resource', { type: 'resource', identifier: PAYMENTS }, {}],
  ['a subject', { type: 'subject', issuer: 'corp', sub: 'ann' }, { subject: user() }],
];

describe('a revocation of', () => {
  const reached = (text: string) => (text === 'Revoked' ? 'Revoked' : 'not revoked');

  it.each(CUTS)(
    '%s refuses what was issued before it took effect, by number, however the clocks are',
    (_what, target, asked) => {
      expect(reached(outcome(entry(target), asked, { at: NOW + 60_000, epoch: EPOCH - 1 }))).toBe('Revoked');
      expect(reached(outcome(entry(target), asked, { at: NOW - 60_000, epoch: EPOCH }))).toBe('not revoked');
    },
  );

  it.each(CUTS)(
    '%s with issuedBefore refuses what was issued before that instant, and nothing later',
    (_what, target, asked) => {
      const written = entry(target, { issuedBefore: NOW - 5000 });
      expect(reached(outcome(written, asked, { at: NOW - 5001, epoch: EPOCH - 1 }))).toBe('Revoked');
      expect(reached(outcome(written, asked, { at: NOW - 5000, epoch: EPOCH - 1 }))).toBe('not revoked');
    },
  );

  it('another application, subject or resource touches nothing', () => {
    const others: readonly RevocationEntry['target'][] = [
      { type: 'application', id: 'shop.till' },
      { type: 'subject', issuer: 'corp', sub: 'shop.cart' },
      { type: 'resource', identifier: 'resource://other' },
    ];
    for (const target of others) expect(outcome(entry(target), {}, before)).toBe('passes');
  });

  it('a user ends the logins from before, and a Resource does not', () => {
    const asked = { subject: user(), login: before };
    expect(outcome(entry({ type: 'subject', issuer: 'corp', sub: 'ann' }), asked, after)).toBe('Revoked');
    expect(outcome(entry({ type: 'application', id: 'shop.cart' }), asked, after)).toBe('Revoked');
    expect(outcome(entry({ type: 'resource', identifier: PAYMENTS }), asked, after)).not.toBe('Revoked');
  });

  it('a user refuses ID tokens from before, which have no number', () => {
    const target = { type: 'subject', issuer: 'corp', sub: 'ann' } as const;
    expect(outcome(entry(target), { subject: user(), login: { at: NOW - 1 } }, after)).toBe('Revoked');
    expect(outcome(entry(target), { subject: user(), login: { at: NOW } }, after)).not.toBe('Revoked');
  });
});

describe('the change', () => {
  const changeOf = (target: RevocationEntry['target']) => diffZones(zone(), zone({ revocations: [entry(target)] }));

  it('of a new revocation names its Application or Resource, and else everything', () => {
    expect(changeOf({ type: 'application', id: 'shop.cart' })).toEqual({
      all: false,
      applications: ['shop.cart'],
      resources: [],
    });
    expect(changeOf({ type: 'resource', identifier: PAYMENTS })).toEqual({
      all: false,
      applications: [],
      resources: [PAYMENTS],
    });
    expect(changeOf({ type: 'session', sid: 'x' })?.all).toBe(true);
  });

  it('of a new revocation of an agent session or edge names that, and nothing else', () => {
    const nothing = { all: false, applications: [], resources: [] };
    expect(changeOf({ type: 'agentSession', id: 's' })).toStrictEqual({ ...nothing, sessions: ['s'] });
    expect(changeOf({ type: 'delegationEdge', id: 'e' })).toStrictEqual({ ...nothing, edges: ['e'] });
  });

  it('of several new revocations names each, in order, and everything where one of them reaches all', () => {
    const targets: readonly RevocationEntry['target'][] = [
      { type: 'agentSession', id: 's2' },
      { type: 'delegationEdge', id: 'e' },
      { type: 'agentSession', id: 's1' },
      { type: 'application', id: 'shop.cart' },
    ];
    const entries = targets.map((target, index) => entry(target, { uid: `uid-${index}` }));
    expect(diffZones(zone(), zone({ revocations: entries }))).toStrictEqual({
      all: false,
      applications: ['shop.cart'],
      resources: [],
      sessions: ['s1', 's2'],
      edges: ['e'],
    });
    const wider = [...entries, entry({ type: 'subject', issuer: 'corp', sub: 'ann' }, { uid: 'uid-wide' })];
    expect(diffZones(zone(), zone({ revocations: wider }))?.all).toBe(true);
  });

  it('of one that is deleted is none: it gives nothing back', () => {
    expect(diffZones(zone({ revocations: [entry({ type: 'everything' })] }), zone())).toBeUndefined();
  });

  it('keeps what is remembered as it was', () => {
    const remembered = [entry({ type: 'application', id: 'shop.cart' })];
    const { all, added } = mergeRevocations(remembered, [entry({ type: 'everything' }, { epoch: EPOCH + 1 })]);
    expect([all, added]).toEqual([remembered, []]);
  });
});
