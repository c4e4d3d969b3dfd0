/** Exchanges within agent sessions and under edges: every reason, what policy sees, how long a mandate lives, and what a Revocation takes away. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { reachOf } from '../../../src/authority/agents/travel.ts';
import { isBasisLive, toBasis } from '../../../src/authority/basis.ts';
import type { CheckedExchange } from '../../../src/authority/checks.ts';
import { decideExchange } from '../../../src/authority/decide.ts';
import { DENIAL_REASONS, type Denial, type ExchangeRequest } from '../../../src/authority/decision.ts';
import { endSession, resumeSession, suspendSession } from '../../../src/authority/agents/sessions.ts';
import { revokeEdge } from '../../../src/authority/agents/edges.ts';
import type { RevocationEntry, RevocationTarget } from '../../../src/authority/revocation.ts';
import type { ZoneSnapshot } from '../../../src/authority/snapshot.ts';
import { NOW, PAYMENTS, SECONDS, application, grant, outcome, resource, user, type ZoneParts } from '../zone.ts';
import { BANK, CART, TILL, openZone, reasonOf, world, type World } from './world.ts';

const open = { receivers: 'Zone', applications: [] } as const;
const APPLICATIONS = [CART, TILL, BANK].map((one) => application({ ...one, delegation: open }));

/** cart `a` → till `b` (edge `ab`) → bank `c` (edge `bc`); `b1` lives by what `b` was passed, `b2` below it by nothing. */
function chain(parts: ZoneParts = {}): World {
  const there = world(parts);
  there.start({ sessionID: 'a' });
  there.start({ sessionID: 'b', application: TILL });
  there.start({ sessionID: 'c', application: BANK, sid: 'sid-c', rootSid: 'root-c' });
  there.edge('ab', 'a', 'b', { scopes: ['read', 'write'], expiresAt: SECONDS + 200 });
  there.edge('bc', 'b', 'c', { scopes: ['read'], maxHops: 1, expiresAt: SECONDS + 100 });
  there.start({ sessionID: 'b1', application: TILL, parentID: 'b' });
  there.start({ sessionID: 'b2', application: TILL, parentID: 'b1', parentAuthority: 'none' });
  return there;
}

function after(act: (there: World) => unknown, parts?: ZoneParts): World {
  const there = chain(parts);
  act(there);
  return there;
}

const suspend = (id: string) => (there: World) => there.write(suspendSession(there.view.session(id)!, there.view));
const end = (id: string) => (there: World) =>
  there.write(endSession(there.view.session(id)!, undefined, there.view, NOW));
const revoke = (id: string) => (there: World) => there.write(revokeEdge(there.view.edge(id)!, there.view, NOW));

/** The chain, under another configuration than it was made in. */
const under = (parts: ZoneParts) => ({ zone: openZone({ applications: APPLICATIONS, ...parts }) });
const without = (id: string, entry?: Parameters<typeof application>[0]) => [
  ...APPLICATIONS.filter((one) => one.id !== id),
  ...(entry ? [application({ delegation: open, ...entry })] : []),
];

const reasons: Readonly<Record<string, readonly [expected: string, () => CheckedExchange | Denial]>> = {
  'a session has what its application has': ['checked', () => chain().exchange('a')],
  'the end of a chain has what travels to it, and needs no Grant of its own': [
    'checked',
    () => chain().exchange('c', 'bc'),
  ],
  'SessionRequired where only an edge is named': [
    'SessionRequired',
    () => {
      const asked = { agentSessionID: undefined } as unknown as Partial<ExchangeRequest>;
      return chain().exchange('c', 'bc', { asked });
    },
  ],
  'D-07 SessionUnknown for one that nobody has': ['SessionUnknown', () => chain().exchange('none')],
  'SessionUnknown for one of another application': [
    'SessionUnknown',
    () => chain().exchange('a', undefined, { asked: { agentSessionID: 'b' } }),
  ],
  'SessionNotActive while it is suspended': ['SessionNotActive', () => after(suspend('a')).exchange('a')],
  'SessionNotActive once it has ended': ['SessionNotActive', () => after(end('a')).exchange('a')],
  'SessionNotActive below a suspended parent': [
    'SessionNotActive',
    () => after(suspend('b')).exchange('b1', 'edge-to-b1'),
  ],
  'SessionNotActive once its time has passed, swept or not': [
    'SessionNotActive',
    () => chain().exchange('a', undefined, { at: NOW + 3_600_000 }),
  ],
  'SessionNotActive where the source of the edge by which it lives is suspended': [
    'SessionNotActive',
    () => after(suspend('a')).exchange('b1', 'edge-to-b1'),
  ],
  'SessionNotActive below that too, though it has nothing of the edge': [
    'SessionNotActive',
    () => after(suspend('a')).exchange('b2'),
  ],
  'DelegationRequired where a session lives by an edge that is not named': [
    'DelegationRequired',
    () => chain().exchange('b1'),
  ],
  'D-07 DelegationUnknown for an edge that nobody has': ['DelegationUnknown', () => chain().exchange('c', 'none')],
  'D-07 DelegationUnknown, the same, for an edge to another session': [
    'DelegationUnknown',
    () => chain().exchange('c', 'ab'),
  ],
  'DelegationNotActive once it is revoked': ['DelegationNotActive', () => after(revoke('bc')).exchange('c', 'bc')],
  'D-08 DelegationNotActive once an edge above is revoked': [
    'DelegationNotActive',
    () => after(revoke('ab')).exchange('c', 'bc'),
  ],
  'DelegationNotActive while the root is suspended': [
    'DelegationNotActive',
    () => after(suspend('a')).exchange('c', 'bc'),
  ],
  'DelegationNotActive while a session in the middle is suspended': [
    'DelegationNotActive',
    () => after(suspend('b')).exchange('c', 'bc'),
  ],
  'DelegationNotActive once its time has passed, swept or not': [
    'DelegationNotActive',
    () => chain().exchange('c', 'bc', { at: NOW + 100_000 }),
  ],
  'DelegationNotActive where the request speaks of another root': [
    'DelegationNotActive',
    () => chain().exchange('c', 'bc', { asked: { root: TILL } }),
  ],
  'DelegationNotActive where the request speaks of another subject': [
    'DelegationNotActive',
    () => chain().exchange('c', 'bc', { asked: { subject: user() } }),
  ],
  'D-09 is checked again once the root is resumed, and gives the same': [
    'checked',
    () =>
      after((there) => {
        suspend('a')(there);
        there.write(resumeSession(there.view.session('a')!, there.view, NOW));
      }).exchange('c', 'bc'),
  ],
  'DelegationNotPermitted where the root lets nobody receive any more': [
    'DelegationNotPermitted',
    () => chain().exchange('c', 'bc', under({ applications: without(CART.id, application()) })),
  ],
  'D-19 DelegationNotPermitted where an Application in the middle was re-created': [
    'DelegationNotPermitted',
    () => chain().exchange('c', 'bc', under({ applications: without(TILL.id, { ...TILL, uid: 'second' }) })),
  ],
  'DelegationNotPermitted where the root is gone': [
    'DelegationNotPermitted',
    () => chain().exchange('c', 'bc', under({ applications: without(CART.id) })),
  ],
  'D-19 ApplicationUnknown where the one that asks was re-created': [
    'ApplicationUnknown',
    () => chain().exchange('c', 'bc', under({ applications: without(BANK.id, { ...BANK, uid: 'second' }) })),
  ],
  'ApplicationExpired where the root has expired': [
    'ApplicationExpired',
    () => chain().exchange('c', 'bc', under({ applications: without(CART.id, { ...CART, expiresAt: SECONDS }) })),
  ],
  'LifetimeExhausted where an Application in the middle has expired': [
    'LifetimeExhausted',
    () => chain().exchange('c', 'bc', under({ applications: without(TILL.id, { ...TILL, expiresAt: SECONDS }) })),
  ],
  'ScopeNotDelegated for a scope that the root has and an edge does not carry': [
    'ScopeNotDelegated',
    () => chain().exchange('c', 'bc', { asked: { scopes: ['write'] } }),
  ],
  'ScopeNotDelegated for a Resource that an edge does not reach': [
    'ScopeNotDelegated',
    () => {
      const other = resource({ identifier: 'resource://other', uid: 'uid-other' });
      const grants = [
        grant({ delegation: 'Zone' }),
        grant({ name: 'h', resource: other.identifier, delegation: 'Zone' }),
      ];
      const there = world({ resources: [resource(), other], grants });
      there.start({ sessionID: 'a' });
      there.start({ sessionID: 'b', application: TILL });
      there.edge('ab', 'a', 'b', { resources: [PAYMENTS] });
      return there.exchange('b', 'ab', { asked: { resource: other.identifier } });
    },
  ],
  'ScopeNotGranted once the root’s Grant is gone, whatever the receiver has': [
    'ScopeNotGranted',
    () => chain().exchange('c', 'bc', under({ grants: [grant({ applicationID: BANK.id, delegation: 'Zone' })] })),
  ],
  'ScopeNotGranted once the Grant may not travel any more': [
    'ScopeNotGranted',
    () => chain().exchange('c', 'bc', under({ grants: [grant({ delegation: 'SameApplication' })] })),
  ],
  'ScopeNotGranted for a Grant that stays within the Application, where the chain left it and came back': [
    'ScopeNotGranted',
    () => {
      const there = world();
      for (const sessionID of ['a', 'z']) there.start({ sessionID });
      there.start({ sessionID: 'b', application: TILL });
      there.edge('ab', 'a', 'b');
      there.edge('bz', 'b', 'z', { maxHops: 1 });
      return there.exchange('z', 'bz', under({ grants: [grant({ delegation: 'SameApplication' })] }));
    },
  ],
  'ScopeNotGranted for what the receiver has of its own, under the edge': [
    'ScopeNotGranted',
    () => {
      const grants = [
        grant({ delegation: 'Zone' }),
        grant({ name: 'own', applicationID: TILL.id, scopes: ['write'], delegation: 'Zone' }),
      ];
      return chain().exchange('b', 'ab', { ...under({ grants }), asked: { scopes: ['write'] } });
    },
  ],
  'LifetimeExceedsDelegation for a lifetime longer than the edge lasts': [
    'LifetimeExceedsDelegation',
    () => chain().exchange('c', 'bc', { asked: { ttlSeconds: 101 } }),
  ],
  'is checked for a lifetime as long as the edge lasts': [
    'checked',
    () => chain().exchange('c', 'bc', { asked: { ttlSeconds: 100 } }),
  ],
  'is checked when it is judged again after a while': [
    'checked',
    () => chain().exchange('c', 'bc', { asked: { ttlSeconds: 100 }, at: NOW + 50_000, issued: { at: NOW } }),
  ],
};

describe('an exchange within an agent session', () => {
  it.each(Object.entries(reasons))('%s', (_name, [expected, act]) => expect(reasonOf(act())).toBe(expected));

  it('every reason of sessions and delegation is one of these', () => {
    const expected = new Set(Object.values(reasons).map(([reason]) => reason));
    const all = Object.keys(DENIAL_REASONS);
    const ours = all.slice(all.indexOf('SessionRequired'), all.indexOf('LifetimeExceedsDelegation') + 1);
    expect(ours.filter((reason) => !expected.has(reason))).toEqual([]);
  });

  it('no denial names a session, an edge or a UID of another application', () => {
    for (const [, act] of Object.values(reasons)) {
      const result = act();
      if (result.type === 'denial') expect(result.message).not.toMatch(/uid-|sid-|\bab\b|\bbc\b|edge-to/);
    }
  });

  const ends: Readonly<Record<string, readonly [seconds: number, () => CheckedExchange | Denial]>> = {
    'of the zone where nothing is earlier': [300, () => chain().exchange('a')],
    'of the edge': [100, () => chain().exchange('c', 'bc')],
    'of the edge above where the one below cannot be later': [200, () => chain().exchange('b', 'ab')],
    'of an Application in the middle': [
      40,
      () =>
        chain().exchange('c', 'bc', under({ applications: without(TILL.id, { ...TILL, expiresAt: SECONDS + 40 }) })),
    ],
    'of the session at the root': [
      30,
      () => {
        const there = world();
        there.start({ sessionID: 'a', ttlSeconds: 30 });
        there.start({ sessionID: 'b', application: TILL });
        there.edge('ab', 'a', 'b');
        return there.exchange('b', 'ab');
      },
    ],
    'of the lease of a service above': [
      120,
      () => {
        const there = world();
        there.start({ sessionID: 's', lifecycle: 'service' });
        there.start({ sessionID: 't', parentID: 's' });
        return there.exchange('t');
      },
    ],
    'of the login of a user': [
      25,
      () => {
        const there = world({ grants: [grant({ subjects: [{ type: 'anyUser' }] })] });
        there.start({ sessionID: 'a', subject: user(), login: { sid: 'login', expiresAt: SECONDS + 25 } });
        return there.exchange('a');
      },
    ],
  };

  it.each(Object.entries(ends))('lives until the end %s', (_name, [seconds, act]) => {
    const result = act();
    expect(result.type === 'checked' ? result.expiresAt - SECONDS : result).toBe(seconds);
  });
});

describe('what an edge is said to give', () => {
  const reach = (there: World, id: string, zone: ZoneSnapshot = there.zone) => {
    const edge = there.view.edge(id)!;
    return reachOf(edge, there.view.session(edge.sourceSessionID)!, there.view, zone, NOW);
  };

  it('is what an exchange gives', () => {
    expect(reach(chain(), 'ab')).toEqual([{ resource: PAYMENTS, scopes: ['read', 'write'] }]);
    expect(reach(chain(), 'bc')).toEqual([{ resource: PAYMENTS, scopes: ['read'] }]);
  });

  it('is nothing where an Application above lets nobody receive any more', () => {
    expect(reach(chain(), 'bc', under({ applications: without(CART.id, application()) }).zone)).toEqual([]);
  });
});

const schema = z.fromJSONSchema(
  JSON.parse(readFileSync(new URL('../../../policies/input.schema.json', import.meta.url), 'utf8')) as Parameters<
    typeof z.fromJSONSchema
  >[0],
);

describe('the policy input within an agent session', () => {
  it('P-11 says of the session what it is, and what it says of itself as claimed', () => {
    const there = world();
    there.start({ sessionID: 'p' });
    there.start({ sessionID: 'a', parentID: 'p', labels: ['x'], metadata: { task: 1 } });
    const result = there.exchange('a', undefined, { at: NOW + 7500 });
    expect(result).toMatchObject({
      inputs: [
        {
          root: { id: 'shop.cart' },
          session: {
            id: 'a',
            kind: 'task',
            depth: 1,
            parent: 'p',
            age_seconds: 7,
            claimed: { labels: ['x'], metadata: { task: 1 } },
          },
          delegation: null,
        },
      ],
    });
    expect(schema.safeParse((result as CheckedExchange).inputs[0])).toMatchObject({ success: true });
  });

  it('P-11 says who asks, whose authority it is, and the chain from root to leaf', () => {
    const result = chain().exchange('c', 'bc');
    expect(result).toMatchObject({
      inputs: [
        {
          principal: { id: 'shop.bank' },
          root: { id: 'shop.cart' },
          subject: { type: 'application', sub: 'shop.cart' },
          delegation: {
            edge_id: 'bc',
            scopes: ['read'],
            resources: [],
            hops_left: 0,
            chain: [
              { application: 'shop.cart', session: 'a' },
              { application: 'shop.till', session: 'b' },
              { application: 'shop.bank', session: 'c' },
            ],
            expires_at: SECONDS + 100,
          },
          grants: [{ name: 'g' }],
        },
      ],
    });
    expect(schema.safeParse((result as CheckedExchange).inputs[0])).toMatchObject({ success: true });
  });
});

function entry(target: RevocationTarget, more: Partial<RevocationEntry> = {}): RevocationEntry {
  const base = { namespace: 'shop', name: 'stop', uid: 'uid-stop', issuedBefore: undefined, createdAt: NOW + 1000 };
  return { ...base, target, ...more };
}

/** The same sessions, of which the one in the middle is for a user. */
function withUser(): World {
  const there = world();
  there.start({ sessionID: 'a' });
  there.start({
    sessionID: 'b',
    application: TILL,
    subject: user(),
    rootSid: 'login-of-ann',
    login: { sid: 'login-of-ann', expiresAt: SECONDS + 900 },
  });
  there.edge('ab', 'a', 'b');
  there.start({ sessionID: 'c', application: BANK });
  there.edge('bc', 'b', 'c', { maxHops: 1 });
  return there;
}

const revoked: Readonly<Record<string, RevocationTarget>> = {
  'the session that asks': { type: 'agentSession', id: 'c' },
  'a session in the middle': { type: 'agentSession', id: 'b' },
  'the session at the root': { type: 'agentSession', id: 'a' },
  'its edge': { type: 'delegationEdge', id: 'bc' },
  'an edge above': { type: 'delegationEdge', id: 'ab' },
  'the login of a member': { type: 'session', sid: 'sid-shop.till' },
  'the login of the user of a member': { type: 'session', sid: 'login-of-ann' },
  'the root login of a member': { type: 'rootSession', rootSid: 'login-of-ann' },
  'the root login': { type: 'rootSession', rootSid: 'sid-shop.cart' },
  'the Application at the root': { type: 'application', id: CART.id },
  'an Application in the middle': { type: 'application', id: TILL.id },
  'the user of a member': { type: 'subject', issuer: 'corp', sub: 'ann' },
  'its Resource': { type: 'resource', identifier: PAYMENTS },
  everything: { type: 'everything' },
};

describe('a Revocation takes away what rests in a chain on', () => {
  it.each(Object.entries(revoked))('%s', (_name, target) => {
    const there = withUser();
    const at = NOW + 2000;
    const zone = { ...there.zone, revocations: [entry(target)] };
    expect(reasonOf(there.exchange('c', 'bc', { zone, at, issued: { at: NOW } }))).toBe('Revoked');
  });

  it('nothing that it does not name', () => {
    const there = withUser();
    const others: readonly RevocationTarget[] = [
      { type: 'agentSession', id: 'bc' },
      { type: 'delegationEdge', id: 'b' },
      { type: 'session', sid: 'b' },
      { type: 'application', id: 'shop.other' },
      { type: 'subject', issuer: 'corp', sub: 'bob' },
    ];
    for (const target of others) {
      const zone = { ...there.zone, revocations: [entry(target)] };
      expect(reasonOf(there.exchange('c', 'bc', { zone, at: NOW + 2000 }))).toBe('checked');
    }
  });

  it('the session below which it was started, also where it lives by an edge that another one passed on', () => {
    const there = chain();
    const outcomes = ['a', 'b', 'b1'].map((id) => {
      const zone = { ...there.zone, revocations: [entry({ type: 'agentSession', id })] };
      return reasonOf(there.exchange('b2', undefined, { zone, asked: { scopes: [] } }));
    });
    expect(outcomes).toEqual(['Revoked', 'Revoked', 'Revoked']);
  });

  it('an Application or user by when each member started, so that a new login is a new beginning', () => {
    const there = withUser();
    const at = NOW + 2000;
    const late = { at: NOW + 1500 };
    for (const target of [revoked['the user of a member']!, revoked['an Application in the middle']!]) {
      const before = { ...there.zone, revocations: [entry(target, { createdAt: NOW + 1 })] };
      expect(reasonOf(there.exchange('c', 'bc', { zone: before, at, issued: late }))).toBe('Revoked');
      const earlier = { ...there.zone, revocations: [entry(target, { createdAt: NOW })] };
      expect(reasonOf(there.exchange('c', 'bc', { zone: earlier, at, issued: late }))).toBe('checked');
    }
  });

  it('an Application whose session is new, though the chain below which it was started is old', () => {
    const there = withUser();
    const result = there.exchange('c', 'bc');
    const asked = (result as CheckedExchange).request;
    const lineage = { ...asked.lineage!, started: asked.lineage!.started.map((one) => ({ ...one })) };
    for (const one of lineage.started) if (one.applicationID !== TILL.id) one.at = NOW - 10_000;
    const zone = {
      ...there.zone,
      revocations: [entry({ type: 'application', id: TILL.id }, { createdAt: NOW - 5000 })],
    };
    expect(reasonOf(there.exchange('c', 'bc', { zone, asked: { lineage } }))).toBe('checked');
    const all = { ...there.zone, revocations: [entry({ type: 'everything' }, { createdAt: NOW - 5000 })] };
    expect(reasonOf(there.exchange('c', 'bc', { zone: all, asked: { lineage } }))).toBe('Revoked');
  });
});

describe('what a mandate of a chain rests on', () => {
  it('is gone once the Grant that gave it may not travel any more, though another one would', () => {
    const there = chain();
    const checked = there.exchange('c', 'bc') as CheckedExchange;
    const permit = decideExchange(checked, [outcome()], there.zone, NOW);
    if (permit.type !== 'permit') throw new Error(`no permit: ${permit.type}`);
    const basis = toBasis(permit, there.zone)!;
    const judged = (...grants: Parameters<typeof grant>[0][]) =>
      isBasisLive(basis, permit.request, openZone({ grants: grants.map((one) => grant(one)) }), NOW);
    expect(judged({ delegation: 'Zone' })).toBe(true);
    expect(judged({ delegation: 'SameApplication' }, { name: 'h', delegation: 'Zone' })).toBe(false);
    expect(judged({ delegation: 'None' }, { name: 'h', delegation: 'Zone' })).toBe(false);
  });
});
