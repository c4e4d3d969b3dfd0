/**
 * A second, naive account of who may do what: authority is worked out from scratch by intersecting sets along a chain.
 * It shares no code with src/authority/agents, remembers nothing but what was asked for, and knows no index.
 */

export interface RefSession {
  readonly id: string;
  readonly app: string;
  readonly uid: string;
  readonly user: string | undefined;
  readonly parent: RefSession | undefined;
  readonly depth: number;
  readonly isService: boolean;
  /** Unix seconds, as are all times here. */
  readonly end: number;
  lives: RefEdge | undefined;
  lease: { generation: number; until: number } | undefined;
  status: 'active' | 'suspended' | 'closed';
}

export interface RefEdge {
  readonly id: string;
  readonly from: RefSession;
  readonly to: RefSession;
  readonly parent: RefEdge | undefined;
  readonly scopes: ReadonlySet<string>;
  /** Undefined: all. */
  readonly resources: ReadonlySet<string> | undefined;
  readonly hops: number;
  readonly end: number;
  isOpen: boolean;
}

export interface RefGrant {
  app: string;
  resource: string;
  scopes: string[];
  forUsers: boolean;
  travels: 'None' | 'SameApplication' | 'Zone';
  end: number;
}

export interface RefApplication {
  id: string;
  uid: string;
  receivers: 'Same' | 'Zone' | string[];
  end: number;
}

export interface RefState {
  now: number;
  readonly sessions: RefSession[];
  readonly edges: RefEdge[];
  readonly apps: RefApplication[];
  readonly grants: RefGrant[];
}

const ALWAYS = Number.POSITIVE_INFINITY;

/** Undefined where anything it hangs on has stopped or ended, else the second until which that lasts. */
export function lifeOf(session: RefSession, now: number): number | undefined {
  const end = Math.min(session.end, session.lease?.until ?? ALWAYS);
  const parent = session.parent ? lifeOf(session.parent, now) : ALWAYS;
  const edge = session.lives ? lifeApart(session.lives, now) : ALWAYS;
  if (session.status !== 'active' || end <= now || parent === undefined || edge === undefined) return undefined;
  return Math.min(end, parent, edge);
}

export function lifeOfEdge(edge: RefEdge, now: number): number | undefined {
  const apart = lifeApart(edge, now);
  const target = lifeOf(edge.to, now);
  return apart === undefined || target === undefined ? undefined : Math.min(apart, target);
}

/** Of an edge without the session that holds it. */
function lifeApart({ isOpen, end, from, parent }: RefEdge, now: number): number | undefined {
  if (!isOpen || end <= now) return undefined;
  const source = lifeOf(from, now);
  const above = parent ? lifeOfEdge(parent, now) : ALWAYS;
  return source === undefined || above === undefined ? undefined : Math.min(end, source, above);
}

export function chainOf(edge: RefEdge | undefined): readonly RefEdge[] {
  return edge ? [...chainOf(edge.parent), edge] : [];
}

/** By `<resource> <scope>`, the second at which a mandate for it would end. */
export type Authority = ReadonlyMap<string, number>;

const NOTHING: Authority = new Map();
export const MANDATE_SECONDS = 300;

/** What a session may have under an edge, or of its own. */
export function authorityOf(session: RefSession, edge: RefEdge | undefined, state: RefState): Authority {
  const { now } = state;
  const life = lifeOf(session, now);
  if (life === undefined || (edge ? edge.to !== session : session.lives !== undefined)) return NOTHING;
  const edgeLife = edge ? lifeOfEdge(edge, now) : ALWAYS;
  if (edgeLife === undefined) return NOTHING;
  return authorityUnder(chainOf(edge), session, Math.min(life, edgeLife), state);
}

function authorityUnder(chain: readonly RefEdge[], leaf: RefSession, life: number, state: RefState): Authority {
  const root = chain[0]?.from ?? leaf;
  const members = [...chain.map(({ from }) => from), leaf].map(({ app, uid }) => findApp(app, uid, state));
  if (members.some((app) => app === undefined || app.end <= state.now)) return NOTHING;
  if (!chain.every(({ from, to }) => mayReceive(from, to, state))) return NOTHING;
  const end = Math.min(state.now + MANDATE_SECONDS, life, ...members.map((app) => app!.end));
  const given = new Map<string, number>();
  for (const grant of state.grants) {
    if (!isRootGrant(grant, root, state.now) || !goesAlong(grant, chain)) continue;
    for (const scope of grant.scopes) {
      if (!chain.every((edge) => edge.scopes.has(scope) && (edge.resources?.has(grant.resource) ?? true))) continue;
      const key = `${grant.resource} ${scope}`;
      given.set(key, Math.max(given.get(key) ?? 0, Math.min(end, grant.end)));
    }
  }
  return given;
}

function findApp(id: string, uid: string, { apps }: RefState): RefApplication | undefined {
  return apps.find((app) => app.id === id && app.uid === uid);
}

export function mayReceive(from: RefSession, to: Pick<RefSession, 'app' | 'uid'>, state: RefState): boolean {
  const issuer = findApp(from.app, from.uid, state);
  if (!issuer || !findApp(to.app, to.uid, state)) return false;
  if (from.app === to.app) return true;
  return issuer.receivers === 'Zone' || (issuer.receivers !== 'Same' && issuer.receivers.includes(to.app));
}

function isRootGrant(grant: RefGrant, root: RefSession, now: number): boolean {
  return grant.app === root.app && grant.end > now && grant.forUsers === (root.user !== undefined);
}

function goesAlong({ travels }: RefGrant, chain: readonly RefEdge[]): boolean {
  if (chain.length === 0 || travels === 'Zone') return true;
  return travels === 'SameApplication' && chain.every(({ from, to }) => from.app === to.app && from.uid === to.uid);
}

/** Whether the authority that an edge would carry reaches each of its scopes on some Resource. */
export function isUsable(edge: RefEdge, state: RefState): boolean {
  const given = authorityUnder(chainOf(edge), edge.to, ALWAYS, state);
  return [...edge.scopes].every((scope) => [...given.keys()].some((key) => key.endsWith(` ${scope}`)));
}

/** Whether authority that starts at the one comes to the other by open edges. */
export function flowsTo(from: RefSession, to: RefSession, state: RefState): boolean {
  return from === to || state.edges.some((edge) => edge.isOpen && edge.from === from && flowsTo(edge.to, to, state));
}

/** Until nothing changes: what hangs on something closed is closed. */
export function settle({ sessions, edges }: RefState): void {
  const dangling = sessions.filter(
    ({ status, parent, lives }) => status !== 'closed' && (parent?.status === 'closed' || lives?.isOpen === false),
  );
  const loose = edges.filter(
    ({ isOpen, from, to, parent }) =>
      isOpen && (from.status === 'closed' || to.status === 'closed' || parent?.isOpen === false),
  );
  if (dangling.length + loose.length === 0) return;
  for (const session of dangling) session.status = 'closed';
  for (const edge of loose) edge.isOpen = false;
  settle({ sessions, edges } as RefState);
}

/** What time has ended is closed, with what hangs on it. */
export function sweep(state: RefState): void {
  for (const session of state.sessions)
    if (Math.min(session.end, session.lease?.until ?? ALWAYS) <= state.now) session.status = 'closed';
  for (const edge of state.edges) if (edge.end <= state.now) edge.isOpen = false;
  settle(state);
}
