/** Delegation edges: authority passed from one agent session to another, only ever less than there was. Pure. */
import type { RuntimeView } from '../runtimeIndex.ts';
import type { ZoneSnapshot } from '../snapshot.ts';
import { deadPartOf } from './alive.ts';
import { endTogether } from './cascade.ts';
import type { AgentSession, ApplicationRef, DelegationEdge } from './model.ts';
import { changed, type Changed } from './outcome.ts';
import { isOwn } from './ownership.ts';
import { refuse, type AgentRefusal } from './refusal.ts';
import { mayReceive, reachOf } from './travel.ts';

export interface Delegate {
  readonly edgeID: string;
  readonly issuer: ApplicationRef;
  readonly sourceSessionID: string;
  /** `<namespace>.<name>`. */
  readonly receiverID: string;
  readonly targetSessionID: string;
  readonly parentEdgeID?: string;
  readonly scopes: readonly string[];
  /** Identifiers; empty: all that the parent, or the Grants, reach. */
  readonly resources: readonly string[];
  /** Counts edges from this one on. */
  readonly maxHops: number;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** The longest chain (architecture.md §7). */
export const MAX_PATH = 10;

/** `now` in Unix milliseconds. */
export function delegate(
  order: Delegate,
  runtime: RuntimeView,
  zone: ZoneSnapshot,
  now: number,
): Changed<DelegationEdge> | AgentRefusal {
  const ends = findEnds(order, runtime, zone, now);
  if (ends.type === 'refusal') return ends;
  const parent = findParent(order, runtime, now);
  if (parent?.type === 'refusal') return parent;
  const edge = toEdge(order, ends, parent?.edge, now);
  const refusal =
    checkCycle(edge, runtime) ??
    (parent ? checkNarrower(edge, parent.edge) : undefined) ??
    checkReach(edge, ends, runtime, zone, now);
  return refusal ?? changed(edge, [edge]);
}

interface Ends {
  readonly type: 'ends';
  readonly source: AgentSession;
  readonly target: AgentSession;
}

/** Who may not receive is told before anything of its sessions is looked at. */
function findEnds(order: Delegate, runtime: RuntimeView, zone: ZoneSnapshot, now: number): Ends | AgentRefusal {
  const seconds = Math.floor(now / 1000);
  const source = runtime.session(order.sourceSessionID);
  if (!source || !isOwn(source, order.issuer, runtime))
    return refuse('agent_session_not_found', 'source_session_id names no agent session of this application');
  const receiver = { id: order.receiverID, uid: zone.applications.get(order.receiverID)?.uid ?? '' };
  if (!mayReceive(source.application, receiver, zone))
    return exceeds(`spec.delegation of Application ${source.application.id} does not let ${receiver.id} receive`);
  const target = runtime.session(order.targetSessionID);
  if (target?.application.uid !== receiver.uid)
    return refuse('agent_session_not_found', 'target_session_id names no agent session of the receiver');
  if (deadPartOf(source, runtime, seconds))
    return refuse('session_not_active', 'source_session_id: the agent session is not active');
  if (deadPartOf(target, runtime, seconds))
    return refuse('session_not_active', 'target_session_id: the agent session is not active');
  if (order.expiresAt <= seconds) return refuse('delegation_expiry_required', 'the edge would have ended already');
  return { type: 'ends', source, target };
}

/** Named, or the only one that the source holds: what came in by an edge goes out under it. */
function findParent(
  { parentEdgeID, sourceSessionID }: Delegate,
  runtime: RuntimeView,
  now: number,
): { readonly type: 'parent'; readonly edge: DelegationEdge } | AgentRefusal | undefined {
  const held = runtime.inbound(sourceSessionID).filter(({ status }) => status === 'active');
  const candidates = parentEdgeID === undefined ? held : held.filter(({ id }) => id === parentEdgeID);
  if (candidates.length > 1)
    return refuse('parent_delegation_ambiguous', 'the source session holds several edges: set parent_edge_id');
  const [edge] = candidates;
  if (!edge && parentEdgeID === undefined) return undefined;
  if (!edge || deadPartOf(edge, runtime, Math.floor(now / 1000)))
    return refuse('parent_delegation_not_active', 'parent_edge_id names no active edge to the source session');
  return { type: 'parent', edge };
}

function toEdge(
  order: Delegate,
  { source, target }: Ends,
  parent: DelegationEdge | undefined,
  now: number,
): DelegationEdge {
  return {
    kind: 'delegationEdge',
    id: order.edgeID,
    issuer: source.application,
    sourceSessionID: source.id,
    receiver: target.application,
    targetSessionID: target.id,
    ...(parent && { parentEdgeID: parent.id }),
    scopes: order.scopes,
    resources: order.resources.length === 0 && parent ? parent.resources : order.resources,
    hopsLeft: order.maxHops - 1,
    path: [...(parent?.path ?? []), order.edgeID],
    status: 'active',
    createdAt: now,
    expiresAt: order.expiresAt,
  };
}

/** The same authority once more, to a child of who holds it. */
export function passOn(
  parent: DelegationEdge,
  { id, source, target }: { readonly id: string; readonly source: AgentSession; readonly target: AgentSession },
  runtime: RuntimeView,
  now: number,
): Changed<DelegationEdge> | AgentRefusal {
  if (deadPartOf(parent, runtime, Math.floor(now / 1000)))
    return refuse('parent_delegation_not_active', 'the edge of the parent session is not active');
  const edge: DelegationEdge = {
    kind: 'delegationEdge',
    id,
    issuer: source.application,
    sourceSessionID: source.id,
    receiver: target.application,
    targetSessionID: target.id,
    parentEdgeID: parent.id,
    scopes: parent.scopes,
    resources: parent.resources,
    hopsLeft: parent.hopsLeft - 1,
    path: [...parent.path, id],
    status: 'active',
    createdAt: now,
    expiresAt: Math.min(parent.expiresAt, target.expiresAt ?? Number.POSITIVE_INFINITY),
  };
  return checkNarrower(edge, parent) ?? changed(edge, [edge]);
}

/** Nobody receives what came from itself, directly or through others. */
function checkCycle({ sourceSessionID, targetSessionID }: DelegationEdge, runtime: RuntimeView) {
  const seen = new Set<string>();
  const queue = [sourceSessionID];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (id === targetSessionID)
      return refuse('delegation_cycle_denied', 'target_session_id is where this authority came from');
    if (seen.has(id)) continue;
    seen.add(id);
    for (const edge of runtime.inbound(id)) if (edge.status === 'active') queue.push(edge.sourceSessionID);
  }
  return undefined;
}

function checkNarrower(edge: DelegationEdge, parent: DelegationEdge): AgentRefusal | undefined {
  const scope = edge.scopes.find((one) => !parent.scopes.includes(one));
  if (scope !== undefined) return exceeds(`scopes: the edge that is passed on does not carry ${scope}`);
  const resource = edge.resources.find((one) => parent.resources.length > 0 && !parent.resources.includes(one));
  if (resource !== undefined) return exceeds(`resources: the edge that is passed on does not reach ${resource}`);
  if (parent.hopsLeft < 1 || edge.hopsLeft < 0) return exceeds('max_hops: the edge may not be passed on');
  if (edge.hopsLeft > parent.hopsLeft - 1) return exceeds(`max_hops: at most ${parent.hopsLeft} are left`);
  if (edge.path.length > MAX_PATH) return exceeds(`a chain has at most ${MAX_PATH} edges`);
  if (edge.expiresAt > parent.expiresAt) return exceeds('the edge would outlive the one that is passed on');
  return undefined;
}

function exceeds(message: string): AgentRefusal {
  return refuse('delegation_exceeds_parent_authority', message);
}

/** What nobody could use is refused now, where the one who can mend it looks. */
function checkReach(
  edge: DelegationEdge,
  { source }: Ends,
  runtime: RuntimeView,
  zone: ZoneSnapshot,
  now: number,
): AgentRefusal | undefined {
  const unknown = edge.resources.find((identifier) => !zone.resources.has(identifier));
  if (unknown !== undefined) return exceeds(`resources: no accepted Resource of the zone is ${unknown}`);
  const reach = reachOf(edge, source, runtime, zone, now);
  const scope = edge.scopes.find((one) => !reach.some(({ scopes }) => scopes.includes(one)));
  if (scope === undefined) return undefined;
  return exceeds(
    `scopes: nothing in force gives ${scope} on these Resources and lets it travel to ${edge.receiver.id}`,
  );
}

export interface Revoked {
  readonly revokedEdges: number;
  readonly affectedSessions: number;
  readonly terminatedSessions: number;
}

/** Revokes it with everything below; a second time there is nothing left to revoke. */
export function revokeEdge(edge: DelegationEdge, runtime: RuntimeView, now: number): Changed<Revoked> {
  const { sessions, edges, change } = endTogether({ edges: [edge] }, runtime, now);
  const result = {
    revokedEdges: edges.length,
    affectedSessions: new Set(edges.map(({ targetSessionID }) => targetSessionID)).size,
    terminatedSessions: sessions.length,
  };
  return changed(result, [...sessions, ...edges], edges.length > 0 ? change : undefined);
}
