/** Runs operations against a port and the reference side by side, and compares all that anybody could have after each. */
import { expect } from 'vitest';
import { diffZones } from '../../../src/authority/change.ts';
import type { AuthorityChange } from '../../../src/authority/feed.ts';
import type { RuntimeView } from '../../../src/authority/runtimeIndex.ts';
import type { ZoneSnapshot } from '../../../src/authority/snapshot.ts';
import { NOW, application, grant, resource, zone } from '../zone.ts';
import { LIMITS, RESOURCES, SCOPES, attempt, type Operation } from './operations.ts';
import {
  authorityOf,
  chainOf,
  flowsTo,
  type RefApplication,
  type RefEdge,
  type RefGrant,
  type RefSession,
  type RefState,
} from './reference.ts';
import { BANK, CART, TILL, exchangeWithin, type RuntimePort } from './world.ts';

/** How often each operation was done and refused, and how many answers were compared. */
export interface Tally {
  readonly done: Record<string, number>;
  readonly refused: Record<string, number>;
  pairs: number;
  /** Pairs that may have anything, by length of the chain. */
  readonly permittedUnder: Record<string, number>;
  /** Pairs that had less after an operation than before. */
  lost: number;
}

export function createTally(): Tally {
  return { done: {}, refused: {}, pairs: 0, permittedUnder: {}, lost: 0 };
}

export interface Driver {
  readonly state: RefState;
  /** Throws where the two do not agree. */
  step(operation: Operation): Promise<void>;
}

export function createDriver(port: RuntimePort, tally: Tally): Driver {
  const state = initialState();
  let snapshot = toZone(state);
  const frozen = new Map<string, string>();
  let held = measure(port, snapshot, state, tally);
  return {
    state,
    async step(operation) {
      const { kind, n } = operation;
      let change: AuthorityChange | undefined;
      if (kind === 'clock') moveClock(state, n);
      else if (kind === 'grant' || kind === 'application') {
        if (kind === 'grant') changeGrant(state, n);
        else changeApplication(state, n);
        const next = toZone(state);
        change = diffZones(snapshot, next);
        snapshot = next;
      } else change = await run(operation, port, state, snapshot, tally);
      if (['clock', 'grant', 'application'].includes(kind)) count(tally.done, kind);
      const now = measure(port, snapshot, state, tally);
      if (kind !== 'clock') compareChange(held, now, change, tally);
      held = now;
      compareState(port, state, frozen);
    },
  };
}

function initialState(): RefState {
  const apps = [CART, TILL, BANK];
  return {
    now: NOW / 1000,
    sessions: [],
    edges: [],
    apps: apps.map(({ id, uid }): RefApplication => ({ id, uid, receivers: 'Zone', end: Infinity })),
    grants: apps.flatMap(({ id }) =>
      RESOURCES.flatMap((identifier) =>
        [true, false].map((forUsers): RefGrant => ({
          app: id,
          resource: identifier,
          scopes: id === BANK.id ? ['read'] : [...SCOPES],
          forUsers,
          travels: 'Zone',
          end: Infinity,
        })),
      ),
    ),
  };
}

/** A while, or to the very second at which something ends. */
function moveClock(state: RefState, n: readonly number[]): void {
  const ends = [
    ...state.sessions.flatMap(({ end, lease }) => [end, lease?.until ?? Infinity]),
    ...state.edges.map(({ end }) => end),
  ];
  const next = Math.min(...ends.filter((end) => end > state.now));
  state.now = n[1]! % 3 === 0 && Number.isFinite(next) ? next : state.now + 1 + (n[0]! % 90);
}

/** Mostly of an Application that passed something on. */
function involved({ edges, apps }: RefState, n: number): string {
  const issuers = edges.filter(({ isOpen }) => isOpen).map(({ from }) => from.app);
  const ids = issuers.length > 0 && n % 3 !== 0 ? issuers : apps.map(({ id }) => id);
  return ids[n % ids.length]!;
}

function changeGrant(state: RefState, n: readonly number[]): void {
  const { now } = state;
  const app = involved(state, n[6]!);
  const grants = state.grants.filter((one) => one.app === app);
  const one = grants[n[0]! % grants.length]!;
  one.scopes = SCOPES.filter((_scope, index) => (((n[1]! % 8) | (n[5]! % 8)) >> index) & 1);
  one.travels = (['Zone', 'Zone', 'Zone', 'SameApplication', 'None'] as const)[n[2]! % 5]!;
  one.end = n[3]! % 3 === 0 ? now + (n[4]! % 400) : Infinity;
}

function changeApplication(state: RefState, n: readonly number[]): void {
  const { apps, now } = state;
  const id = involved(state, n[0]!);
  const one = apps.find((app) => app.id === id)!;
  one.receivers = (['Zone', 'Zone', 'Zone', 'Same', [TILL.id]] as const)[n[1]! % 5]! as RefApplication['receivers'];
  one.end = n[2]! % 6 === 0 ? now + (n[3]! % 600) : Infinity;
  if (n[4]! % 16 === 0) one.uid = `${one.uid}-again`;
}

function toZone({ apps, grants }: RefState): ZoneSnapshot {
  const seconds = (end: number) => (Number.isFinite(end) ? end : undefined);
  return zone({
    limits: LIMITS,
    resources: RESOURCES.map((identifier) => resource({ identifier, uid: identifier, scopes: SCOPES })),
    applications: apps.map(({ id, uid, receivers, end }) =>
      application({
        id,
        uid,
        expiresAt: seconds(end),
        delegation: Array.isArray(receivers)
          ? { receivers: 'Listed', applications: receivers }
          : { receivers, applications: [] },
      }),
    ),
    grants: grants
      .map(({ app, resource: identifier, scopes, forUsers, travels, end }, index) =>
        grant({
          name: `g${index}`,
          applicationID: app,
          resource: identifier,
          scopes: [...scopes],
          subjects: [{ type: forUsers ? 'anyUser' : 'application' }],
          delegation: travels,
          expiresAt: seconds(end),
        }),
      )
      .filter(({ scopes }) => scopes.length > 0),
  });
}

async function run(
  operation: Operation,
  port: RuntimePort,
  state: RefState,
  snapshot: ZoneSnapshot,
  tally: Tally,
): Promise<AuthorityChange | undefined> {
  const tried = attempt(operation, { state, view: port.view, zone: snapshot });
  if (!tried) return undefined;
  const { outcome, isExpected, apply } = tried;
  const what =
    outcome.type === 'refusal' ? `${operation.kind} refused: ${outcome.code}, ${outcome.message}` : operation.kind;
  expect([what, outcome.type === 'changed']).toEqual([what, isExpected]);
  count(isExpected ? tally.done : tally.refused, operation.kind);
  if (outcome.type === 'refusal') return undefined;
  const result = apply();
  if (operation.kind === 'revoke') expect(outcome.result).toEqual(result);
  if (outcome.puts.length > 0) await port.commit(outcome.puts, outcome.change);
  return outcome.change;
}

function count(into: Record<string, number>, key: string): void {
  into[key] = (into[key] ?? 0) + 1;
}

interface Held {
  readonly session: RefSession;
  readonly edge: RefEdge | undefined;
  /** By `<resource> <scope>`, the end of the mandate. */
  readonly given: ReadonlyMap<string, number>;
}

/** What everybody may have, by `<session> <edge>`: asked of the checks, and the same as the reference says. */
function measure(
  { view }: RuntimePort,
  snapshot: ZoneSnapshot,
  state: RefState,
  tally: Tally,
): ReadonlyMap<string, Held> {
  const all = new Map<string, Held>();
  for (const session of state.sessions)
    for (const edge of [undefined, ...state.edges]) {
      const given = ask(view, snapshot, state, { session, edge });
      const name = `${session.id} ${edge?.id ?? 'itself'}`;
      expect([name, sorted(given)]).toEqual([name, sorted(authorityOf(session, edge, state))]);
      all.set(name, { session, edge, given });
      tally.pairs += 1;
      if (given.size > 0) count(tally.permittedUnder, String(chainOf(edge).length));
    }
  for (const one of all.values()) compareWithAbove(one, all);
  return all;
}

/** One scope on one Resource at a time; one is enough of an edge to another session. */
function ask(
  view: RuntimeView,
  snapshot: ZoneSnapshot,
  state: RefState,
  { session, edge }: Pick<Held, 'session' | 'edge'>,
): ReadonlyMap<string, number> {
  const given = new Map<string, number>();
  const all = RESOURCES.flatMap((identifier) => SCOPES.map((scope) => ({ identifier, scope })));
  for (const { identifier, scope } of edge && edge.to !== session ? all.slice(0, 1) : all) {
    const asked = { resource: identifier, scopes: [scope] };
    const where = { sessionID: session.id, edgeID: edge?.id };
    const result = exchangeWithin(where, { asked, view, zone: snapshot, now: state.now * 1000 });
    if (result.type === 'checked') given.set(`${identifier} ${scope}`, result.expiresAt);
  }
  return given;
}

function sorted(given: ReadonlyMap<string, number>) {
  return [...given].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Never more and never longer than who passed it on, and than the session at the root lives. */
function compareWithAbove({ session, edge, given }: Held, all: ReadonlyMap<string, Held>): void {
  if (given.size === 0) return;
  const root = chainOf(edge)[0]?.from ?? session;
  for (const end of given.values()) expect(end).toBeLessThanOrEqual(root.end);
  if (!edge?.parent) return;
  const above = all.get(`${edge.parent.to.id} ${edge.parent.id}`)!;
  for (const [key, end] of given) expect(end).toBeLessThanOrEqual(above.given.get(key) ?? -1);
}

/** Whoever lost anything is named by the change: by its session, or by what its mandate says of the chain. */
function compareChange(
  before: ReadonlyMap<string, Held>,
  after: ReadonlyMap<string, Held>,
  change: AuthorityChange | undefined,
  tally: Tally,
): void {
  for (const [name, { session, edge, given }] of before) {
    const now = after.get(name)!.given;
    if ([...given].every(([key, end]) => (now.get(key) ?? -1) >= end)) continue;
    tally.lost += 1;
    const chain = chainOf(edge);
    const sessions = [session, ...chain.map(({ from }) => from)];
    const isNamed =
      change !== undefined &&
      (change.all ||
        sessions.some(({ id, app }) => change.sessions?.includes(id) || change.applications.includes(app)) ||
        chain.some(({ id }) => change.edges?.includes(id)));
    expect([name, isNamed]).toEqual([name, true]);
  }
}

/** Status, counts, immutability and the graph. */
function compareState({ view }: RuntimePort, state: RefState, frozen: Map<string, string>): void {
  const open = state.sessions.filter(({ status }) => status !== 'closed');
  expect([...view.sessions()]).toHaveLength(state.sessions.length);
  expect([...view.edges()]).toHaveLength(state.edges.length);
  expect(view.open()).toBe(open.length);
  for (const uid of new Set(state.sessions.map((one) => one.uid)))
    expect(view.openOf(uid)).toBe(open.filter((one) => one.uid === uid).length);
  for (const session of state.sessions) {
    const { status, endedAt, lease, ...fixed } = view.session(session.id)!;
    expect(status === 'ended' || status === 'expired' ? 'closed' : status).toBe(session.status);
    expect([endedAt !== undefined, lease]).toEqual([session.status === 'closed', session.lease]);
    expect(fixed.expiresAt ?? Infinity).toBe(session.end);
    stays(session.id, fixed, frozen);
    expect(ids(view.children(session.id))).toEqual(ids(state.sessions.filter(({ parent }) => parent === session)));
    expect(ids(view.inbound(session.id))).toEqual(ids(state.edges.filter(({ to }) => to === session)));
    expect(ids(view.outbound(session.id))).toEqual(ids(state.edges.filter(({ from }) => from === session)));
  }
  for (const edge of state.edges) {
    const { status, endedAt, ...fixed } = view.edge(edge.id)!;
    expect([status === 'active', endedAt === undefined]).toEqual([edge.isOpen, edge.isOpen]);
    stays(edge.id, fixed, frozen);
    expect(fixed.path).toEqual(chainOf(edge).map(({ id }) => id));
    expect([fixed.expiresAt, fixed.hopsLeft]).toEqual([edge.end, edge.hops]);
    expect([new Set(fixed.scopes), new Set(fixed.resources)]).toEqual([edge.scopes, edge.resources ?? new Set()]);
    expect(ids(view.under(edge.id))).toEqual(ids(state.edges.filter(({ parent }) => parent === edge)));
    expect(ids(view.livingBy(edge.id))).toEqual(ids(state.sessions.filter(({ lives }) => lives === edge)));
    if (edge.isOpen) expect([edge.id, flowsTo(edge.to, edge.from, state)]).toEqual([edge.id, false]);
  }
}

function ids(objects: readonly { readonly id: string }[]): readonly string[] {
  return objects.map(({ id }) => id).sort();
}

/** A rule of the tables: all but status, end and lease is as it was on the first day. */
function stays(id: string, fixed: object, frozen: Map<string, string>): void {
  const text = JSON.stringify(Object.entries(fixed).sort(([a], [b]) => (a < b ? -1 : 1)));
  const first = frozen.get(id) ?? text;
  frozen.set(id, first);
  expect(text).toBe(first);
}
