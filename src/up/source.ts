/** A folder of manifests as the source of the configuration, with the API server's manners: identity, versions, last good state. */
import { join } from 'node:path';
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { Publisher } from '../controller/ports.ts';
import type { WatchedKind, World, WorldSource } from '../compiler/world.ts';
import type { SigningKeySource } from '../sts/ports.ts';
import { prepareDataFolder, writeAtomically } from './dataFolder.ts';
import { createFolderReader } from './folderReader.ts';
import type { FolderReading } from './folderReader.ts';
import { createKeyFiles } from './keyFiles.ts';
import type { StoredKeySet } from './keyFiles.ts';
import { createObjectStore, EMPTY_STATE } from './objectStore.ts';
import type { StoreState } from './objectStore.ts';
import { planObjects } from './plan.ts';
import type { Problem } from './problem.ts';
import { createPublisher } from './publisher.ts';
import { readState, STATE_FILE } from './stateFile.ts';
import { createFolderWatcher } from './watcher.ts';
import { toWorld } from './world.ts';

export interface FolderSourceConfig {
  /** Files and folders of manifests. */
  readonly paths: readonly string[];
  /** Absolute path; holds state.json and keys/. */
  readonly data: string;
  readonly systemNamespace: string;
  /** Milliseconds; defaults 75 and 2000. */
  readonly debounce?: number;
  readonly rescanEvery?: number;
}

export interface FolderSourcePorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** What goes wrong where nobody waits for it, such as saving the state. */
  readonly onError: (error: Error) => void;
}

export interface FolderReport {
  readonly problems: readonly Problem[];
  readonly notes: readonly Problem[];
}

export interface FolderSource extends WorldSource, SigningKeySource {
  readonly publisher: Publisher;
  /** What is wrong with the files now. */
  report(): FolderReport;
  /** Called when `report()` changed. Returns the unsubscribe function. */
  onReport(listener: (report: FolderReport) => void): () => void;
}

const KINDS: readonly WatchedKind[] = [
  'Zone',
  'Application',
  'Resource',
  'Grant',
  'Policy',
  'PolicySet',
  'PolicySetRevision',
  'Revocation',
  'Namespace',
  'KeySet',
];

export function createFolderSource(config: FolderSourceConfig, ports: FolderSourcePorts): FolderSource {
  const { clock } = ports;
  const reader = createFolderReader(config.paths, config.data);
  const files = createKeyFiles(join(config.data, 'keys'));
  const statePath = join(config.data, STATE_FILE);
  const changed = createSignal<void>();
  const announce = createTick(() => changed.emit());
  const reported = createSignal<FolderReport>();
  let store = createObjectStore(EMPTY_STATE, ports);
  let keySets: ReadonlyMap<string, StoredKeySet> = new Map();
  let world: World | undefined;
  let lastLook = clock.monotonic();
  let report: FolderReport = { problems: [], notes: [] };
  let closed = false;

  const saver = createSaver(() => writeAtomically(statePath, `${JSON.stringify(store.state())}\n`), ports.onError);
  const touch = () => {
    world = undefined;
    saver.schedule();
    announce();
  };
  const forgetKeys = async () => {
    const zones = new Set(store.state().objects.map(({ object }) => object.metadata.uid));
    const gone = [...keySets.keys()].filter((uid) => !zones.has(uid));
    if (gone.length === 0) return;
    keySets = new Map([...keySets].filter(([uid]) => zones.has(uid)));
    await Promise.all(gone.map((uid) => files.remove(uid)));
  };
  const look = createSingleFlight(async () => {
    const reading = await settle(reader, () => store.state(), config.debounce ?? DEBOUNCE);
    if (closed) return;
    watcher.follow(reading.folders);
    const plan = planObjects(reading.files, store.state());
    lastLook = clock.monotonic();
    if (store.apply(plan.desired)) {
      await forgetKeys();
      touch();
    }
    const next = { problems: plan.problems, notes: plan.notes };
    if (JSON.stringify(next) !== JSON.stringify(report)) reported.emit((report = next));
  });
  const watcher = createFolderWatcher(
    { debounce: config.debounce ?? DEBOUNCE, rescanEvery: config.rescanEvery ?? 2000 },
    () => void look().catch(ports.onError),
  );

  let started: Promise<void> | undefined;
  const begin = async () => {
    await prepareDataFolder(config.data);
    store = createObjectStore(await readState(config.data), ports);
    keySets = await files.load();
    await look();
    await saver.flush();
  };

  return {
    // Controller and STS each start what they read from: here it is one thing.
    start: () => (started ??= begin()),
    world: () => (world ??= toWorld(store.state(), keySets, config.systemNamespace)),
    versions() {
      const version = String(store.state().counter);
      return Object.fromEntries(KINDS.map((kind) => [kind, version]));
    },
    keys(zoneUID) {
      const stored = keySets.get(zoneUID);
      return stored?.ok ? stored.keys : [];
    },
    onChange: changed.listen,
    lastEventAge: () => clock.monotonic() - lastLook,
    report: () => report,
    onReport: reported.listen,
    publisher: createPublisher({
      store: () => store,
      changed: touch,
      saved: () => saver.flush(),
      async writeKeys(zoneUID, keys) {
        if (keys.length === 0) await files.remove(zoneUID);
        else await files.write(zoneUID, keys);
        const others = [...keySets].filter(([uid]) => uid !== zoneUID);
        keySets = new Map(keys.length === 0 ? others : [...others, [zoneUID, { ok: true, keys }]]);
        store.advance();
        touch();
      },
    }),
    async close() {
      if (closed) return;
      closed = true;
      watcher.close();
      await look.idle();
      await saver.flush();
    },
  };
}

const DEBOUNCE = 75;

/** What vanished may only be half saved (truncate, then write; backup, then rename): it is looked at twice. */
async function settle(
  reader: { read(): Promise<FolderReading> },
  state: () => StoreState,
  pause: number,
): Promise<FolderReading> {
  const reading = await reader.read();
  const full = new Set(reading.files.filter((file) => !isEmpty(file.manifest)).map((file) => file.id));
  const vanished = state().objects.some(({ file }) => file !== undefined && !full.has(file));
  if (!vanished) return reading;
  await new Promise((resolve) => {
    setTimeout(resolve, pause);
  });
  return reader.read();
}

function isEmpty(manifest: FolderReading['files'][number]['manifest']): boolean {
  return manifest.documents.length === 0 && manifest.problems.length === 0;
}

interface Signal<T> {
  listen(listener: (value: T) => void): () => void;
  emit(value: T): void;
}

function createSignal<T>(): Signal<T> {
  const listeners = new Set<(value: T) => void>();
  return {
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    emit(value) {
      for (const listener of listeners) listener(value);
    },
  };
}

/** Calls `run` once after any number of calls in one tick. */
function createTick(run: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setImmediate(() => {
      waiting = false;
      run();
    });
  };
}

/** Runs one at a time; a call during a run is answered by one more run after it. */
function createSingleFlight(run: () => Promise<void>): (() => Promise<void>) & { idle(): Promise<void> } {
  let tail: Promise<void> = Promise.resolve();
  let queued: Promise<void> | undefined;
  const start = () => {
    queued ??= tail.then(() => {
      queued = undefined;
      return run();
    });
    tail = queued.then(
      () => undefined,
      () => undefined,
    );
    return queued;
  };
  return Object.assign(start, { idle: () => tail });
}

interface Saver {
  schedule(): void;
  flush(): Promise<void>;
}

/** Saves soon after a change, many changes at once. */
function createSaver(save: () => Promise<void>, onError: (error: Error) => void): Saver {
  let timer: NodeJS.Timeout | undefined;
  const run = createSingleFlight(save);
  return {
    schedule() {
      timer ??= setTimeout(() => {
        timer = undefined;
        run().catch(onError);
      }, 50);
    },
    flush() {
      clearTimeout(timer);
      timer = undefined;
      return run();
    },
  };
}
