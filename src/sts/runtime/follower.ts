/** Follows the store, where other replicas write too: takes what they wrote, and knows how far behind this one is. */
import type { Clock } from '../../authority/clock.ts';
import type { Head, Store } from '../../store/store.ts';
import type { Configuration, ServedZone } from '../configuration.ts';
import type { Log } from '../ports.ts';
import type { Runtimes } from './runtimes.ts';

export interface Follower {
  start(): Promise<void>;
  /** The store was read within the last 500 ms, and its clock is ours. */
  isReading(): boolean;
  /** It is, and no replica is more than a second ahead in this zone: without that nothing proves freshness. */
  isFresh(zoneUID: string): boolean;
  /** Undefined while all is well. */
  problem(): string | undefined;
  close(): void;
}

export interface FollowerPorts {
  readonly store: Pick<Store, 'heads' | 'onHint' | 'clockSkewMs' | 'zoneEpoch'>;
  readonly configuration: Pick<Configuration, 'zones' | 'raised'>;
  readonly runtimes: Pick<Runtimes, 'refresh'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

const EVERY_MS = 200;
const FRESH_MS = 500;
const MAX_BEHIND_MS = 1000;
const MAX_SKEW_MS = 2000;

export function createFollower({ store, configuration, runtimes, clock, log }: FollowerPorts): Follower {
  /** By zone UID: when (monotonic) the store was last asked and nobody was ahead. One that was not asked about was just loaded. */
  const caughtUpAt = new Map<string, number>();
  /** By zone UID: others are ahead, and that was logged. */
  const behind = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;
  let reading = false;
  let again = false;

  const look = async (): Promise<void> => {
    again = reading;
    if (reading) return;
    reading = true;
    const started = clock.monotonic();
    try {
      const heads = await store.heads();
      readAt = started;
      await Promise.all(
        [...configuration.zones().values()].map(async (zone) => {
          await follow(zone, heads.get(zone.snapshot.uid));
          note(zone, heads.get(zone.snapshot.uid), started);
        }),
      );
    } catch {
      // An unreadable store is what this is here to notice: nothing proves freshness until it answers again.
    } finally {
      reading = false;
    }
    if (again) await look();
  };

  const follow = async ({ snapshot: { uid, id } }: ServedZone, head: Head | undefined): Promise<void> => {
    if (!head) return;
    if (head.sequence > (configuration.zones().get(id)?.runtime.sequence() ?? 0)) await runtimes.refresh(uid);
    if (isBehind(uid, id, head)) await adopt(uid, id);
  };
  /** Only what was caught up with counts as read: a replica that stood still knows nothing of how far it is behind. */
  const note = ({ snapshot: { uid, id } }: ServedZone, head: Head | undefined, started: number): void => {
    if (!head || !isBehind(uid, id, head)) {
      caughtUpAt.set(uid, started);
      behind.delete(uid);
    } else if (!behind.has(uid)) {
      behind.add(uid);
      log.info({ zone: id }, 'another replica is ahead');
    }
  };

  const isBehind = (uid: string, id: string, head: Head): boolean => {
    const present = configuration.zones().get(id);
    return present?.snapshot.uid === uid && present.epoch < head.epoch;
  };
  /** What the last epoch was raised for is what is served here: whatever came in between, every mandate is asked about. */
  const adopt = async (uid: string, id: string): Promise<void> => {
    const last = await store.zoneEpoch(uid);
    if (!last || configuration.zones().get(id)?.snapshot.digest !== last.digest) return;
    configuration.raised(uid, { epoch: last.epoch, change: { all: true, applications: [], resources: [] } });
  };

  const isReading = () => clock.monotonic() - readAt <= FRESH_MS && Math.abs(store.clockSkewMs()) <= MAX_SKEW_MS;
  let timer: NodeJS.Timeout | undefined;
  let unhint: () => void = () => undefined;
  return {
    async start() {
      await look();
      timer = setInterval(() => void look(), EVERY_MS).unref();
      unhint = store.onHint(() => void look());
    },
    isReading,
    isFresh(zoneUID) {
      const since = caughtUpAt.get(zoneUID);
      return isReading() && (since === undefined || clock.monotonic() - since <= MAX_BEHIND_MS);
    },
    problem() {
      if (isReading()) return undefined;
      const skew = Math.round(store.clockSkewMs() / 1000);
      return Math.abs(skew) * 1000 >= MAX_SKEW_MS
        ? `the clock is ${Math.abs(skew)} s off the store's`
        : 'the store cannot be read';
    },
    close() {
      clearInterval(timer);
      unhint();
    },
  };
}
