/** What ends with a session or an edge: its subtree, the edges at it, what was passed on, and sessions that lived only by an edge. */
import type { AuthorityChange } from '../feed.ts';
import type { RuntimeView } from '../runtimeIndex.ts';
import type { AgentSession, DelegationEdge, SessionStatus } from './model.ts';

export interface Cascade {
  readonly sessions: readonly AgentSession[];
  readonly edges: readonly DelegationEdge[];
  readonly change: AuthorityChange;
}

/** Everything that is open and ends with these, each as it is from now on (`now` in Unix milliseconds). */
export function endTogether(
  roots: { readonly sessions?: readonly AgentSession[]; readonly edges?: readonly DelegationEdge[] },
  runtime: RuntimeView,
  now: number,
  statusOf: (session: AgentSession) => Extract<SessionStatus, 'ended' | 'expired'> = () => 'ended',
): Cascade {
  const sessions = new Map<string, AgentSession>();
  const edges = new Map<string, DelegationEdge>();
  const queue: (AgentSession | DelegationEdge)[] = [...(roots.sessions ?? []), ...(roots.edges ?? [])];
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (next.kind === 'agentSession') {
      if (isClosed(next) || sessions.has(next.id)) continue;
      sessions.set(next.id, { ...next, status: statusOf(next), endedAt: now });
      queue.push(...runtime.children(next.id), ...runtime.inbound(next.id), ...runtime.outbound(next.id));
    } else {
      if (next.status !== 'active' || edges.has(next.id)) continue;
      edges.set(next.id, { ...next, status: next.expiresAt * 1000 <= now ? 'expired' : 'revoked', endedAt: now });
      queue.push(...runtime.under(next.id), ...runtime.livingBy(next.id));
    }
  }
  return {
    sessions: [...sessions.values()],
    edges: [...edges.values()],
    change: toChange([...sessions.keys()], [...edges.keys()]),
  };
}

/** The session and all below it, whether suspended or not. */
export function subtree(session: AgentSession, runtime: RuntimeView): readonly AgentSession[] {
  return [session, ...runtime.children(session.id).flatMap((child) => subtree(child, runtime))];
}

export function toChange(sessions: readonly string[], edges: readonly string[]): AuthorityChange {
  return {
    all: false,
    applications: [],
    resources: [],
    ...(sessions.length > 0 && { sessions: [...sessions].sort() }),
    ...(edges.length > 0 && { edges: [...edges].sort() }),
  };
}

export function isClosed({ status }: AgentSession): boolean {
  return status === 'ended' || status === 'expired';
}
