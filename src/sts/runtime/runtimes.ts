/** Each zone's runtime state as this replica knows it: loaded once, changed one decision after the other, in the order of the store. */
import { toForgetAt } from '../../authority/forgetting.ts';
import type { RuntimeEntry, RuntimeObject } from '../../authority/runtime.ts';
import { createRuntimeIndex, type RuntimeIndex, type RuntimeView } from '../../authority/runtimeIndex.ts';
import { RuntimeEntriesGone, type Commit, type CommitResult, type Store } from '../../store/store.ts';
import { toUnavailable } from '../errors.ts';

export type BareCommit = Omit<Commit, 'runtime'>;

/** A commit whose runtime part is decided under the view that is given, and not yet under a sequence. */
export interface RuntimeCommit extends BareCommit {
  readonly runtime?: Omit<NonNullable<Commit['runtime']>, 'expected'>;
}

/** What a decision comes to: something to make durable, or an answer without. */
export type Decision<T> =
  | { readonly type: 'commit'; readonly commit: RuntimeCommit; readonly value: T }
  | { readonly type: 'answer'; readonly value: T };

export interface Written<T> {
  readonly value: T;
  /** Undefined where nothing was made durable. */
  readonly result: Exclude<CommitResult, { readonly conflict: true }> | undefined;
}

export interface Runtimes {
  /** Loads the zone's state. Rejects with StoreUnavailable. */
  open(zoneUID: string): Promise<RuntimeView>;
  /**
   * Decides under the present state and writes; where another replica wrote first, decides again under what that
   * changed. One at a time for each zone, so that a decision never rests on what another is about to change.
   */
  write<T>(zoneUID: string, decide: (view: RuntimeView) => Decision<T>): Promise<Written<T>>;
  /** Takes what others wrote since; calls that come while one is under way share the next. Rejects with StoreUnavailable. */
  refresh(zoneUID: string): Promise<void>;
  /** Takes out of memory what the store forgets as well. `now` in Unix milliseconds. */
  forget(zoneUID: string, now: number): Promise<void>;
  /** Called after each entry that this replica took; returns the stop function. */
  onEntry(listener: (zoneUID: string, entry: RuntimeEntry) => void): () => void;
  /** Called after the state was loaded anew, since entries in between were forgotten; returns the stop function. */
  onReload(listener: (zoneUID: string) => void): () => void;
}

export interface RuntimesPorts {
  readonly store: Pick<Store, 'commit' | 'runtime' | 'runtimeEntries' | 'zoneEpoch'>;
  /** Before `write` resolves: the zone's epoch rose. */
  raised(zoneUID: string, raised: NonNullable<RuntimeEntry['raised']>): void;
}

const MAX_ATTEMPTS = 5;
const PAGE = 500;

export function createRuntimes({ store, raised }: RuntimesPorts): Runtimes {
  const zones = new Map<string, Promise<RuntimeIndex>>();
  /** The last write of each zone: the next one begins after it. */
  const turns = new Map<string, Promise<unknown>>();
  const listeners = new Set<(zoneUID: string, entry: RuntimeEntry) => void>();
  const reloaded = new Set<(zoneUID: string) => void>();

  const load = (zoneUID: string): Promise<RuntimeIndex> => {
    const known = zones.get(zoneUID);
    if (known) return known;
    const loading = store.runtime(zoneUID).then(({ sequence, objects }) => createRuntimeIndex(sequence, objects));
    zones.set(zoneUID, loading);
    // What could not be loaded is loaded when it is asked for again.
    loading.catch(() => zones.delete(zoneUID));
    return loading;
  };
  const take = (zoneUID: string, index: RuntimeIndex, entry: RuntimeEntry): void => {
    if (entry.sequence <= index.sequence()) return;
    index.apply(entry);
    if (entry.raised) raised(zoneUID, entry.raised);
    for (const listener of [...listeners]) listener(zoneUID, entry);
  };
  const catchUp = async (zoneUID: string, index: RuntimeIndex): Promise<void> => {
    for (;;) {
      try {
        const entries = await store.runtimeEntries(zoneUID, index.sequence(), PAGE);
        for (const entry of entries) take(zoneUID, index, entry);
        if (entries.length < PAGE) return;
      } catch (error) {
        if (!(error instanceof RuntimeEntriesGone)) throw error;
        await reload(zoneUID, index);
      }
    }
  };
  /** What was taken away meanwhile is not known one by one, so that every mandate is asked about. */
  const reload = async (zoneUID: string, index: RuntimeIndex): Promise<void> => {
    const { sequence, objects } = await store.runtime(zoneUID);
    const epoch = await store.zoneEpoch(zoneUID);
    index.reset(sequence, objects);
    const change = { all: true, applications: [], resources: [] };
    if (epoch) raised(zoneUID, { epoch: epoch.epoch, change });
    for (const listener of [...reloaded]) listener(zoneUID);
  };
  const refreshing = new Map<string, Shared>();
  const refresh = (zoneUID: string): Promise<void> => {
    const known = refreshing.get(zoneUID) ?? createShared(async () => catchUp(zoneUID, await load(zoneUID)));
    refreshing.set(zoneUID, known);
    return known();
  };
  const attempt = async <T>(zoneUID: string, decide: (view: RuntimeView) => Decision<T>): Promise<Written<T>> => {
    const index = await load(zoneUID);
    for (let count = 0; count < MAX_ATTEMPTS; count += 1) {
      const seen = index.sequence();
      const decision = decide(index);
      if (decision.type === 'answer') {
        // Nothing was written that would have told that another replica was here before: it is looked for.
        await refresh(zoneUID);
        if (index.sequence() !== seen) continue;
        return { value: decision.value, result: undefined };
      }
      const { runtime, ...commit } = decision.commit;
      const result = await store.commit({
        ...commit,
        ...(runtime && { runtime: { ...runtime, expected: index.sequence() } }),
      });
      if (!('conflict' in result)) {
        if (result.ok && result.entry) take(zoneUID, index, result.entry);
        return { value: decision.value, result };
      }
      await refresh(zoneUID);
    }
    throw toUnavailable('runtime state changed faster than this could be decided');
  };

  return {
    open: load,
    refresh,
    async forget(zoneUID, now) {
      const index = await load(zoneUID);
      index.forget(allOf(index).filter((object) => (toForgetAt(object) ?? Number.POSITIVE_INFINITY) * 1000 < now));
    },
    onEntry(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onReload(listener) {
      reloaded.add(listener);
      return () => void reloaded.delete(listener);
    },
    write(zoneUID, decide) {
      const before = turns.get(zoneUID) ?? Promise.resolve();
      const turn = before.then(() => attempt(zoneUID, decide));
      const settled: Promise<unknown> = turn
        .catch(() => undefined)
        .finally(() => turns.get(zoneUID) === settled && turns.delete(zoneUID));
      turns.set(zoneUID, settled);
      return turn;
    },
  };
}

function allOf(view: RuntimeView): readonly RuntimeObject[] {
  return [...view.sessions(), ...view.edges(), ...view.challenges(), ...view.answers()];
}

type Shared = () => Promise<void>;

/** One at a time: whoever comes while one is under way shares the next, which sees all that was there when they came. */
function createShared(run: () => Promise<void>): Shared {
  let current: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    current = run().finally(() => (current = undefined));
    return current;
  };
  return () => {
    if (!current) return start();
    next ??= current
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return start();
      });
    return next;
  };
}
