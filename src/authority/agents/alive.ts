/** Whether a session or an edge is alive: by itself, and by everything that it hangs on. Nothing lives below something dead. */
import type { RuntimeView } from '../runtimeIndex.ts';
import type { AgentSession, DelegationEdge } from './model.ts';

/** What is dead of a session or an edge, or of what it hangs on; undefined where it is alive. `seconds`: Unix. */
export function deadPartOfSession(
  session: AgentSession,
  runtime: RuntimeView,
  seconds: number,
): AgentSession | DelegationEdge | undefined {
  if (session.status !== 'active' || isSessionOver(session, seconds)) return session;
  if (session.edgeID !== undefined) {
    const edge = runtime.edge(session.edgeID);
    if (!edge || isEdgeOver(edge, seconds)) return edge ?? session;
  }
  if (session.parentID === undefined) return undefined;
  const parent = runtime.session(session.parentID);
  return parent ? deadPartOfSession(parent, runtime, seconds) : session;
}

/** An edge needs its parent edge and both of its sessions. */
export function deadPartOfEdge(
  edge: DelegationEdge,
  runtime: RuntimeView,
  seconds: number,
): AgentSession | DelegationEdge | undefined {
  if (isEdgeOver(edge, seconds)) return edge;
  for (const id of [edge.sourceSessionID, edge.targetSessionID]) {
    const session = runtime.session(id);
    const dead = session ? deadPartOfSession(session, runtime, seconds) : edge;
    if (dead) return dead;
  }
  if (edge.parentEdgeID === undefined) return undefined;
  const parent = runtime.edge(edge.parentEdgeID);
  return parent ? deadPartOfEdge(parent, runtime, seconds) : edge;
}

/** Its own time has passed, whatever its status says. */
export function isSessionOver({ expiresAt, lease }: AgentSession, seconds: number): boolean {
  return (expiresAt !== undefined && expiresAt <= seconds) || (lease !== undefined && lease.until <= seconds);
}

function isEdgeOver({ status, expiresAt }: DelegationEdge, seconds: number): boolean {
  return status !== 'active' || expiresAt <= seconds;
}

/** Unix seconds until which it lives at most, by its own time and that of every session above it; Infinity without an end. */
export function sessionEnd(session: AgentSession, runtime: RuntimeView): number {
  const parent = session.parentID === undefined ? undefined : runtime.session(session.parentID);
  const edge = session.edgeID === undefined ? undefined : runtime.edge(session.edgeID);
  return Math.min(
    session.expiresAt ?? Number.POSITIVE_INFINITY,
    session.lease?.until ?? Number.POSITIVE_INFINITY,
    edge?.expiresAt ?? Number.POSITIVE_INFINITY,
    parent ? sessionEnd(parent, runtime) : Number.POSITIVE_INFINITY,
  );
}
