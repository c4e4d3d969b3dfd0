/** What the STS serves: the latest compiled world, each zone with its policy prepared and its epoch raised. */
import { diffZones } from '../authority/change.ts';
import type { Clock } from '../authority/clock.ts';
import type { AuthorityChange } from '../authority/feed.ts';
import type { Snapshot, ZoneSnapshot } from '../authority/snapshot.ts';
import { createCompiler } from '../compiler/compile.ts';
import type { WatchedKind, WorldSource } from '../compiler/world.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { Store } from '../store/store.ts';
import type { Log } from './ports.ts';

/** One zone as it is served: the pair is replaced as a whole, and a snapshot never has a later epoch than its own. */
export interface ServedZone {
  readonly snapshot: ZoneSnapshot;
  readonly epoch: number;
}

/** What happened to a zone; `epoch` where authority changed. */
export interface ZoneEvent {
  readonly zoneUID: string;
  readonly before: ServedZone | undefined;
  readonly after: ServedZone | undefined;
  readonly change: AuthorityChange | undefined;
}

export interface Configuration {
  /** Resolves when the first world is served. */
  start(): Promise<void>;
  zone(id: string): ServedZone | undefined;
  zones(): ReadonlyMap<string, ServedZone>;
  /** Per kind the resourceVersion that is served whole. */
  versions(): Readonly<Partial<Record<WatchedKind, string>>>;
  onZone(listener: (event: ZoneEvent) => void): void;
  /** Resolves when the zone's epoch is at least `epoch`, or with false after `timeoutMs`. */
  reached(zoneID: string, epoch: number, timeoutMs: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface ConfigurationPorts {
  readonly source: WorldSource;
  readonly policies: PolicyEngine;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** A policy that takes longer to compile than this is served unprepared, which denies. */
const PREPARE_MS = 3000;
const RETRY_MS = 500;
const MAX_TIMER_MS = 2 ** 31 - 1;
const NOTHING_GATHERED = { policy: () => undefined, policySet: () => undefined };

export function createConfiguration(ports: ConfigurationPorts): Configuration {
  const { source, clock, log } = ports;
  const compiler = createCompiler();
  const served = new Map<string, ServedZone>();
  /** The snapshot of each zone whose change is durable as an epoch; what failed to be is tried again. */
  const announced = new Map<string, ZoneSnapshot>();
  const listeners = new Set<(event: ZoneEvent) => void>();
  let versions: Readonly<Partial<Record<WatchedKind, string>>> = {};
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let unsubscribe: () => void = () => undefined;

  const replace = (id: string, after: ServedZone | undefined, change: AuthorityChange | undefined): void => {
    const before = served.get(id);
    if (after) served.set(id, after);
    else served.delete(id);
    const zoneUID = (after ?? before)?.snapshot.uid ?? '';
    for (const listener of [...listeners]) listener({ zoneUID, before, after, change });
  };

  const pass = async (): Promise<void> => {
    const seen = source.versions();
    const { snapshot, nextChange } = compiler.compile(source.world(), clock.now(), NOTHING_GATHERED);
    const isWhole = await serve(snapshot, { served, announced, replace }, ports);
    versions = seen;
    if (isWhole) schedule(nextChange);
    else retryLater();
  };

  const wake = (): Promise<void> => {
    again = true;
    running ??= loop().finally(() => (running = undefined));
    return running;
  };

  const loop = async (): Promise<void> => {
    for (;;) {
      if (!again || closed) return;
      again = false;
      try {
        await pass();
      } catch (error) {
        log.error({ error: messageOf(error) }, 'configuration not applied; the last one stays in force');
        retryLater();
      }
    }
  };

  const retryLater = (): void => {
    clearTimeout(timer);
    timer = setTimeout(wakeQuietly, RETRY_MS).unref();
  };
  const wakeQuietly = (): void => void wake();
  const schedule = (at: number | undefined): void => {
    clearTimeout(timer);
    if (at === undefined || closed) return;
    timer = setTimeout(wakeQuietly, Math.min(Math.max(at - clock.now(), 0) + 1, MAX_TIMER_MS)).unref();
  };

  return {
    async start() {
      await source.start();
      unsubscribe = source.onChange(wakeQuietly);
      await wake();
    },
    zone: (id) => served.get(id),
    zones: () => served,
    versions: () => versions,
    onZone: (listener) => void listeners.add(listener),
    reached: (zoneID, epoch, timeoutMs) => waitForEpoch(zoneID, epoch, timeoutMs, served, listeners),
    async close() {
      closed = true;
      unsubscribe();
      clearTimeout(timer);
      await running;
    },
  };
}

interface Serving {
  readonly served: ReadonlyMap<string, ServedZone>;
  readonly announced: Map<string, ZoneSnapshot>;
  readonly replace: (id: string, after: ServedZone | undefined, change: AuthorityChange | undefined) => void;
}

/**
 * Every zone that changed, one beside the other; a slow policy of one holds up no other. False where a policy set is
 * not ready: such a zone denies exchanges, and is looked at again.
 */
async function serve(snapshot: Snapshot, serving: Serving, ports: ConfigurationPorts): Promise<boolean> {
  for (const [id, { snapshot: before }] of [...serving.served]) {
    if (snapshot.zones.has(id)) continue;
    serving.announced.delete(id);
    serving.replace(id, undefined, diffZones(before, undefined));
  }
  const changed = [...snapshot.zones.values()].filter((zone) => serving.announced.get(zone.id)?.digest !== zone.digest);
  const prepared = await Promise.all(changed.map((zone) => serveZone(zone, serving, ports)));
  return prepared.every((isPrepared) => isPrepared);
}

async function serveZone(
  zone: ZoneSnapshot,
  { served, announced, replace }: Serving,
  ports: ConfigurationPorts,
): Promise<boolean> {
  const isPrepared = await prepare(zone, ports);
  const last = announced.get(zone.id);
  const known = last?.uid === zone.uid ? last : undefined;
  const present = served.get(zone.id);
  const change = diffZones(known, zone);
  // What the change takes away is refused from here on; the epoch that tells the gateways follows when it is durable.
  if (known && present) replace(zone.id, { snapshot: zone, epoch: present.epoch }, undefined);
  if (change) {
    const { epoch } = await ports.store.raiseEpoch(zone.uid, zone.digest, change);
    replace(zone.id, { snapshot: zone, epoch }, change);
  }
  if (isPrepared) announced.set(zone.id, zone);
  return isPrepared;
}

async function prepare(zone: ZoneSnapshot, { policies, log }: ConfigurationPorts): Promise<boolean> {
  if (!zone.policy) return true;
  const preparing = policies.prepare(zone.uid, zone.policy.digest, zone.policy.modules);
  const prepared = await within(preparing, PREPARE_MS);
  if (prepared?.ok) return true;
  const reason = prepared?.message ?? 'it takes long to compile';
  log.error({ zone: zone.id, error: reason }, 'the policy set is not ready; exchanges are denied until it is');
  return false;
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function waitForEpoch(
  zoneID: string,
  epoch: number,
  timeoutMs: number,
  served: ReadonlyMap<string, ServedZone>,
  listeners: Set<(event: ZoneEvent) => void>,
): Promise<boolean> {
  const isReached = () => (served.get(zoneID)?.epoch ?? 0) >= epoch;
  if (isReached()) return Promise.resolve(true);
  return new Promise((resolve) => {
    const finish = (reached: boolean) => {
      clearTimeout(timer);
      listeners.delete(look);
      resolve(reached);
    };
    const look = () => {
      if (isReached()) finish(true);
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    listeners.add(look);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
