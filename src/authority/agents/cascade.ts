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
  const open = hangingOn([...(roots.sessions ?? []), ...(roots.edges ?? [])], runtime);
  return {
    sessions: open.sessions.map((session) => ({ ...session, status: statusOf(session), endedAt: now })),
    edges: open.edges.map((edge) => ({
      ...edge,
      status: edge.expiresAt * 1000 <= now ? 'expired' : 'revoked',
      endedAt: now,
    })),
    change: toChange(open),
  };
}

/** These and all that hangs on them, as far as it is open: children, edges at a session, edges under an edge, and who lives by it. */
function hangingOn(roots: readonly (AgentSession | DelegationEdge)[], runtime: RuntimeView): Open {
  const sessions = new Map<string, AgentSession>();
  const edges = new Map<string, DelegationEdge>();
  const queue = [...roots];
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (next.kind === 'agentSession') {
      if (isClosed(next) || sessions.has(next.id)) continue;
      sessions.set(next.id, next);
      queue.push(...runtime.children(next.id), ...runtime.inbound(next.id), ...runtime.outbound(next.id));
    } else {
      if (next.status !== 'active' || edges.has(next.id)) continue;
      edges.set(next.id, next);
      queue.push(...runtime.under(next.id), ...runtime.livingBy(next.id));
    }
  }
  return { sessions: [...sessions.values()], edges: [...edges.values()] };
}

interface Open {
  readonly sessions: readonly AgentSession[];
  readonly edges: readonly DelegationEdge[];
}

/** The change that a session makes which stops for now: everything that hangs on it stops too. */
export function stoppedWith(session: AgentSession, runtime: RuntimeView): AuthorityChange {
  return toChange(hangingOn([session], runtime));
}

function toChange({ sessions, edges }: Open): AuthorityChange {
  return {
    all: false,
    applications: [],
    resources: [],
    ...(sessions.length > 0 && { sessions: sessions.map(({ id }) => id).sort() }),
    ...(edges.length > 0 && { edges: edges.map(({ id }) => id).sort() }),
  };
}

export function isClosed({ status }: AgentSession): boolean {
  return status === 'ended' || status === 'expired';
}
