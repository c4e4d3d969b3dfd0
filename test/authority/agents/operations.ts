/** The operations of the model test: each asks the commands, says whether the reference expects it, and does the same there. */
import { delegate, revokeEdge } from '../../../src/authority/agents/edges.ts';
import { endExpired } from '../../../src/authority/agents/expiry.ts';
import { changed, type Changed } from '../../../src/authority/agents/outcome.ts';
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
import type { RuntimeView } from '../../../src/authority/runtimeIndex.ts';
import type { ZoneSnapshot } from '../../../src/authority/snapshot.ts';
import { ITSELF, user } from '../zone.ts';
import {
  chainOf,
  flowsTo,
  isUsable,
  lifeOf,
  lifeOfEdge,
  mayReceive,
  settle,
  sweep,
  type RefEdge,
  type RefSession,
  type RefState,
} from './reference.ts';
import { orderOf, startOf } from './world.ts';

export const RESOURCES = ['resource://one', 'resource://two'] as const;
export const SCOPES = ['read', 'write', 'pay'] as const;
export const LIMITS = { agentSessions: 12, agentSessionsPerApplication: 6, children: 3, depth: 3 };
const MAX_PATH = 10;

export const KINDS = [
  ...['start', 'child', 'child', 'inherit', 'inherit', 'delegate', 'delegate', 'delegate', 'redelegate', 'redelegate'],
  ...['redelegate', 'suspend', 'resume', 'resume', 'end', 'revoke', 'expire', 'clock', 'heartbeat', 'lease'],
  ...['grant', 'grant', 'application'],
] as const;

/** What happens next: numbers choose among what there is by then. */
export interface Operation {
  readonly kind: string;
  readonly n: readonly number[];
}

export interface Facts {
  readonly state: RefState;
  readonly view: RuntimeView;
  readonly zone: ZoneSnapshot;
}

/** Undefined: there is nothing to do it with. */
export interface Attempt {
  readonly outcome: Changed<unknown> | AgentRefusal;
  readonly isExpected: boolean;
  /** In the reference; only where it was expected. What `result` must be, where that matters. */
  readonly apply: () => unknown;
}

export function attempt(operation: Operation, facts: Facts): Attempt | undefined {
  const { kind, n } = operation;
  const { state } = facts;
  switch (kind) {
    case 'start':
      return start(facts, n, undefined);
    case 'child':
    case 'inherit': {
      const held = state.edges.filter(({ isOpen }) => isOpen).map(({ to }) => to);
      const parent = pick(kind === 'inherit' && held.length > 0 ? held : state.sessions, n[0]!);
      return parent && start(facts, n, parent);
    }
    case 'delegate':
      return delegating(facts, n);
    case 'redelegate':
      return redelegating(facts, n);
    case 'suspend':
      return withSession(facts, n, (session) => suspending(facts, session));
    case 'resume': {
      const suspended = state.sessions.filter(({ status }) => status === 'suspended');
      return withSession(facts, n, (session) => resuming(facts, session), suspended);
    }
    case 'end':
      return withSession(facts, n, (session) => ending(facts, session, n[1]!));
    case 'heartbeat':
      return withSession(facts, n, (session) => beating(facts, session, n[1]!));
    case 'lease':
      return withSession(
        facts,
        n,
        (session) => leasing(facts, session),
        state.sessions.filter(({ isService }) => isService),
      );
    case 'revoke': {
      const edge = pick(state.edges, n[0]!);
      return edge && revoking(facts, edge);
    }
    case 'expire':
      return expiring(facts);
    default:
      throw new Error(`no operation ${kind}`);
  }
}

function pick<T>(from: readonly T[], n: number): T | undefined {
  return from[n % Math.max(1, from.length)];
}

function subset<T>(from: readonly T[], bits: number): readonly T[] {
  return from.filter((_one, index) => (bits >> index) % 2 === 1);
}

function withSession(
  { state }: Facts,
  n: readonly number[],
  act: (session: RefSession) => Attempt,
  from = state.sessions,
): Attempt | undefined {
  const session = pick(from.length > 0 ? from : state.sessions, n[0]!);
  return session && act(session);
}

function refOf({ view }: Facts, { id }: RefSession) {
  return view.session(id)!;
}

function open(sessions: readonly RefSession[]): readonly RefSession[] {
  return sessions.filter(({ status }) => status !== 'closed');
}

function start(facts: Facts, n: readonly number[], parent: RefSession | undefined): Attempt {
  const { state, view, zone } = facts;
  const other = pick(state.apps, n[1]!)!;
  const { id: app, uid } = parent && n[1]! % 8 !== 0 ? { id: parent.app, uid: parent.uid } : other;
  const id = `s${state.sessions.length}`;
  const isService = n[2]! % 3 === 0;
  const person = n[3]! % 5 === 0 ? 'ann' : undefined;
  const seconds = 60 + (n[4]! % 600);
  const login = person && { sid: `login-${id}`, expiresAt: state.now + 30 + (n[5]! % 900) };
  const inbound = state.edges.filter(({ isOpen, to }) => isOpen && to === parent);
  const inherits = parent !== undefined && n[6]! % 5 !== 0;
  const named = inherits && n[6]! % 2 === 0 ? pick(inbound, n[7]!) : undefined;
  const outcome = startSession(
    startOf({
      sessionID: id,
      application: { id: app, uid },
      subject: person === undefined ? { ...ITSELF, sub: app } : user({ sub: person }),
      lifecycle: isService ? 'service' : 'task',
      ...(login && { login }),
      ...(!isService && { ttlSeconds: seconds }),
      ...(parent && { parentID: parent.id }),
      parentAuthority: inherits ? 'inherit' : 'none',
      ...(named && { inheritParentEdgeID: named.id }),
    }),
    view,
    zone,
    state.now * 1000,
  );
  const passed = inherits ? (named ?? inbound[0]) : undefined;
  const fixed = parent ? fixedEnd(parent) : Number.POSITIVE_INFINITY;
  const session: RefSession = {
    id,
    app,
    uid,
    user: person,
    parent,
    depth: parent ? parent.depth + 1 : 0,
    isService,
    end: Math.min(isService ? Number.POSITIVE_INFINITY : state.now + seconds, login?.expiresAt ?? Infinity, fixed),
    lives: undefined,
    lease: isService ? { generation: 1, until: state.now + LEASE_SECONDS } : undefined,
    status: 'active',
  };
  const isExpected =
    isRoom(state, session) &&
    isParent(session, state) &&
    (passed === undefined ||
      ((named !== undefined || inbound.length === 1) &&
        lifeOfEdge(passed, state.now) !== undefined &&
        passed.hops > 0 &&
        chainOf(passed).length < MAX_PATH));
  return { outcome, isExpected, apply: () => add(state, session, passed) };
}

function add({ sessions, edges }: RefState, session: RefSession, passed: RefEdge | undefined): void {
  sessions.push(session);
  if (!passed) return;
  const { scopes, resources, hops } = passed;
  const end = Math.min(passed.end, session.end);
  const from = session.parent!;
  const edge = { id: `edge-to-${session.id}`, from, to: session, parent: passed, scopes, resources, end, isOpen: true };
  edges.push({ ...edge, hops: hops - 1 });
  session.lives = edges.at(-1);
}

/** What no heartbeat moves. */
function fixedEnd({ end, parent, lives }: RefSession): number {
  return Math.min(end, parent ? fixedEnd(parent) : Infinity, lives ? fixedEdgeEnd(lives) : Infinity);
}

function fixedEdgeEnd({ end, from, parent }: RefEdge): number {
  return Math.min(end, fixedEnd(from), parent ? Math.min(fixedEdgeEnd(parent), fixedEnd(parent.to)) : Infinity);
}

function isRoom({ sessions }: RefState, { uid, parent, depth }: RefSession): boolean {
  const all = open(sessions);
  return (
    all.length < LIMITS.agentSessions &&
    all.filter((one) => one.uid === uid).length < LIMITS.agentSessionsPerApplication &&
    (!parent || all.filter((one) => one.parent === parent).length < LIMITS.children) &&
    depth <= LIMITS.depth
  );
}

function isParent({ parent, uid, isService }: RefSession, { now }: RefState): boolean {
  if (!parent) return true;
  return parent.uid === uid && lifeOf(parent, now) !== undefined && (!isService || parent.isService);
}

interface Order {
  readonly source: RefSession;
  readonly target: RefSession;
  readonly parent: RefEdge | undefined;
  readonly scopes: readonly string[];
  readonly resources: readonly string[];
  readonly maxHops: number;
  readonly end: number;
}

function delegating(facts: Facts, n: readonly number[]): Attempt | undefined {
  const { state } = facts;
  const live = state.sessions.filter(({ status }) => n[7]! % 8 === 0 || status === 'active');
  const source = pick(live, n[0]!);
  const target = source && pick(targets(state, source, live, n[1]!), n[1]!);
  if (!source || !target) return undefined;
  const parent = n[2]! % 3 === 0 ? pick(state.edges, n[2]!) : undefined;
  const scopes = subset(SCOPES, 1 + (n[3]! % 7));
  const resources = subset(RESOURCES, n[4]! % 4);
  const order = { source, target, parent, scopes, resources, maxHops: 1 + (n[5]! % 7) };
  return pass(facts, { ...order, end: state.now + (n[6]! % 900) });
}

/** Mostly those to which it can go without coming back, sometimes any. */
function targets(state: RefState, source: RefSession, from: readonly RefSession[], n: number): readonly RefSession[] {
  return n % 6 === 0 ? from : from.filter((one) => !flowsTo(one, source, state));
}

/** Mostly within what there is, sometimes a little beyond. */
function redelegating(facts: Facts, n: readonly number[]): Attempt | undefined {
  const { state } = facts;
  const passable = state.edges.filter(({ isOpen, hops }) => isOpen && hops > 0);
  const parent = pick(n[7]! % 8 === 0 ? state.edges : passable, n[0]!);
  const live = state.sessions.filter(({ status }) => n[7]! % 8 === 0 || status === 'active');
  const target = parent && pick(targets(state, parent.to, live, n[1]!), n[1]!);
  if (!parent || !target) return undefined;
  const scopes = n[3]! % 6 === 0 ? SCOPES : [...parent.scopes].slice(n[3]! % parent.scopes.size);
  const resources = n[4]! % 3 === 0 ? subset(RESOURCES, n[4]! % 4) : [...(parent.resources ?? [])];
  const maxHops = Math.max(1, parent.hops + (n[5]! % 6 === 0 ? 1 : 0) - (n[5]! % 2));
  const end = parent.end + (n[6]! % 6 === 0 ? 1 : 0) - (n[6]! % 3);
  return pass(facts, {
    source: parent.to,
    target,
    parent: n[2]! % 2 === 0 ? parent : undefined,
    scopes,
    resources,
    maxHops,
    end,
  });
}

function pass(facts: Facts, { source, target, parent: named, scopes, resources, maxHops, end }: Order): Attempt {
  const { state, view, zone } = facts;
  const id = `e${state.edges.length}`;
  const order = orderOf(id, refOf(facts, source), refOf(facts, target), {
    scopes,
    resources,
    maxHops,
    expiresAt: end,
    ...(named && { parentEdgeID: named.id }),
  });
  const outcome = delegate(order, view, zone, state.now * 1000);
  const inbound = state.edges.filter(({ isOpen, to }) => isOpen && to === source);
  const parent = named ?? inbound[0];
  const edge: RefEdge = {
    id,
    from: source,
    to: target,
    parent,
    scopes: new Set(scopes),
    resources: resources.length > 0 ? new Set(resources) : parent?.resources,
    hops: maxHops - 1,
    end,
    isOpen: true,
  };
  const isFree = !flowsTo(target, source, state) && end > state.now && mayReceive(source, target, state);
  const isAlive = [source, target].every((one) => lifeOf(one, state.now) !== undefined);
  const isParentFit = named ? inbound.includes(named) : inbound.length <= 1;
  const isExpected =
    isFree && isAlive && isParentFit && (!parent || isWithin(edge, parent, state)) && isUsable(edge, state);
  return { outcome, isExpected, apply: () => void state.edges.push(edge) };
}

function isWithin(edge: RefEdge, parent: RefEdge, { now }: RefState): boolean {
  return (
    lifeOfEdge(parent, now) !== undefined &&
    edge.scopes.isSubsetOf(parent.scopes) &&
    (parent.resources === undefined || edge.resources!.isSubsetOf(parent.resources)) &&
    edge.hops < parent.hops &&
    edge.end <= parent.end &&
    chainOf(edge).length <= MAX_PATH
  );
}

function suspending(facts: Facts, session: RefSession): Attempt {
  return {
    outcome: suspendSession(refOf(facts, session), facts.view),
    isExpected: session.status !== 'closed',
    apply: () => void (session.status = 'suspended'),
  };
}

function resuming(facts: Facts, session: RefSession): Attempt {
  const { state, view } = facts;
  const was = session.status;
  session.status = was === 'closed' ? 'closed' : 'active';
  const isExpected = was === 'active' || lifeOf(session, state.now) !== undefined;
  session.status = was;
  const outcome = resumeSession(refOf(facts, session), view, state.now * 1000);
  return { outcome, isExpected, apply: () => void (session.status = 'active') };
}

/** The present one, a stale one, or none. */
function generationOf({ lease }: RefSession, n: number): number | undefined {
  if (n % 4 === 0) return undefined;
  return (lease?.generation ?? 0) - (n % 4 === 1 ? 1 : 0);
}

function ending(facts: Facts, session: RefSession, n: number): Attempt {
  const { state, view } = facts;
  const generation = generationOf(session, n);
  return {
    outcome: endSession(refOf(facts, session), generation, view, state.now * 1000),
    isExpected: generation === undefined || generation === (session.lease?.generation ?? 0),
    apply: () => {
      session.status = 'closed';
      settle(state);
    },
  };
}

/** Its own, whatever it hangs on: a lease gives no authority. */
function ownEnd({ end, lease }: RefSession): number {
  return Math.min(end, lease?.until ?? Number.POSITIVE_INFINITY);
}

function beating(facts: Facts, session: RefSession, n: number): Attempt {
  const { state } = facts;
  const generation = generationOf(session, n);
  const isHolder = session.lease
    ? generation === session.lease.generation
    : generation === undefined || generation === 0;
  return {
    outcome: heartbeat(refOf(facts, session), generation, state.now * 1000),
    isExpected: isHolder && session.status !== 'closed' && ownEnd(session) > state.now,
    apply: () => {
      if (session.lease) session.lease = { ...session.lease, until: state.now + LEASE_SECONDS };
    },
  };
}

function leasing(facts: Facts, session: RefSession): Attempt {
  const { state, view } = facts;
  return {
    outcome: takeLease(refOf(facts, session), view, state.now * 1000),
    isExpected: session.isService && lifeOf(session, state.now) !== undefined,
    apply: () => {
      session.lease = { generation: session.lease!.generation + 1, until: state.now + LEASE_SECONDS };
    },
  };
}

function revoking({ state, view }: Facts, edge: RefEdge): Attempt {
  return {
    outcome: revokeEdge(view.edge(edge.id)!, view, state.now * 1000),
    isExpected: true,
    apply: () => {
      const before = { edges: state.edges.filter(({ isOpen }) => isOpen), sessions: open(state.sessions) };
      edge.isOpen = false;
      settle(state);
      const closed = before.edges.filter(({ isOpen }) => !isOpen);
      return {
        revokedEdges: closed.length,
        affectedSessions: new Set(closed.map(({ to }) => to)).size,
        terminatedSessions: before.sessions.filter(({ status }) => status === 'closed').length,
      };
    },
  };
}

function expiring({ state, view }: Facts): Attempt {
  const swept = endExpired(view, state.now * 1000);
  return {
    outcome: swept ? changed(undefined, [...swept.sessions, ...swept.edges], swept.change) : changed(undefined, []),
    isExpected: true,
    apply: () => sweep(state),
  };
}
