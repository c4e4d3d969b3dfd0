/** The life of agent sessions: start, suspend, resume, end, and the lease of a service. Pure: what is decided here is written by the caller. */
import type { PolicySubject } from '../policyInput.ts';
import type { RuntimeView } from '../runtimeIndex.ts';
import type { ZoneSnapshot } from '../snapshot.ts';
import { deadPartOf, isSessionOver, fixedEndOf, footingOf } from './alive.ts';
import { endTogether, isClosed, stoppedWith } from './cascade.ts';
import { passOn } from './edges.ts';
import type { AgentSession, ApplicationRef, DelegationEdge, Lifecycle } from './model.ts';
import { changed, type Changed } from './outcome.ts';
import { isOwn } from './ownership.ts';
import { refuse, type AgentRefusal } from './refusal.ts';

export interface StartSession {
  readonly sessionID: string;
  /** For the edge that is made where the parent's is inherited. */
  readonly edgeID: string;
  readonly application: ApplicationRef;
  readonly sid: string;
  readonly rootSid: string;
  readonly subject: PolicySubject;
  readonly subjectIssuer?: string;
  /** Of an attached user: the record of the login, and its end (Unix seconds). */
  readonly login?: { readonly sid: string; readonly expiresAt: number };
  readonly lifecycle: Lifecycle;
  readonly parentID?: string;
  readonly ttlSeconds?: number;
  readonly labels: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly parentAuthority: 'inherit' | 'none';
  readonly inheritParentEdgeID?: string;
}

export interface Started {
  readonly session: AgentSession;
  readonly edge?: DelegationEdge;
}

/** Seconds that a lease lasts without a heartbeat. */
export const LEASE_SECONDS = 120;
/** Seconds that a task lasts where nothing else is asked for. */
export const DEFAULT_TASK_SECONDS = 3600;

/** `now` in Unix milliseconds. */
export function startSession(
  start: StartSession,
  runtime: RuntimeView,
  zone: Pick<ZoneSnapshot, 'limits'>,
  now: number,
): Changed<Started> | AgentRefusal {
  const parent = start.parentID === undefined ? undefined : runtime.session(start.parentID);
  const refusal = checkParent(start, parent, runtime, now) ?? checkLimits(start, parent, runtime, zone);
  if (refusal) return refusal;
  const session = toSession(start, parent, runtime, now);
  const inherited = parent ? inherit(start, session, parent, runtime, now) : undefined;
  if (inherited?.type === 'refusal') return inherited;
  if (!inherited) return changed({ session }, [session]);
  const { result: edge } = inherited;
  const living = { ...session, edgeID: edge.id };
  return changed({ session: living, edge }, [living, edge]);
}

function checkParent(
  { application, parentID, lifecycle }: StartSession,
  parent: AgentSession | undefined,
  runtime: RuntimeView,
  now: number,
): AgentRefusal | undefined {
  if (parentID === undefined) return undefined;
  if (!parent || !isOwn(parent, application, runtime))
    return refuse('agent_session_not_found', 'parent_id names no agent session of this application');
  if (deadPartOf(parent, runtime, Math.floor(now / 1000)))
    return refuse('session_not_active', 'parent_id: the agent session is not active');
  if (lifecycle === 'service' && parent.lifecycle === 'task')
    return refuse('task_session_cannot_start_service', 'lifecycle: a task cannot start a service, start another task');
  return undefined;
}

function checkLimits(
  { application }: StartSession,
  parent: AgentSession | undefined,
  runtime: RuntimeView,
  { limits }: Pick<ZoneSnapshot, 'limits'>,
): AgentRefusal | undefined {
  if (runtime.open() >= limits.agentSessions)
    return refuse('session_zone_limit_exceeded', `the zone has ${limits.agentSessions} agent sessions: end some`);
  if (runtime.openOf(application.uid) >= limits.agentSessionsPerApplication)
    return refuse(
      'session_limit_exceeded',
      `${application.id} has ${limits.agentSessionsPerApplication} agent sessions: end some`,
    );
  if (!parent) return undefined;
  if (runtime.children(parent.id).filter((child) => !isClosed(child)).length >= limits.children)
    return refuse('session_children_limit_exceeded', `the parent has ${limits.children} children: end some`);
  if (parent.depth + 1 > limits.depth)
    return refuse('session_depth_limit_exceeded', `sessions are nested ${limits.depth} deep at most`);
  return undefined;
}

function toSession(
  start: StartSession,
  parent: AgentSession | undefined,
  runtime: RuntimeView,
  now: number,
): AgentSession {
  const { sessionID, application, sid, subject, subjectIssuer, login, lifecycle, labels, metadata } = start;
  const seconds = Math.floor(now / 1000);
  const end = Math.min(
    lifecycle === 'task' ? seconds + (start.ttlSeconds ?? DEFAULT_TASK_SECONDS) : Number.POSITIVE_INFINITY,
    login?.expiresAt ?? Number.POSITIVE_INFINITY,
    // A service's lease is renewed, and so is what hangs on it: only ends that are fixed are taken over.
    parent ? fixedEndOf(footingOf([parent], runtime)) : Number.POSITIVE_INFINITY,
  );
  return {
    kind: 'agentSession',
    id: sessionID,
    application,
    sid,
    rootSid: parent?.rootSid ?? start.rootSid,
    subject,
    ...(subjectIssuer !== undefined && { subjectIssuer }),
    ...(login && { subjectSid: login.sid }),
    ...(parent && { parentID: parent.id }),
    depth: parent ? parent.depth + 1 : 0,
    lifecycle,
    labels,
    metadata,
    status: 'active',
    startedAt: now,
    ...(Number.isFinite(end) && { expiresAt: end }),
    ...(lifecycle === 'service' && { lease: { generation: 1, until: seconds + LEASE_SECONDS } }),
  };
}

/** The edge that a child holds from its parent, under the one that the parent holds. */
function inherit(
  { edgeID, parentAuthority, inheritParentEdgeID }: StartSession,
  child: AgentSession,
  parent: AgentSession,
  runtime: RuntimeView,
  now: number,
): Changed<DelegationEdge> | AgentRefusal | undefined {
  if (parentAuthority === 'none') return undefined;
  const active = runtime.inbound(parent.id).filter(({ status }) => status === 'active');
  const named = inheritParentEdgeID === undefined ? active : active.filter(({ id }) => id === inheritParentEdgeID);
  if (named.length > 1)
    return refuse('parent_delegation_ambiguous', 'the parent holds several edges: set inherit_parent_edge_id');
  const [edge] = named;
  if (edge) return passOn(edge, { id: edgeID, source: parent, target: child }, runtime, now);
  if (inheritParentEdgeID === undefined) return undefined;
  return refuse('parent_delegation_not_active', 'inherit_parent_edge_id names no active edge of the parent');
}

/** Ends it with all that hangs on it. `generation`: only if that is who holds the lease now. */
export function endSession(
  session: AgentSession,
  generation: number | undefined,
  runtime: RuntimeView,
  now: number,
): Changed<undefined> | AgentRefusal {
  if (isFenced(session, generation)) return FENCED;
  const { sessions, edges, change } = endTogether({ sessions: [session] }, runtime, now);
  return changed(undefined, [...sessions, ...edges], sessions.length > 0 ? change : undefined);
}

export function suspendSession(session: AgentSession, runtime: RuntimeView): Changed<AgentSession> | AgentRefusal {
  if (isClosed(session)) return refuse('session_not_active', 'the agent session has ended');
  if (session.status === 'suspended') return changed(session, []);
  const suspended = { ...session, status: 'suspended' } as const;
  return changed(suspended, [suspended], stoppedWith(session, runtime));
}

/** What was refused while it was suspended stays refused: whoever resumes asks for new mandates. */
export function resumeSession(
  session: AgentSession,
  runtime: RuntimeView,
  now: number,
): Changed<AgentSession> | AgentRefusal {
  if (session.status === 'active') return changed(session, []);
  const resumed = { ...session, status: 'active' } as const;
  if (isClosed(session) || deadPartOf(resumed, runtime, Math.floor(now / 1000)))
    return refuse('session_not_active', 'the agent session, or one that it hangs on, has ended or is suspended');
  return changed(resumed, [resumed]);
}

/** Renews the lease of a service for its holder, also while it or what it hangs on is suspended: that gives no authority. */
export function heartbeat(
  session: AgentSession,
  generation: number | undefined,
  now: number,
): Changed<AgentSession> | AgentRefusal {
  const seconds = Math.floor(now / 1000);
  if (session.lease && generation === undefined)
    return refuse('invalid_request', 'lease_generation is required for a service');
  if (isFenced(session, generation)) return FENCED;
  if (isClosed(session) || isSessionOver(session, seconds))
    return refuse('session_not_active', 'the agent session has ended');
  if (!session.lease) return changed(session, []);
  const renewed = { ...session, lease: { ...session.lease, until: seconds + LEASE_SECONDS } };
  return changed(renewed, [renewed]);
}

/** Takes the lease: whoever held it before is fenced off by its generation. */
export function takeLease(
  session: AgentSession,
  runtime: RuntimeView,
  now: number,
): Changed<AgentSession> | AgentRefusal {
  const seconds = Math.floor(now / 1000);
  if (!session.lease) return refuse('invalid_request', 'only a service has a lease');
  if (deadPartOf(session, runtime, seconds)) return refuse('session_not_active', 'the agent session is not active');
  const taken = { ...session, lease: { generation: session.lease.generation + 1, until: seconds + LEASE_SECONDS } };
  return changed(taken, [taken]);
}

const FENCED = refuse('session_lease_fenced', 'lease_generation is not the present one: somebody else took the lease');

function isFenced({ lease }: AgentSession, generation: number | undefined): boolean {
  return generation !== undefined && generation !== (lease?.generation ?? 0);
}
