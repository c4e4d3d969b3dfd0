/** Keeps a local copy of one kind by list and watch, and never stops trying: see architecture, "Reconcile path". */
import type { Clock } from './clock.ts';
import { KubeError, hasStatus, type KubeClient, type WatchStream } from './client.ts';
import { splitLines } from './lines.ts';
import { createObjectStore, type ObjectStore } from './objectStore.ts';
import { pause } from './pause.ts';
import { parseListPage, parseWatchEvent, type KubeRecord } from './watchEvent.ts';

export interface ReflectorSettings<T> {
  /** Collection path, such as `/apis/caracal.run/v1alpha1/zones`. */
  readonly path: string;
  readonly labelSelector?: string;
  /** Ask for metadata only (PartialObjectMetadata). */
  readonly metadataOnly?: boolean;
  /** What is kept of an object; called once per object and resourceVersion. The result is frozen. */
  toItem(record: KubeRecord): T;
  readonly pageSize?: number;
  /** Seconds after which the server ends a watch; each watch adds up to as much again at random. */
  readonly watchSeconds?: number;
  /** Milliseconds without a byte after which a watch counts as dead. The server sends a bookmark every minute. */
  readonly idleMs?: number;
  /** Milliseconds after which everything is listed again, to find what a watch missed. */
  readonly auditMs?: number;
}

export interface ReflectorPorts {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** A number in [0, 1). */
  random(): number;
  /** A failure that is being retried. */
  onRetry?(path: string, error: unknown): void;
}

export interface ReflectorState {
  readonly synced: boolean;
  /** Whether a watch is open and not idle for too long. */
  readonly connected: boolean;
  /** Milliseconds since the server was last heard. */
  readonly lastEventAge: number;
  readonly lists: number;
  readonly failures: number;
  /** Differences that an audit found although the watch was alive. */
  readonly missed: number;
}

export interface Reflector<T> {
  /** Resolves when everything was listed once. Never rejects: it keeps trying. */
  start(): Promise<void>;
  /** In no particular order; the same array until something changes. */
  items(): readonly T[];
  get(namespace: string | undefined, name: string): T | undefined;
  /** The resourceVersion up to which `items` is complete; undefined before the first list. Never goes back. */
  version(): string | undefined;
  state(): ReflectorState;
  /** Returns the unsubscribe function. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

const METADATA_ONLY = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
};
const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 10_000;
const PAGE_SIZE = 500;
const WATCH_SECONDS = 300;
const IDLE_MS = 90_000;
const AUDIT_MS = 6 * 3_600_000;

export function createReflector<T>(settings: ReflectorSettings<T>, ports: ReflectorPorts): Reflector<T> {
  const { clock } = ports;
  const store = createObjectStore(settings.toItem);
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  const first = Promise.withResolvers<void>();
  const counts = { lists: 0, failures: 0, missed: 0 };
  let running: Promise<void> | undefined;
  let connected = false;
  let mustList = true;
  let listedAt = -Infinity;
  let heardAt = -Infinity;

  const heard = (): void => void (heardAt = clock.monotonic());
  const changed = (): void => listeners.forEach((listener) => listener());

  const list = async (): Promise<void> => {
    const differences = await listAll(settings, ports, store, closing.signal);
    heard();
    if (!mustList) counts.missed += differences;
    mustList = false;
    listedAt = heardAt;
    counts.lists += 1;
    if (differences > 0 || counts.lists === 1) changed();
    first.resolve();
  };

  const watch = async (): Promise<void> => {
    const opened = clock.monotonic();
    let events = 0;
    const stream = await openWatch(settings, ports, store.version(), closing.signal);
    connected = true;
    heard();
    const watchdog = startWatchdog(settings.idleMs ?? IDLE_MS, clock, () => heardAt, stream);
    try {
      for await (const line of splitLines(tap(stream.body, heard))) {
        if (store.apply(parseWatchEvent(line))) changed();
        counts.failures = 0;
        events += 1;
      }
    } finally {
      clearInterval(watchdog);
      connected = false;
      stream.abort();
    }
    if (events === 0 && clock.monotonic() - opened < 1000) throw new Error('the watch ended at once');
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        if (mustList || clock.monotonic() - listedAt > (settings.auditMs ?? AUDIT_MS)) await list();
        await watch();
      } catch (error) {
        if (closing.signal.aborted) return;
        if (isExpired(error)) mustList = true;
        counts.failures += 1;
        ports.onRetry?.(settings.path, error);
        await pause(retryDelay(error, counts.failures, ports.random()), closing.signal);
      }
    }
  };

  return {
    start() {
      running ??= run();
      return first.promise;
    },
    items: store.items,
    get: store.get,
    version: store.version,
    state: () => ({ ...counts, synced: counts.lists > 0, connected, lastEventAge: clock.monotonic() - heardAt }),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      closing.abort();
      first.resolve();
      await running;
    },
  };
}

/**
 * Pages through the collection and returns how many entries differ. No resourceVersion is sent, which makes the read
 * consistent: neither a restart nor a relist ever reads older state than what was seen before.
 */
async function listAll<T>(
  settings: ReflectorSettings<T>,
  ports: ReflectorPorts,
  store: ObjectStore<T>,
  signal: AbortSignal,
): Promise<number> {
  const records: KubeRecord[] = [];
  const limit = String(settings.pageSize ?? PAGE_SIZE);
  let token: string | undefined;
  for (;;) {
    const answer = await ports.client.request({
      method: 'GET',
      path: settings.path,
      query: { labelSelector: settings.labelSelector, limit, continue: token },
      signal,
      ...(settings.metadataOnly ? { accept: METADATA_ONLY.list } : {}),
    });
    const page = parseListPage(answer);
    for (const record of page.items) records.push(record);
    token = page.continue;
    if (token === undefined) return store.replace(records, page.resourceVersion);
  }
}

function openWatch<T>(
  settings: ReflectorSettings<T>,
  ports: ReflectorPorts,
  version: string | undefined,
  signal: AbortSignal,
): Promise<WatchStream> {
  return ports.client.watch({
    path: settings.path,
    query: {
      labelSelector: settings.labelSelector,
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: version,
      timeoutSeconds: String(Math.ceil((settings.watchSeconds ?? WATCH_SECONDS) * (1 + ports.random()))),
    },
    signal,
    ...(settings.metadataOnly ? { accept: METADATA_ONLY.watch } : {}),
  });
}

/** Ends a stream that has been silent for too long: a half-open connection never ends by itself. */
function startWatchdog(idleMs: number, clock: Clock, heardAt: () => number, stream: WatchStream): NodeJS.Timeout {
  return setInterval(() => {
    if (clock.monotonic() - heardAt() > idleMs) stream.abort();
  }, idleMs / 4);
}

async function* tap(body: AsyncIterable<Buffer>, heard: () => void): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    heard();
    yield chunk;
  }
}

/** 410 Gone: the version is older than what the server keeps. */
function isExpired(error: unknown): boolean {
  return hasStatus(error, 410);
}

/** What the server asked for, else 100 ms doubled per failure up to 10 s; in both cases up to half as much again. */
function retryDelay(error: unknown, failures: number, random: number): number {
  const asked = error instanceof KubeError && error.retryAfter !== undefined ? error.retryAfter * 1000 : undefined;
  const delay = asked ?? Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LAST_DELAY_MS);
  return delay * (1 + random / 2);
}
