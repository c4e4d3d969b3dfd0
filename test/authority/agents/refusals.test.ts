/** Every refusal of the commands on sessions and edges, and what is not refused beside it. */
import { describe, expect, it } from 'vitest';
import { delegate, passOn } from '../../../src/authority/agents/edges.ts';
import type { AgentRefusal } from '../../../src/authority/agents/refusal.ts';
import {
  LEASE_SECONDS,
  endSession,
  heartbeat,
  resumeSession,
  startSession,
  suspendSession,
  takeLease,
} from '../../../src/authority/agents/sessions.ts';
import { revokeEdge } from '../../../src/authority/agents/edges.ts';
import { endExpired } from '../../../src/authority/agents/expiry.ts';
import type { Changed } from '../../../src/authority/agents/outcome.ts';
import { NOW, PAYMENTS, SECONDS, application, grant, resource, type ZoneParts } from '../zone.ts';
import { BANK, CART, TILL, codeOf, openZone, orderOf, startOf, world, type World } from './world.ts';

type Outcome = Changed<unknown> | AgentRefusal;
type Start = Parameters<typeof startOf>[0];
type Order = Parameters<typeof orderOf>[3];

const limits = { agentSessions: 100, agentSessionsPerApplication: 100, children: 100, depth: 10 };

function starting({ view, zone: snapshot }: World, start: Start, now = NOW): Outcome {
  return startSession(startOf(start), view, snapshot, now);
}

/** From a session of the cart to one of the till. */
function delegating(there: World, order: Order = {}, [source, target] = ['a', 'b'], now = NOW): Outcome {
  const { view, zone: snapshot } = there;
  return delegate(orderOf('new', view.session(source!)!, view.session(target!)!, order), view, snapshot, now);
}

/** The cart's `a` and its child `a1`, the till's `b`, the bank's `c`. */
function family(parts?: ZoneParts): World {
  const there = world(parts);
  there.start({ sessionID: 'a' });
  there.start({ sessionID: 'a1', parentID: 'a' });
  there.start({ sessionID: 'b', application: TILL });
  there.start({ sessionID: 'c', application: BANK });
  return there;
}

/** The family, with an edge `ab` from `a` to `b`. */
function joined(order: Order = {}, parts?: ZoneParts): World {
  const there = family(parts);
  there.edge('ab', 'a', 'b', { scopes: ['read', 'write'], ...order });
  return there;
}

const suspended = (there: World, id: string): World => {
  there.write(suspendSession(there.view.session(id)!, there.view));
  return there;
};
const serviceIn = (there: World): World => {
  there.start({ sessionID: 's', lifecycle: 'service' });
  return there;
};

const starts: Readonly<Record<string, readonly [expected: string, () => Outcome]>> = {
  'a root session is started': ['changed', () => starting(world(), { sessionID: 'x' })],
  'a parent that is not known is not found': [
    'agent_session_not_found',
    () => starting(family(), { sessionID: 'x', parentID: 'none' }),
  ],
  'a parent of another application is not found': [
    'agent_session_not_found',
    () => starting(family(), { sessionID: 'x', parentID: 'b' }),
  ],
  'D-19 a parent of the application that had this name before is not found': [
    'agent_session_not_found',
    () => starting(family(), { sessionID: 'x', parentID: 'a', application: { ...CART, uid: 'second' } }),
  ],
  'nothing starts below a suspended parent': [
    'session_not_active',
    () => starting(suspended(family(), 'a1'), { sessionID: 'x', parentID: 'a1' }),
  ],
  'nothing starts below a parent whose own parent is suspended': [
    'session_not_active',
    () => starting(suspended(family(), 'a'), { sessionID: 'x', parentID: 'a1' }),
  ],
  'nothing starts below a parent whose time has passed though nobody swept it': [
    'session_not_active',
    () => starting(family(), { sessionID: 'x', parentID: 'a' }, NOW + 3_600_000),
  ],
  'a task cannot start a service': [
    'task_session_cannot_start_service',
    () => starting(family(), { sessionID: 'x', parentID: 'a', lifecycle: 'service' }),
  ],
  'a service can start a service': [
    'changed',
    () => starting(serviceIn(world()), { sessionID: 'x', parentID: 's', lifecycle: 'service' }),
  ],
  'the zone is full': [
    'session_zone_limit_exceeded',
    () => starting(family({ limits: { ...limits, agentSessions: 4 } }), { sessionID: 'x' }),
  ],
  'the application is full': [
    'session_limit_exceeded',
    () => starting(family({ limits: { ...limits, agentSessionsPerApplication: 2 } }), { sessionID: 'x' }),
  ],
  'another application is not full by it': [
    'changed',
    () =>
      starting(family({ limits: { ...limits, agentSessionsPerApplication: 2 } }), {
        sessionID: 'x',
        application: TILL,
      }),
  ],
  'the parent is full': [
    'session_children_limit_exceeded',
    () => starting(family({ limits: { ...limits, children: 1 } }), { sessionID: 'x', parentID: 'a' }),
  ],
  'the parent is as deep as may be': [
    'session_depth_limit_exceeded',
    () => starting(family({ limits: { ...limits, depth: 1 } }), { sessionID: 'x', parentID: 'a1' }),
  ],
  'a parent with two edges needs one to be named': [
    'parent_delegation_ambiguous',
    () => {
      const there = joined();
      there.edge('cb', 'a', 'b');
      return starting(there, { sessionID: 'x', application: TILL, parentID: 'b' });
    },
  ],
  'a parent with two edges passes the named one on': [
    'changed',
    () => {
      const there = joined();
      there.edge('cb', 'a', 'b');
      return starting(there, { sessionID: 'x', application: TILL, parentID: 'b', inheritParentEdgeID: 'cb' });
    },
  ],
  'an edge that is not the parent’s cannot be inherited': [
    'parent_delegation_not_active',
    () => starting(joined(), { sessionID: 'x', parentID: 'a', inheritParentEdgeID: 'ab' }),
  ],
  'an edge whose source is suspended cannot be inherited': [
    'parent_delegation_not_active',
    () => starting(suspended(joined(), 'a'), { sessionID: 'x', application: TILL, parentID: 'b' }),
  ],
  'D-03 an edge without hops left cannot be inherited': [
    'delegation_exceeds_parent_authority',
    () => starting(joined({ maxHops: 1 }), { sessionID: 'x', application: TILL, parentID: 'b' }),
  ],
  'D-03 an edge without hops left leaves room for a child without it': [
    'changed',
    () =>
      starting(joined({ maxHops: 1 }), {
        sessionID: 'x',
        application: TILL,
        parentID: 'b',
        parentAuthority: 'none',
      }),
  ],
};

const delegations: Readonly<Record<string, readonly [expected: string, () => Outcome]>> = {
  'a session delegates to another application’s': ['changed', () => delegating(family())],
  'a source of another application is not found': [
    'agent_session_not_found',
    () => delegating(family(), { issuer: TILL, receiverID: 'shop.till' }),
  ],
  'a target of another application than the receiver is not found': [
    'agent_session_not_found',
    () => delegating(family(), { receiverID: BANK.id }),
  ],
  'D-07 a target that is not known is not found': [
    'agent_session_not_found',
    () => delegating(family(), { targetSessionID: 'none' }),
  ],
  'a receiver that may not receive is told before its sessions are looked at': [
    'delegation_exceeds_parent_authority',
    () =>
      delegating(family({ applications: [CART, TILL, BANK].map((one) => application(one)) }), {
        targetSessionID: 'none',
      }),
  ],
  'a listed receiver receives': [
    'changed',
    () => {
      const delegation = { receivers: 'Listed', applications: [TILL.id] } as const;
      return delegating(family({ applications: [application({ delegation }), application(TILL), application(BANK)] }));
    },
  ],
  'an unlisted receiver does not': [
    'delegation_exceeds_parent_authority',
    () => {
      const delegation = { receivers: 'Listed', applications: [BANK.id] } as const;
      return delegating(family({ applications: [application({ delegation }), application(TILL), application(BANK)] }));
    },
  ],
  'D-19 the session of a receiver that was re-created is not found': [
    'agent_session_not_found',
    () => {
      const delegation = { receivers: 'Zone', applications: [] } as const;
      const applications = [application({ delegation }), application({ ...TILL, uid: 'second' }), application(BANK)];
      return delegating(family({ applications }));
    },
  ],
  'a suspended source delegates nothing': ['session_not_active', () => delegating(suspended(family(), 'a'))],
  'a suspended target receives nothing': ['session_not_active', () => delegating(suspended(family(), 'b'))],
  'the child of a suspended session delegates nothing': [
    'session_not_active',
    () => delegating(suspended(family(), 'a'), {}, ['a1', 'b']),
  ],
  'an end that has passed is none': ['delegation_expiry_required', () => delegating(family(), { expiresAt: SECONDS })],
  'a parent edge to another session is not active here': [
    'parent_delegation_not_active',
    () => delegating(joined(), { parentEdgeID: 'ab' }, ['a', 'c']),
  ],
  'a revoked parent edge is not active': [
    'parent_delegation_not_active',
    () => {
      const there = joined();
      there.write(revokeEdge(there.view.edge('ab')!, there.view, NOW));
      return delegating(there, { parentEdgeID: 'ab' }, ['b', 'c']);
    },
  ],
  'what came in by an edge does not go out while its source is suspended': [
    'parent_delegation_not_active',
    () => delegating(suspended(joined(), 'a'), {}, ['b', 'c']),
  ],
  'of two edges one has to be named': [
    'parent_delegation_ambiguous',
    () => {
      const there = joined();
      there.edge('cb', 'a', 'b');
      return delegating(there, {}, ['b', 'c']);
    },
  ],
  'D-04 nobody delegates to itself': ['delegation_cycle_denied', () => delegating(family(), {}, ['a', 'a'])],
  'D-04 nothing goes back to where it came from': [
    'delegation_cycle_denied',
    () => delegating(joined(), {}, ['b', 'a']),
  ],
  'D-04 nothing goes back to where it came from through a third and its child': [
    'delegation_cycle_denied',
    () => {
      const there = joined();
      there.edge('bc', 'b', 'c', { maxHops: 2 });
      there.start({ sessionID: 'c1', application: BANK, parentID: 'c' });
      return delegating(there, { maxHops: 1 }, ['c1', 'a']);
    },
  ],
  'D-01 a scope that the parent does not carry': [
    'delegation_exceeds_parent_authority',
    () => delegating(joined({ scopes: ['read'] }), { scopes: ['write'] }, ['b', 'c']),
  ],
  'D-01 a resource that the parent does not reach': [
    'delegation_exceeds_parent_authority',
    () => {
      const other = resource({ identifier: 'resource://other', uid: 'uid-other' });
      return delegating(
        joined({ resources: [PAYMENTS] }, { resources: [resource(), other] }),
        { resources: [PAYMENTS, other.identifier] },
        ['b', 'c'],
      );
    },
  ],
  'D-02 an end one second after the parent’s': [
    'delegation_exceeds_parent_authority',
    () => delegating(joined(), { expiresAt: SECONDS + 1001 }, ['b', 'c']),
  ],
  'D-02 the end of the parent': ['changed', () => delegating(joined(), { maxHops: 2 }, ['b', 'c'])],
  'D-03 as many hops as the parent has': [
    'delegation_exceeds_parent_authority',
    () => delegating(joined({ maxHops: 3 }), { maxHops: 3 }, ['b', 'c']),
  ],
  'D-03 a parent that may not be passed on': [
    'delegation_exceeds_parent_authority',
    () => delegating(joined({ maxHops: 1 }), { maxHops: 1 }, ['b', 'c']),
  ],
  'a Resource that the zone does not have': [
    'delegation_exceeds_parent_authority',
    () => delegating(family(), { resources: ['resource://none'] }),
  ],
  'a scope that no Grant gives': [
    'delegation_exceeds_parent_authority',
    () => delegating(family(), { scopes: ['refund'] }),
  ],
  'D-14 a scope in another case': [
    'delegation_exceeds_parent_authority',
    () => delegating(family(), { scopes: ['Read'] }),
  ],
  'a Grant that does not travel': [
    'delegation_exceeds_parent_authority',
    () => delegating(family({ grants: [grant({ delegation: 'None' })] })),
  ],
  'a Grant that travels within the Application, to another': [
    'delegation_exceeds_parent_authority',
    () => delegating(family({ grants: [grant({ delegation: 'SameApplication' })] })),
  ],
  'a Grant that travels within the Application, to a session of it': [
    'changed',
    () => delegating(family({ grants: [grant({ delegation: 'SameApplication' })] }), {}, ['a', 'a1']),
  ],
  'an Application above that lets nobody receive any more': [
    'delegation_exceeds_parent_authority',
    () => {
      const there = joined();
      const [cart, ...others] = there.zone.applications.values();
      const closed = openZone({
        applications: [{ ...cart!, delegation: { receivers: 'Same', applications: [] } }, ...others],
      });
      return delegating({ ...there, zone: closed }, { maxHops: 1 }, ['b', 'c']);
    },
  ],
};

const lives: Readonly<Record<string, readonly [expected: string, () => Outcome]>> = {
  'an ended session is not suspended': [
    'session_not_active',
    () => {
      const there = family();
      there.write(endSession(there.view.session('a')!, undefined, there.view, NOW));
      return suspendSession(there.view.session('a')!, there.view);
    },
  ],
  'an ended session is not resumed': [
    'session_not_active',
    () => {
      const there = family();
      there.write(endSession(there.view.session('a')!, undefined, there.view, NOW));
      return resumeSession(there.view.session('a')!, there.view, NOW);
    },
  ],
  'a session whose time passed while it was suspended is not resumed': [
    'session_not_active',
    () => {
      const there = suspended(family(), 'a');
      return resumeSession(there.view.session('a')!, there.view, NOW + 3_600_000);
    },
  ],
  'a session below a suspended one is not resumed': [
    'session_not_active',
    () => {
      const there = suspended(suspended(family(), 'a'), 'a1');
      return resumeSession(there.view.session('a1')!, there.view, NOW);
    },
  ],
  'a session that lives by an edge is resumed': [
    'changed',
    () => {
      const there = joined();
      there.start({ sessionID: 'b1', application: TILL, parentID: 'b' });
      return resumeSession(suspended(there, 'b1').view.session('b1')!, there.view, NOW);
    },
  ],
  'a service tells who holds its lease': [
    'invalid_request',
    () => {
      const there = serviceIn(world());
      return heartbeat(there.view.session('s')!, undefined, NOW);
    },
  ],
  'a task has no lease to take': [
    'invalid_request',
    () => {
      const there = family();
      return takeLease(there.view.session('a')!, there.view, NOW);
    },
  ],
  'a lease that ran out is not renewed': [
    'session_not_active',
    () => {
      const there = serviceIn(world());
      return heartbeat(there.view.session('s')!, 1, NOW + LEASE_SECONDS * 1000);
    },
  ],
  'a lease that ran out is not taken': [
    'session_not_active',
    () => {
      const there = serviceIn(world());
      return takeLease(there.view.session('s')!, there.view, NOW + LEASE_SECONDS * 1000);
    },
  ],
};

describe('starting a session', () => {
  it.each(Object.entries(starts))('%s', (_name, [expected, act]) => expect(codeOf(act())).toBe(expected));

  it('D-17 a child holds what its parent was passed, with one hop less and no longer than it lives', () => {
    const there = joined({ resources: [PAYMENTS] });
    const { session, edge } = there.start({ sessionID: 'b1', application: TILL, parentID: 'b', ttlSeconds: 60 });
    expect([session.edgeID, session.expiresAt]).toEqual(['edge-to-b1', SECONDS + 60]);
    expect(edge).toEqual({
      ...there.view.edge('ab'),
      id: 'edge-to-b1',
      issuer: TILL,
      sourceSessionID: 'b',
      targetSessionID: 'b1',
      parentEdgeID: 'ab',
      hopsLeft: 1,
      path: ['ab', 'edge-to-b1'],
      expiresAt: SECONDS + 60,
    });
  });

  it('a child lives no longer than its parent, and than the edge by which that lives', () => {
    const there = joined({ expiresAt: SECONDS + 100 });
    there.start({ sessionID: 'b1', application: TILL, parentID: 'b' });
    const { session } = there.start({ sessionID: 'b2', application: TILL, parentID: 'b1', parentAuthority: 'none' });
    expect(session.expiresAt).toBe(SECONDS + 100);
  });

  it('a task below a task below a service is bounded by its own time, not by the lease of the moment', () => {
    const there = serviceIn(world());
    there.start({ sessionID: 't', parentID: 's' });
    const { session } = there.start({ sessionID: 'u', parentID: 't', ttlSeconds: 900 });
    expect(session.expiresAt).toBe(SECONDS + 900);
  });

  it('a session of a user ends with the login, as do those below it, services too', () => {
    const there = world();
    const login = { sid: 'login', expiresAt: SECONDS + 300 };
    there.start({ sessionID: 's', lifecycle: 'service', login });
    for (const lifecycle of ['service', 'task'] as const) {
      const { session } = there.start({ sessionID: lifecycle, lifecycle, parentID: 's' });
      expect([lifecycle, session.expiresAt]).toEqual([lifecycle, SECONDS + 300]);
    }
  });

  it('an edge is passed on to a child only while it is alive', () => {
    const there = joined();
    there.start({ sessionID: 'b1', application: TILL, parentID: 'b', parentAuthority: 'none' });
    const [source, target] = [there.view.session('b')!, there.view.session('b1')!];
    const refused = passOn(there.view.edge('ab')!, { id: 'x', source, target }, there.view, NOW + 1_000_000);
    expect(codeOf(refused)).toBe('parent_delegation_not_active');
  });

  it('what was counted is counted down when it ends, and not while it is suspended', () => {
    const there = suspended(family(), 'a');
    expect([there.view.open(), there.view.openOf(CART.uid)]).toEqual([4, 2]);
    there.write(endSession(there.view.session('a')!, undefined, there.view, NOW));
    expect([there.view.open(), there.view.openOf(CART.uid)]).toEqual([2, 0]);
  });
});

describe('delegating', () => {
  it.each(Object.entries(delegations))('%s', (_name, [expected, act]) => expect(codeOf(act())).toBe(expected));

  it('D-01 resources that are not named are those of the parent', () => {
    const there = joined({ resources: [PAYMENTS] });
    expect(there.edge('bc', 'b', 'c', { maxHops: 1 }).resources).toEqual([PAYMENTS]);
  });

  it('a chain has ten edges at most', () => {
    const there = world({ limits: { ...limits, depth: 20 } });
    const names = Array.from({ length: 12 }, (_one, index) => `s${index}`);
    for (const sessionID of names) there.start({ sessionID });
    for (let index = 0; index < 10; index += 1) {
      const edge = there.edge(`e${index}`, names[index]!, names[index + 1]!, { maxHops: 20 - index });
      expect(edge.path).toHaveLength(index + 1);
    }
    const eleventh = delegating(there, { maxHops: 1 }, ['s10', 's11']);
    expect(codeOf(eleventh)).toBe('delegation_exceeds_parent_authority');
  });

  it('messages name nothing of another application but what was sent along', () => {
    const there = joined();
    const outcomes = [
      ...Object.values(starts).map(([, act]) => act()),
      ...Object.values(delegations).map(([, act]) => act()),
      delegating(there, { receiverID: BANK.id }),
    ];
    for (const outcome of outcomes)
      if (outcome.type === 'refusal') expect(outcome.message).not.toMatch(/uid-|sid-|edge-to/);
  });
});

describe('the life of a session', () => {
  it.each(Object.entries(lives))('%s', (_name, [expected, act]) => expect(codeOf(act())).toBe(expected));

  it('is suspended and resumed once: a second time changes nothing', () => {
    const there = suspended(family(), 'a');
    expect(suspendSession(there.view.session('a')!, there.view)).toMatchObject({ type: 'changed', puts: [] });
    there.write(resumeSession(there.view.session('a')!, there.view, NOW));
    expect(resumeSession(there.view.session('a')!, there.view, NOW)).toMatchObject({ type: 'changed', puts: [] });
  });

  it('suspending names everything that stops with it, also where it lives by an edge from it', () => {
    const there = joined();
    there.start({ sessionID: 'b1', application: TILL, parentID: 'b' });
    there.start({ sessionID: 'b2', application: TILL, parentID: 'b1', parentAuthority: 'none' });
    expect(suspendSession(there.view.session('a')!, there.view)).toMatchObject({
      change: { all: false, sessions: ['a', 'a1', 'b1', 'b2'], edges: ['ab', 'edge-to-b1'] },
    });
  });

  it('whoever takes the lease fences off who held it: heartbeat and end', () => {
    const there = serviceIn(world());
    const before = there.view.session('s')!.lease;
    const after = there.write(takeLease(there.view.session('s')!, there.view, NOW + 60_000)).lease;
    expect([before, after]).toEqual([
      { generation: 1, until: SECONDS + LEASE_SECONDS },
      { generation: 2, until: SECONDS + 60 + LEASE_SECONDS },
    ]);
    const session = there.view.session('s')!;
    expect(codeOf(heartbeat(session, 1, NOW))).toBe('session_lease_fenced');
    expect(codeOf(endSession(session, 1, there.view, NOW))).toBe('session_lease_fenced');
    expect(there.view.session('s')!.status).toBe('active');
    there.write(heartbeat(session, 2, NOW + 100_000));
    expect(there.view.session('s')!.lease).toEqual({ generation: 2, until: SECONDS + 100 + LEASE_SECONDS });
    there.write(endSession(there.view.session('s')!, 2, there.view, NOW));
    expect(there.view.session('s')!.status).toBe('ended');
  });

  it('a task says that it is alive and nothing is written', () => {
    const there = family();
    expect(heartbeat(there.view.session('a')!, undefined, NOW)).toMatchObject({ puts: [] });
    expect(codeOf(heartbeat(there.view.session('a')!, 1, NOW))).toBe('session_lease_fenced');
  });

  it('ending ends the subtree and every edge at it, and a second time nothing', () => {
    const there = joined();
    const end = () => endSession(there.view.session('a')!, undefined, there.view, NOW);
    there.write(end());
    expect(['a', 'a1', 'b'].map((id) => there.view.session(id)!.status)).toEqual(['ended', 'ended', 'active']);
    expect(there.view.edge('ab')).toMatchObject({ status: 'revoked', endedAt: NOW });
    expect(end()).toEqual({ type: 'changed', puts: [], result: undefined });
  });
});

describe('revoking an edge', () => {
  it('counts what it revokes, whom it touches and who ends, and the second time nothing', () => {
    const there = joined();
    there.start({ sessionID: 'b1', application: TILL, parentID: 'b' });
    there.start({ sessionID: 'b2', application: TILL, parentID: 'b1', parentAuthority: 'none' });
    there.edge('bc', 'b', 'c', { maxHops: 1 });
    there.edge('bc2', 'b', 'c', { maxHops: 1 });
    const revoke = () => revokeEdge(there.view.edge('ab')!, there.view, NOW);
    expect(there.write(revoke())).toEqual({ revokedEdges: 4, affectedSessions: 3, terminatedSessions: 2 });
    expect(['a', 'b', 'c'].map((id) => there.view.session(id)!.status)).toEqual(['active', 'active', 'active']);
    expect(revoke()).toEqual({
      type: 'changed',
      puts: [],
      result: { revokedEdges: 0, affectedSessions: 0, terminatedSessions: 0 },
    });
  });

  it('of one below leaves what is above and beside it', () => {
    const there = joined();
    there.edge('bc', 'b', 'c', { maxHops: 1 });
    there.edge('bc2', 'b', 'c', { maxHops: 1 });
    there.write(revokeEdge(there.view.edge('bc')!, there.view, NOW));
    expect(['ab', 'bc', 'bc2'].map((id) => there.view.edge(id)!.status)).toEqual(['active', 'revoked', 'active']);
  });
});

describe('what is over by time', () => {
  it('is nothing at first, then swept with all that hangs on it, each saying why it ended', () => {
    const there = joined({ expiresAt: SECONDS + 100 });
    there.start({ sessionID: 'b1', application: TILL, parentID: 'b' });
    expect(endExpired(there.view, NOW)).toBeUndefined();
    const later = NOW + 100_000;
    const swept = endExpired(there.view, later)!;
    expect(swept.sessions.map(({ id, status }) => [id, status])).toEqual([['b1', 'ended']]);
    expect(swept.edges.map(({ id, status }) => [id, status]).sort()).toEqual([
      ['ab', 'expired'],
      ['edge-to-b1', 'expired'],
    ]);
  });

  it('a suspended service keeps its lease, so that it can be resumed', () => {
    const there = suspended(serviceIn(world()), 's');
    there.write(heartbeat(there.view.session('s')!, 1, NOW + 100_000));
    expect(there.view.session('s')).toMatchObject({ status: 'suspended', lease: { generation: 1 } });
    expect(there.view.session('s')!.lease!.until).toBe(Math.floor((NOW + 100_000) / 1000) + LEASE_SECONDS);
  });

  it('a service without a heartbeat expires, and its task ends', () => {
    const there = serviceIn(world());
    there.start({ sessionID: 't', parentID: 's' });
    const swept = endExpired(there.view, NOW + LEASE_SECONDS * 1000)!;
    expect(swept.sessions.map(({ id, status }) => [id, status])).toEqual([
      ['s', 'expired'],
      ['t', 'ended'],
    ]);
  });
});
