/** The writes under way: one at a time per object, a few at once, and failed ones again later without holding up others. */

export interface OutboxPorts {
  monotonic(): number;
  /** Called when a write ended in failure; `movedOn`: somebody else changed or removed the object first. */
  onFailure(key: string, error: unknown, movedOn: boolean): void;
}

export interface Outbox {
  /** Whether `send` with this basis would start a write now. */
  isOpen(key: string, basis: string): boolean;
  /**
   * Starts `write` unless one of this key is under way, or one from the same basis has just succeeded or waits for its
   * retry. `basis` names the state of the object that the write was made from.
   */
  send(key: string, basis: string, write: () => Promise<void>): void;
  /** Whether the last write of this key failed. */
  isFailing(key: string): boolean;
  /** Monotonic milliseconds of the earliest retry. */
  nextRetry(): number | undefined;
  /** Forgets what was done, so that everything may be written anew; what is under way goes on. */
  clear(): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

const CONCURRENCY = 16;
/** How long a success may take to come back by the watch before it is doubted. */
const SEEN_WITHIN_MS = 5_000;
const MOVED_ON_MS = 1_000;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 30_000;

type Entry =
  | { readonly state: 'running'; readonly basis: string; readonly failures: number }
  | { readonly state: 'done'; readonly basis: string; readonly until: number }
  | { readonly state: 'failed'; readonly basis: string; readonly until: number; readonly failures: number };

export function createOutbox(ports: OutboxPorts): Outbox {
  const entries = new Map<string, Entry>();
  const waiting: (() => void)[] = [];
  const running = new Set<Promise<void>>();
  let free = CONCURRENCY;

  const isOpen = (key: string, basis: string): boolean => {
    const entry = entries.get(key);
    if (entry === undefined) return true;
    if (entry.state === 'running') return false;
    return entry.basis !== basis || ports.monotonic() >= entry.until;
  };
  const slot = (): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      waiting.push(resolve);
    });
  };
  const release = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  const run = async (key: string, entry: Entry & { state: 'running' }, write: () => Promise<void>): Promise<void> => {
    await slot();
    const { basis } = entry;
    let outcome: Entry;
    try {
      await write();
      outcome = { state: 'done', basis, until: ports.monotonic() + SEEN_WITHIN_MS };
    } catch (error) {
      const movedOn = isMovedOn(error);
      const failures = entry.failures + 1;
      const delay = movedOn ? MOVED_ON_MS : Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS);
      outcome = { state: 'failed', basis, until: ports.monotonic() + delay, failures };
      ports.onFailure(key, error, movedOn);
    } finally {
      release();
    }
    if (entries.get(key) === entry) entries.set(key, outcome);
  };

  return {
    isOpen,
    send(key, basis, write) {
      if (!isOpen(key, basis)) return;
      const before = entries.get(key);
      const failures = before?.state === 'failed' && before.basis === basis ? before.failures : 0;
      const entry = { state: 'running', basis, failures } as const;
      entries.set(key, entry);
      const done = run(key, entry, write).finally(() => running.delete(done));
      running.add(done);
    },
    isFailing(key) {
      const entry = entries.get(key);
      return entry !== undefined && entry.state !== 'done' && entry.failures > 0;
    },
    nextRetry() {
      const times = [...entries.values()].flatMap((entry) => (entry.state === 'failed' ? [entry.until] : []));
      return times.length === 0 ? undefined : Math.min(...times);
    },
    clear() {
      for (const [key, entry] of entries) if (entry.state !== 'running') entries.delete(key);
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** 409 and 404 of the API server, the folder's WriteConflict, a lost Lease: the next look at the world decides anew. */
function isMovedOn(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { status } = error as Error & { readonly status?: unknown };
  return status === 409 || status === 404 || ['WriteConflict', 'NotLeader'].includes(error.name);
}
