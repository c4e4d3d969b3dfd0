/** On what an exchange within an agent session rests: the session, the edges down to it, and the root whose authority it is. */
import type { Denial, DenialReason, ExchangeRequest } from '../decision.ts';
import type { PolicySubject } from '../policyInput.ts';
import type { RuntimeView } from '../runtimeIndex.ts';
import type { ZoneSnapshot } from '../snapshot.ts';
import { deadPartOf, endOf, footingOf } from './alive.ts';
import type { AgentSession, ApplicationRef, DelegationEdge } from './model.ts';
import { closedEdge, edgesOf, membersUntil } from './travel.ts';

export interface Lineage {
  readonly type: 'lineage';
  readonly session: AgentSession;
  /** Root → leaf; empty without delegation. */
  readonly edges: readonly DelegationEdge[];
  readonly root: LineageRoot;
  /** Unix seconds: nothing of it lives longer; Infinity where only leases and Grants bound it. */
  readonly end: number;
}

/** Whose authority it is: the application and the subject at the root of the chain. */
export interface LineageRoot {
  readonly application: ApplicationRef;
  readonly subject: PolicySubject;
  readonly subjectIssuer?: string;
  readonly rootSid: string;
}

export interface LineageQuery {
  readonly agentSessionID: string | undefined;
  readonly delegationEdgeID: string | undefined;
  /** Who asks, as authenticated. */
  readonly application: ApplicationRef;
}

/** Undefined where neither a session nor an edge is named. Messages never speak of another application's sessions. */
export function resolveLineage(
  { agentSessionID, delegationEdgeID, application }: LineageQuery,
  runtime: RuntimeView,
  zone: ZoneSnapshot,
  now: number,
): Lineage | Denial | undefined {
  if (agentSessionID === undefined) {
    if (delegationEdgeID === undefined) return undefined;
    return deny('SessionRequired', 'delegation_edge_id needs agent_session_id: the session that acts under it');
  }
  const session = runtime.session(agentSessionID);
  if (session?.application.uid !== application.uid)
    return deny('SessionUnknown', 'agent_session_id is no agent session of this application');
  const seconds = Math.floor(now / 1000);
  if (deadPartOf(session, runtime, seconds))
    return deny('SessionNotActive', 'the agent session, or one that it hangs on, is suspended, expired or ended');
  if (delegationEdgeID === undefined) {
    if (session.edgeID === undefined) return toLineage(session, [], runtime, zone);
    return deny('DelegationRequired', 'the agent session holds its authority by an edge: send delegation_edge_id');
  }
  const edge = runtime.edge(delegationEdgeID);
  if (edge?.targetSessionID !== session.id)
    return deny('DelegationUnknown', 'delegation_edge_id is no edge to this agent session');
  const edges = edgesOf(edge.path, runtime);
  if (!edges || deadPartOf(edge, runtime, seconds))
    return deny('DelegationNotActive', 'the edge, or something that it hangs on, is suspended, expired or revoked');
  if (!closedEdge(edges, zone)) return toLineage(session, edges, runtime, zone);
  return deny(
    'DelegationNotPermitted',
    'an Application of the chain no longer lets the next one receive (spec.delegation)',
  );
}

function toLineage(
  session: AgentSession,
  edges: readonly DelegationEdge[],
  runtime: RuntimeView,
  zone: ZoneSnapshot,
): Lineage {
  const root = edges[0] ? (runtime.session(edges[0].sourceSessionID) ?? session) : session;
  const { application, subject, subjectIssuer, rootSid } = root;
  return {
    type: 'lineage',
    session,
    edges,
    root: { application, subject, rootSid, ...(subjectIssuer !== undefined && { subjectIssuer }) },
    end: Math.min(endOf(footingOf([session, ...edges], runtime)), membersUntil(edges, session.application, zone)),
  };
}

/** All on which it rests, with the logins that started it: what a Revocation may name. */
export function lineageIDs({ session, edges }: Lineage, runtime: RuntimeView): NonNullable<ExchangeRequest['lineage']> {
  const footing = footingOf([session, ...edges], runtime);
  const sessions = [...footing.sessions.values()];
  return {
    sessions: sessions.map(({ id }) => id),
    edges: [...footing.edges.keys()],
    sids: [...new Set(sessions.flatMap(({ sid, rootSid, subjectSid }) => [sid, rootSid, subjectSid ?? []].flat()))],
    applications: [...new Set([session.application, ...edges.map(({ issuer }) => issuer)].map(({ id }) => id))],
    started: sessions.map(({ application, subject, startedAt }) => ({
      at: startedAt,
      applicationID: application.id,
      ...(subject.type === 'user' && { subject: { issuer: subject.issuer, sub: subject.sub } }),
    })),
  };
}

function deny(reason: DenialReason, message: string): Denial {
  return { type: 'denial', reason, message };
}
