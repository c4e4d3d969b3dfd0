/** Whether a session or an edge is alive: by itself, and by everything that it hangs on. Nothing lives below something dead. */
import type { RuntimeView } from '../runtimeIndex.ts';
import type { AgentSession, DelegationEdge } from './model.ts';

/** Everything that something hangs on, itself included: each once, so that no shape of it makes the walk long. */
export interface Footing {
  readonly sessions: ReadonlyMap<string, AgentSession>;
  readonly edges: ReadonlyMap<string, DelegationEdge>;
  /** The first that hangs on what is not known any more. */
  readonly orphan?: AgentSession | DelegationEdge;
}

/** A session hangs on its parent and the edge by which it lives; an edge on its parent edge and both of its sessions. */
export function footingOf(roots: readonly (AgentSession | DelegationEdge)[], runtime: RuntimeView): Footing {
  const sessions = new Map<string, AgentSession>();
  const edges = new Map<string, DelegationEdge>();
  let orphan: AgentSession | DelegationEdge | undefined;
  const queue = [...roots];
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (next.kind === 'agentSession' ? sessions.has(next.id) : edges.has(next.id)) continue;
    if (next.kind === 'agentSession') sessions.set(next.id, next);
    else edges.set(next.id, next);
    for (const one of directlyUnder(next, runtime)) {
      if (one) queue.push(one);
      else orphan ??= next;
    }
  }
  return { sessions, edges, ...(orphan && { orphan }) };
}

/** Undefined for one that is not known any more. */
function directlyUnder(one: AgentSession | DelegationEdge, runtime: RuntimeView) {
  if (one.kind === 'agentSession')
    return [
      ...(one.parentID === undefined ? [] : [runtime.session(one.parentID)]),
      ...(one.edgeID === undefined ? [] : [runtime.edge(one.edgeID)]),
    ];
  return [
    runtime.session(one.sourceSessionID),
    runtime.session(one.targetSessionID),
    ...(one.parentEdgeID === undefined ? [] : [runtime.edge(one.parentEdgeID)]),
  ];
}

/** What is dead of a session or an edge, or of what it hangs on; undefined where it is alive. `seconds`: Unix. */
export function deadPartOf(
  one: AgentSession | DelegationEdge,
  runtime: RuntimeView,
  seconds: number,
): AgentSession | DelegationEdge | undefined {
  const { sessions, edges, orphan } = footingOf([one], runtime);
  return (
    orphan ??
    sessions.values().find((session) => session.status !== 'active' || isSessionOver(session, seconds)) ??
    edges.values().find((edge) => isEdgeOver(edge, seconds))
  );
}

/** Its own time has passed, whatever its status says. */
export function isSessionOver({ expiresAt, lease }: AgentSession, seconds: number): boolean {
  return (expiresAt !== undefined && expiresAt <= seconds) || (lease !== undefined && lease.until <= seconds);
}

function isEdgeOver({ status, expiresAt }: DelegationEdge, seconds: number): boolean {
  return status !== 'active' || expiresAt <= seconds;
}

/** Unix seconds until which all of it lives at most, if no lease is renewed; Infinity without an end. */
export function endOf(footing: Footing): number {
  const leases = [...footing.sessions.values()].flatMap(({ lease }) => lease?.until ?? []);
  return Math.min(fixedEndOf(footing), ...leases);
}

/** The same whatever leases are renewed. */
export function fixedEndOf({ sessions, edges }: Footing): number {
  const ends = [...sessions.values(), ...edges.values()].flatMap(({ expiresAt }) => expiresAt ?? []);
  return Math.min(Number.POSITIVE_INFINITY, ...ends);
}
