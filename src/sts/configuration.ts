/** What the STS serves: the latest compiled world, each zone with its policy prepared and its epoch raised. */
import { toActivation } from '../authority/activation.ts';
import { diffZones } from '../authority/change.ts';
import { uuidv7, type Clock, type RandomBytes } from '../authority/clock.ts';
import type { AuthorityChange } from '../authority/feed.ts';
import { mergeRevocations, type RevocationEntry } from '../authority/revocation.ts';
import { withFreeze } from '../authority/freeze.ts';
import type { RuntimeEntry } from '../authority/runtime.ts';
import type { RuntimeView } from '../authority/runtimeIndex.ts';
import type { Snapshot, ZoneSnapshot } from '../authority/snapshot.ts';
import { createCompiler } from '../compiler/compile.ts';
import type { WatchedKind, WorldSource } from '../compiler/world.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { BeforeEpoch, Store } from '../store/store.ts';
import { createPolicyReadiness, PREPARE_MS, type PolicyReadiness } from './policyReadiness.ts';
import type { Log } from './ports.ts';

/** One zone as it is served: the pair is replaced as a whole, and a snapshot never has a later epoch than its own. */
export interface ServedZone {
  /** In force: with the freeze by command, where there is one. */
  readonly snapshot: ZoneSnapshot;
  /** What it is of the configuration alone. */
  readonly configured: ZoneSnapshot;
  readonly epoch: number;
  /** Agent sessions, edges and challenges: live, and at least as far as `epoch`. */
  readonly runtime: RuntimeView;
  /** It took authority away and the epoch that tells so is not durable yet: nobody gets a proof of freshness. */
  readonly isUnannounced?: true;
}

/** What happened to a zone; `epoch` where authority changed. */
export interface ZoneEvent {
  readonly zoneUID: string;
  readonly before: ServedZone | undefined;
  readonly after: ServedZone | undefined;
  readonly change: AuthorityChange | undefined;
}

export interface Configuration {
  /** Resolves when the first world is served, or could not be for now. */
  start(): Promise<void>;
  /** Something is served: that a zone is unknown means that there is none. */
  isKnown(): boolean;
  zone(id: string): ServedZone | undefined;
  zones(): ReadonlyMap<string, ServedZone>;
  /** Per kind the resourceVersion that is served whole. */
  versions(): Readonly<Partial<Record<WatchedKind, string>>>;
  onZone(listener: (event: ZoneEvent) => void): void;
  /** The zone's epoch rose with a change of its runtime state. */
  raised(zoneUID: string, raised: NonNullable<RuntimeEntry['raised']>): void;
  /** Resolves when the zone's epoch is at least `epoch`, or with false after `timeoutMs`. */
  reached(zoneID: string, epoch: number, timeoutMs: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface ConfigurationPorts {
  readonly source: WorldSource;
  readonly policies: PolicyEngine;
  readonly store: Store;
  /** The zone's runtime state, loaded. */
  runtime(zoneUID: string): Promise<RuntimeView>;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
}

/** How long a pass waits for a policy set: most are compiled by then, and no revocation waits for the others. */
const PATIENCE_MS = 100;
const RETRY_MS = 500;
const MAX_TIMER_MS = 2 ** 31 - 1;
const NOTHING_GATHERED = { policy: () => undefined, policySet: () => undefined };

export function createConfiguration(ports: ConfigurationPorts): Configuration {
  const { source, clock, log } = ports;
  const compiler = createCompiler();
  const served = new Map<string, ServedZone>();
  /** The snapshot of each zone whose change is durable as an epoch; what failed to be is tried again. */
  const announced = new Map<string, ZoneSnapshot>();
  /** By zone UID, as the store has them: a Revocation that is deleted stays in force. */
  const remembered = new Map<string, readonly RevocationEntry[]>();
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

  const readiness = createPolicyReadiness({
    policies: ports.policies,
    log,
    now: () => clock.monotonic(),
    onDecided: () => wakeQuietly(),
  });
  let patienceMs = PREPARE_MS;
  let wasApplied = false;

  const pass = async (): Promise<void> => {
    const seen = source.versions();
    const { snapshot, nextChange } = compiler.compile(source.world(), clock.now(), NOTHING_GATHERED);
    const serving = { served, announced, remembered, replace, readiness, patienceMs };
    const outcome = await serve(snapshot, serving, ports);
    patienceMs = PATIENCE_MS;
    wasApplied = true;
    if (outcome !== 'pending') versions = seen;
    if (outcome === 'whole') schedule(nextChange);
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
    isKnown: () => wasApplied || served.size > 0,
    zone: (id) => served.get(id),
    zones: () => served,
    versions: () => versions,
    onZone: (listener) => void listeners.add(listener),
    raised(zoneUID, { epoch, change }) {
      const present = [...served.values()].find(({ snapshot }) => snapshot.uid === zoneUID);
      if (!present) return;
      const { configured, runtime, ...rest } = present;
      const raisedZone = { ...rest, ...toServed(configured, Math.max(epoch, present.epoch), runtime) };
      replace(present.snapshot.id, raisedZone, change);
    },
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
  readonly remembered: Map<string, readonly RevocationEntry[]>;
  readonly replace: (id: string, after: ServedZone | undefined, change: AuthorityChange | undefined) => void;
  readonly readiness: PolicyReadiness;
  readonly patienceMs: number;
}

/** `pending`: a zone keeps its last policy set until the next one is compiled. `partly`: one denies for want of a set. */
type Outcome = 'whole' | 'partly' | 'pending';

/** Every zone that changed, one beside the other; a slow policy of one holds up no other. */
async function serve(snapshot: Snapshot, serving: Serving, ports: ConfigurationPorts): Promise<Outcome> {
  for (const [id, { snapshot: before }] of [...serving.served]) {
    if (snapshot.zones.has(id)) continue;
    serving.announced.delete(id);
    serving.replace(id, undefined, diffZones(before, undefined));
  }
  const changed = [...snapshot.zones.values()].filter((zone) => serving.announced.get(zone.id)?.digest !== zone.digest);
  const settled = await Promise.allSettled(changed.map((zone) => serveZone(zone, serving, ports)));
  const outcomes = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  if (outcomes.includes('pending')) return 'pending';
  return outcomes.includes('partly') ? 'partly' : 'whole';
}

async function serveZone(compiled: ZoneSnapshot, serving: Serving, ports: ConfigurationPorts): Promise<Outcome> {
  const { announced, remembered, readiness, patienceMs } = serving;
  const known = announced.get(compiled.id);
  const last = known?.uid === compiled.uid ? known : undefined;
  const ready = await readiness.of(compiled, patienceMs);
  const zone = await recall(compiled, remembered, ports.store);
  if (ready === 'pending') {
    const meanwhile = last && withPolicyOf(last, zone);
    if (meanwhile && meanwhile.digest !== last.digest) await announce(meanwhile, last, serving, ports);
    return 'pending';
  }
  const snapshot = await announce(zone, last, serving, ports);
  if (ready === 'ready') return 'whole';
  // It is looked at again, though nothing changes.
  announced.set(zone.id, { ...snapshot, digest: `${zone.digest} unprepared` });
  return 'partly';
}

/** The zone with every revocation that the store remembers of it besides those of the configuration. */
async function recall(
  compiled: ZoneSnapshot,
  remembered: Map<string, readonly RevocationEntry[]>,
  store: Pick<Store, 'revocations'>,
): Promise<ZoneSnapshot> {
  const known = remembered.get(compiled.uid) ?? (await store.revocations(compiled.uid));
  remembered.set(compiled.uid, known);
  const { all } = mergeRevocations(known, compiled.revocations);
  return all === compiled.revocations ? compiled : { ...compiled, revocations: all };
}

/** All that changed but the policy set. */
function withPolicyOf({ policy }: ZoneSnapshot, zone: ZoneSnapshot): ZoneSnapshot {
  return { ...zone, policy, digest: `${zone.digest} under ${policy?.digest ?? 'none'}` };
}

/**
 * What the change takes away is refused from here on; the epoch that tells the gateways, and with which new revocations
 * take effect, follows when it is durable.
 */
async function announce(
  zone: ZoneSnapshot,
  last: ZoneSnapshot | undefined,
  { served, announced, remembered, replace }: Serving,
  ports: ConfigurationPorts,
): Promise<ZoneSnapshot> {
  const { store } = ports;
  const runtime = await ports.runtime(zone.uid);
  const change = diffZones(last, zone);
  const present = served.get(zone.id);
  if (last && present) {
    const after = toServed(zone, present.epoch, runtime);
    replace(zone.id, { ...after, ...(change && { isUnannounced: true }) }, undefined);
  }
  let snapshot = zone;
  const { added } = mergeRevocations(remembered.get(zone.uid) ?? [], zone.revocations);
  const record = toActivationRecord(last, zone, change, added, ports);
  const { epoch } = await store.raiseEpoch(zone.uid, zone.digest, change, added, record);
  if (change) {
    if (added.length > 0) {
      const revocations = await store.revocations(zone.uid);
      remembered.set(zone.uid, revocations);
      snapshot = { ...zone, revocations };
    }
    replace(zone.id, toServed(snapshot, Math.max(epoch, epochOf(zone, served)), runtime), change);
  }
  announced.set(zone.id, snapshot);
  return snapshot;
}

function toServed(configured: ZoneSnapshot, epoch: number, runtime: RuntimeView): ServedZone {
  return { snapshot: withFreeze(configured, runtime), configured, epoch, runtime };
}

/** Every configuration that takes effect leaves a record, under the epoch that it raises or the present one. */
function toActivationRecord(
  last: ZoneSnapshot | undefined,
  zone: ZoneSnapshot,
  change: AuthorityChange | undefined,
  added: readonly RevocationEntry[],
  { clock, randomBytes }: Pick<ConfigurationPorts, 'clock' | 'randomBytes'>,
): BeforeEpoch {
  const at = clock.now();
  return {
    id: uuidv7(at, randomBytes),
    zoneUID: zone.uid,
    zoneID: zone.id,
    at,
    requestID: 'configuration',
    kind: 'configuration',
    outcome: 'done',
    ...(zone.policy && { policyDigest: zone.policy.digest }),
    activation: toActivation(last, zone, change, added),
  };
}

/** A change of the runtime state may have raised it further meanwhile. */
function epochOf({ id, uid }: ZoneSnapshot, served: ReadonlyMap<string, ServedZone>): number {
  const present = served.get(id);
  return present?.snapshot.uid === uid ? present.epoch : 0;
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
