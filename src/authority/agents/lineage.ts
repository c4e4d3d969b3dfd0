/** On what an exchange within an agent session rests: the session, the edges down to it, and the root whose authority it is. */
import type { Denial, DenialReason } from '../decision.ts';
import type { PolicySubject } from '../policyInput.ts';
import type { RuntimeView } from '../runtimeIndex.ts';
import type { ZoneSnapshot } from '../snapshot.ts';
import { deadPartOfEdge, deadPartOfSession, sessionEnd } from './alive.ts';
import type { AgentSession, ApplicationRef, DelegationEdge } from './model.ts';
import { edgesOf, mayReceive } from './travel.ts';

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
  if (deadPartOfSession(session, runtime, seconds))
    return deny('SessionNotActive', 'the agent session, or one that it hangs on, is suspended, expired or ended');
  if (delegationEdgeID === undefined) {
    if (session.edgeID === undefined) return toLineage(session, [], runtime);
    return deny('DelegationRequired', 'the agent session holds its authority by an edge: send delegation_edge_id');
  }
  const edge = runtime.edge(delegationEdgeID);
  if (edge?.targetSessionID !== session.id)
    return deny('DelegationUnknown', 'delegation_edge_id is no edge to this agent session');
  const edges = edgesOf(edge.path, runtime);
  if (!edges || deadPartOfEdge(edge, runtime, seconds))
    return deny('DelegationNotActive', 'the edge, or something that it hangs on, is suspended, expired or revoked');
  const closed = edges.find(({ issuer, receiver }) => !mayReceive(issuer, receiver, zone));
  if (!closed) return toLineage(session, edges, runtime);
  return deny(
    'DelegationNotPermitted',
    'an Application of the chain no longer lets the next one receive (spec.delegation)',
  );
}

function toLineage(session: AgentSession, edges: readonly DelegationEdge[], runtime: RuntimeView): Lineage {
  const sources = edges.flatMap(({ sourceSessionID }) => runtime.session(sourceSessionID) ?? []);
  const root = sources[0] ?? session;
  const { application, subject, subjectIssuer, rootSid } = root;
  const ends = [...sources, session].map((one) => sessionEnd(one, runtime));
  return {
    type: 'lineage',
    session,
    edges,
    root: { application, subject, rootSid, ...(subjectIssuer !== undefined && { subjectIssuer }) },
    end: Math.min(...ends, ...edges.map(({ expiresAt }) => expiresAt)),
  };
}

/** Ids of every session and edge on which it rests, and of the logins that started them: what a Revocation may name. */
export function lineageIDs({ session, edges }: Lineage, runtime: RuntimeView) {
  const ends = [
    session.id,
    ...edges.flatMap(({ sourceSessionID, targetSessionID }) => [sourceSessionID, targetSessionID]),
  ];
  const sessions = new Map<string, AgentSession>();
  for (let queue = ends; queue.length > 0;) {
    const known = queue.flatMap((id) => runtime.session(id) ?? []).filter(({ id }) => !sessions.has(id));
    for (const one of known) sessions.set(one.id, one);
    queue = known.flatMap(({ parentID }) => parentID ?? []);
  }
  const all = [...sessions.values()];
  return {
    sessions: all.map(({ id }) => id),
    edges: edges.map(({ id }) => id),
    sids: all.flatMap(({ sid, subjectSid }) => [sid, ...(subjectSid === undefined ? [] : [subjectSid])]),
    applications: [...new Set(all.map(({ application }) => application.id))],
    since: Math.min(...all.map(({ startedAt }) => startedAt), ...edges.map(({ createdAt }) => createdAt)),
  };
}

function deny(reason: DenialReason, message: string): Denial {
  return { type: 'denial', reason, message };
}
