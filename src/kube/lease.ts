/** Leader election by a Lease, with a validity measured on the monotonic clock from before each renewal was sent. */
import type { Clock } from './clock.ts';
import { hasStatus, type KubeClient } from './client.ts';
import { leasesPath } from './paths.ts';
import { pause } from './pause.ts';

export interface LeaseSettings {
  readonly namespace: string;
  readonly name: string;
  /** Unique per process. */
  readonly identity: string;
  /** After this long without a renewal another may take over; 15 s when absent. */
  readonly durationMs?: number;
  /** The leader stops acting after this long without a renewal; 10 s when absent, always below `durationMs`. */
  readonly validMs?: number;
  readonly retryMs?: number;
}

export interface LeasePorts {
  readonly client: KubeClient;
  readonly clock: Clock;
  onError?(error: unknown): void;
}

export interface Leadership {
  start(): void;
  isLeader(): boolean;
  /** Throws NotLeader unless this process may write now. Call right before each write. */
  assertLeader(): void;
  /** Called when leadership begins or is noticed to have ended. Returns the unsubscribe function. */
  onChange(listener: (leader: boolean) => void): () => void;
  /** Gives the Lease up, so that another takes over at once. */
  close(): Promise<void>;
}

export class NotLeader extends Error {
  override readonly name = 'NotLeader';
}

interface LeaseRecord {
  readonly resourceVersion: string;
  readonly holder: string;
  readonly transitions: number;
  readonly acquireTime: string | undefined;
  readonly raw: { readonly metadata: Record<string, unknown> };
}

export function createLease(settings: LeaseSettings, ports: LeasePorts): Leadership {
  const { client, clock } = ports;
  const durationMs = settings.durationMs ?? 15_000;
  const validMs = settings.validMs ?? 10_000;
  const retryMs = settings.retryMs ?? 2_000;
  if (validMs >= durationMs) throw new RangeError(`validMs (${validMs}) must be below durationMs (${durationMs})`);
  const path = `${leasesPath(settings.namespace)}/${settings.name}`;
  const listeners = new Set<(leader: boolean) => void>();
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let validUntil = -Infinity;
  let announced = false;
  let seen: { readonly resourceVersion: string; readonly at: number } | undefined;
  let held: LeaseRecord | undefined;

  const isLeader = (): boolean => clock.monotonic() < validUntil;
  const announce = (): void => {
    const leader = isLeader();
    if (leader === announced) return;
    announced = leader;
    for (const listener of listeners) listener(leader);
  };

  const write = async (record: LeaseRecord | undefined, holder: string): Promise<void> => {
    const sentAt = clock.monotonic();
    const body = leaseBody(settings, record, holder, durationMs, clock.now());
    const path_ = record === undefined ? leasesPath(settings.namespace) : path;
    const answer = await client.request({ method: record === undefined ? 'POST' : 'PUT', path: path_, body });
    held = parseLease(answer);
    validUntil = holder === settings.identity ? sentAt + validMs : -Infinity;
    announce();
  };

  /** Others' clocks are not trusted: a Lease is free when it was seen unchanged for its whole duration here. */
  const isFree = (record: LeaseRecord): boolean => {
    if (record.holder === '' || record.holder === settings.identity) return true;
    if (seen?.resourceVersion !== record.resourceVersion)
      seen = { resourceVersion: record.resourceVersion, at: clock.monotonic() };
    return clock.monotonic() - seen.at >= durationMs;
  };

  const round = async (): Promise<void> => {
    const record = isLeader() && held !== undefined ? held : await read();
    if (record === undefined || isFree(record)) await write(record, settings.identity);
  };

  const read = async (): Promise<LeaseRecord | undefined> => {
    try {
      return parseLease(await client.request({ method: 'GET', path }));
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (hasStatus(error, 409)) held = undefined;
        ports.onError?.(error);
        if (held === undefined) validUntil = -Infinity;
      }
      announce();
      await pause(retryMs, closing.signal);
    }
  };

  return {
    start() {
      running ??= run();
    },
    isLeader,
    assertLeader() {
      if (!isLeader()) throw new NotLeader(`${settings.identity} does not hold the Lease ${settings.name} now`);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      closing.abort();
      await running;
      const mine = held;
      if (isLeader() && mine !== undefined) {
        validUntil = -Infinity;
        await write(mine, '').catch((error: unknown) => ports.onError?.(error));
      }
      announce();
    },
  };
}

/** A holder name that no other process has: two processes of one host differ by the 16 random bytes. */
export function leaseIdentity(host: string, randomBytes: (size: number) => Uint8Array): string {
  return `${host}_${Buffer.from(randomBytes(16)).toString('hex')}`;
}

function leaseBody(
  settings: LeaseSettings,
  record: LeaseRecord | undefined,
  holder: string,
  durationMs: number,
  now: number,
): Record<string, unknown> {
  const taken = record === undefined || record.holder !== holder;
  const time = new Date(now).toISOString().replace('Z', '000Z');
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: record?.raw.metadata ?? { name: settings.name, namespace: settings.namespace },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      renewTime: time,
      acquireTime: taken ? time : (record?.acquireTime ?? time),
      leaseTransitions: (record?.transitions ?? 0) + (taken && holder !== '' ? 1 : 0),
    },
  };
}

function parseLease(value: unknown): LeaseRecord {
  const raw = value as { metadata: Record<string, unknown>; spec?: Record<string, unknown> };
  const { managedFields: _, ...metadata } = raw.metadata;
  const holder = raw.spec?.['holderIdentity'];
  const transitions = raw.spec?.['leaseTransitions'];
  const acquired = raw.spec?.['acquireTime'];
  return {
    resourceVersion: String(metadata['resourceVersion']),
    holder: typeof holder === 'string' ? holder : '',
    transitions: typeof transitions === 'number' ? transitions : 0,
    acquireTime: typeof acquired === 'string' ? acquired : undefined,
    raw: { metadata },
  };
}
