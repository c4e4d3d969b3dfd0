/** What has lost its ground otherwise than by time: by a Revocation, or because its Application is another now; with all that hangs on it. */
import { findRevocationOfEdge, findRevocationOfSession } from '../revocation.ts';
import type { RuntimeView } from '../runtimeIndex.ts';
import type { ZoneSnapshot } from '../snapshot.ts';
import { endTogether, isClosed, type Cascade } from './cascade.ts';
import type { AgentSession, DelegationEdge } from './model.ts';

/**
 * Undefined where all stands. A mandate names the sessions of its chain and not those above them, so that ending these,
 * one by one, is what reaches it. `now` in Unix milliseconds.
 */
export function endRevoked(runtime: RuntimeView, zone: ZoneSnapshot, now: number): Cascade | undefined {
  const sessions = [...runtime.sessions()].filter((session) => !isClosed(session) && isGroundless(session, zone));
  const edges = [...runtime.edges()].filter((edge) => edge.status === 'active' && isCut(edge, zone));
  if (sessions.length === 0 && edges.length === 0) return undefined;
  return endTogether({ sessions, edges }, runtime, now);
}

/** An Application that is not there may have been edited badly: it is denied everything until it is back, and loses no run. */
function isGroundless(session: AgentSession, zone: ZoneSnapshot): boolean {
  const { id, uid } = session.application;
  const present = zone.applications.get(id);
  return (present !== undefined && present.uid !== uid) || findRevocationOfSession(zone, session) !== undefined;
}

function isCut(edge: DelegationEdge, zone: ZoneSnapshot): boolean {
  return findRevocationOfEdge(zone, edge) !== undefined;
}
