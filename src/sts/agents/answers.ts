/** Sessions and edges as the wire shows them. */
import { endOf, footingOf } from '../../authority/agents/alive.ts';
import type { AgentSession, DelegationEdge } from '../../authority/agents/model.ts';
import type { Reach } from '../../authority/agents/travel.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';

const instant = (seconds: number) => new Date(seconds * 1000).toISOString();

export function toSessionAnswer(session: AgentSession, zoneID: string, runtime: RuntimeView) {
  const { id, application, parentID, lifecycle, labels, metadata, depth, startedAt, expiresAt, edgeID } = session;
  const end = endOf(footingOf([session], runtime));
  return {
    agent_session_id: id,
    zone_id: zoneID,
    application_id: application.id,
    parent_id: parentID ?? null,
    lifecycle,
    labels,
    metadata,
    depth,
    ttl_seconds: expiresAt === undefined ? null : expiresAt - Math.floor(startedAt / 1000),
    started_at: new Date(startedAt).toISOString(),
    expires_at: Number.isFinite(end) ? instant(end) : null,
    ...toLease(session),
    delegation_edge_id: edgeID ?? null,
  };
}

/** The members that a heartbeat and a lease answer too. */
export function toLease({ status, lease }: AgentSession) {
  return {
    status,
    heartbeat_deadline_at: lease ? instant(lease.until) : null,
    lease_generation: lease?.generation ?? 0,
  };
}

export function toEdgeAnswer(edge: DelegationEdge) {
  const { id, status, issuer, receiver, sourceSessionID, targetSessionID, parentEdgeID } = edge;
  const { scopes, resources, hopsLeft, path, createdAt, expiresAt } = edge;
  return {
    id,
    status,
    issuer_application_id: issuer.id,
    source_session_id: sourceSessionID,
    receiver_application_id: receiver.id,
    target_session_id: targetSessionID,
    parent_edge_id: parentEdgeID ?? null,
    scopes,
    resources,
    hops_left: hopsLeft,
    delegation_path: path,
    created_at: new Date(createdAt).toISOString(),
    expires_at: instant(expiresAt),
  };
}

export function toDelegated(edge: DelegationEdge, reach: readonly Reach[]) {
  return {
    delegation_edge_id: edge.id,
    scopes: edge.scopes,
    expires_at: instant(edge.expiresAt),
    effective_authority: reach,
  };
}
