/** One zone's runtime state in memory: every object by its id, and by what leads to it. Changed only by entries of the store, in their order. */
import type { AgentSession, DelegationEdge } from './agents/model.ts';
import type { IdempotentAnswer, RuntimeEntry, RuntimeObject, ZoneFreeze } from './runtime.ts';
import type { Challenge } from './stepUp/challenge.ts';

/** What decisions read. Sets are live and must not be kept over an `await`. */
export interface RuntimeView {
  /** Of the last entry: what a decision was made under. */
  sequence(): number;
  session(id: string): AgentSession | undefined;
  edge(id: string): DelegationEdge | undefined;
  challenge(id: string): Challenge | undefined;
  answer(id: string): IdempotentAnswer | undefined;
  /** The freeze by command, while it holds. */
  freeze(): ZoneFreeze | undefined;
  sessions(): Iterable<AgentSession>;
  edges(): Iterable<DelegationEdge>;
  challenges(): Iterable<Challenge>;
  answers(): Iterable<IdempotentAnswer>;
  /** Sessions that have this one as parent. */
  children(sessionID: string): readonly AgentSession[];
  /** Edges to a session, edges from it, edges under an edge, and sessions that live by an edge. */
  inbound(sessionID: string): readonly DelegationEdge[];
  outbound(sessionID: string): readonly DelegationEdge[];
  under(edgeID: string): readonly DelegationEdge[];
  livingBy(edgeID: string): readonly AgentSession[];
  /** By the binding of the request that they hold. */
  held(binding: string): readonly Challenge[];
  /** Sessions that are neither ended nor expired: of the zone, and of one Application by UID. */
  open(): number;
  openOf(applicationUID: string): number;
}

export interface RuntimeIndex extends RuntimeView {
  /** Throws where an entry is missing in between. */
  apply(entry: RuntimeEntry): void;
  /** Begins anew, where entries in between are not known any more. */
  reset(sequence: number, objects: readonly RuntimeObject[]): void;
  /** Takes out what is over for good and nobody asks about any more. */
  forget(objects: readonly RuntimeObject[]): void;
}

export function createRuntimeIndex(sequence = 0, objects: readonly RuntimeObject[] = []): RuntimeIndex {
  let present = sequence;
  const sessions = new Map<string, AgentSession>();
  const edges = new Map<string, DelegationEdge>();
  const challenges = new Map<string, Challenge>();
  const answers = new Map<string, IdempotentAnswer>();
  const children = createIndex();
  const inbound = createIndex();
  const outbound = createIndex();
  const under = createIndex();
  const livingBy = createIndex();
  const held = createIndex();
  const open = createOpenCount();
  let freeze: ZoneFreeze | undefined;

  const put = (object: RuntimeObject): void => {
    switch (object.kind) {
      case 'agentSession': {
        open.replace(sessions.get(object.id), object);
        sessions.set(object.id, object);
        children.add(object.parentID, object.id);
        livingBy.add(object.edgeID, object.id);
        return;
      }
      case 'delegationEdge':
        edges.set(object.id, object);
        inbound.add(object.targetSessionID, object.id);
        outbound.add(object.sourceSessionID, object.id);
        under.add(object.parentEdgeID, object.id);
        return;
      case 'challenge':
        challenges.set(object.id, object);
        held.add(object.binding, object.id);
        return;
      case 'idempotentAnswer':
        answers.set(object.id, object);
        return;
      case 'zoneFreeze':
        freeze = object.status === 'frozen' ? object : undefined;
    }
  };
  const remove = (object: RuntimeObject): void => {
    switch (object.kind) {
      case 'agentSession': {
        open.replace(sessions.get(object.id), undefined);
        if (!sessions.delete(object.id)) return;
        children.remove(object.parentID, object.id);
        livingBy.remove(object.edgeID, object.id);
        return;
      }
      case 'delegationEdge':
        edges.delete(object.id);
        inbound.remove(object.targetSessionID, object.id);
        outbound.remove(object.sourceSessionID, object.id);
        under.remove(object.parentEdgeID, object.id);
        return;
      case 'challenge':
        challenges.delete(object.id);
        held.remove(object.binding, object.id);
        return;
      case 'idempotentAnswer':
        answers.delete(object.id);
    }
  };
  for (const object of objects) put(object);

  return {
    sequence: () => present,
    session: (id) => sessions.get(id),
    edge: (id) => edges.get(id),
    challenge: (id) => challenges.get(id),
    answer: (id) => answers.get(id),
    freeze: () => freeze,
    sessions: () => sessions.values(),
    edges: () => edges.values(),
    challenges: () => challenges.values(),
    answers: () => answers.values(),
    children: (id) => pick(children.of(id), sessions),
    inbound: (id) => pick(inbound.of(id), edges),
    outbound: (id) => pick(outbound.of(id), edges),
    under: (id) => pick(under.of(id), edges),
    livingBy: (id) => pick(livingBy.of(id), sessions),
    held: (binding) => pick(held.of(binding), challenges),
    open: open.all,
    openOf: open.of,
    apply(entry) {
      if (entry.sequence !== present + 1)
        throw new Error(`runtime state is at ${present}, and entry ${entry.sequence} does not follow`);
      for (const object of entry.puts) put(object);
      present = entry.sequence;
    },
    reset(next, all) {
      for (const kept of [sessions, edges, challenges, answers]) [...kept.values()].forEach(remove);
      freeze = undefined;
      all.forEach(put);
      present = next;
    },
    forget: (gone) => gone.forEach(remove),
  };
}

/** How many sessions are neither ended nor expired. */
function createOpenCount() {
  const byApplication = new Map<string, number>();
  let all = 0;
  const count = (session: AgentSession | undefined, by: 1 | -1): void => {
    if (!session || session.status === 'ended' || session.status === 'expired') return;
    const { uid } = session.application;
    all += by;
    byApplication.set(uid, (byApplication.get(uid) ?? 0) + by);
  };
  return {
    replace(before: AgentSession | undefined, after: AgentSession | undefined): void {
      count(before, -1);
      count(after, 1);
    },
    all: () => all,
    of: (uid: string) => byApplication.get(uid) ?? 0,
  };
}

/** A key → ids, without empty rests. */
function createIndex() {
  const ids = new Map<string, Set<string>>();
  return {
    of: (key: string): Iterable<string> => ids.get(key) ?? [],
    add(key: string | undefined, id: string): void {
      if (key === undefined) return;
      const known = ids.get(key);
      if (known) known.add(id);
      else ids.set(key, new Set([id]));
    },
    remove(key: string | undefined, id: string): void {
      if (key === undefined) return;
      const known = ids.get(key);
      known?.delete(id);
      if (known?.size === 0) ids.delete(key);
    },
  };
}

function pick<T>(ids: Iterable<string>, from: ReadonlyMap<string, T>): readonly T[] {
  return [...ids].flatMap((id) => from.get(id) ?? []);
}
