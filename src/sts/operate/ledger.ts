/**
 * The runtime objects of all zones in one order of changes, as watches need it. Versions count the changes that this
 * replica took, from its start time on: whoever comes with a version of another replica, or of before, lists anew.
 */
import type { RuntimeEntry } from '../../authority/runtime.ts';
import type { Challenge } from '../../authority/stepUp/challenge.ts';
import { expireChallenge } from '../../authority/stepUp/challenges.ts';
import type { Clock } from '../../authority/clock.ts';
import { isShown, toAPIObject, type APIObject, type Shown } from '../../runtimeapi/objects.ts';
import type { Plural } from '../../runtimeapi/group.ts';
import type { RuntimeEvent, RuntimeObjects } from '../../runtimeapi/ports.ts';
import type { Configuration, ServedZone, ZoneEvent } from '../configuration.ts';
import type { Runtimes } from '../runtime/runtimes.ts';

export interface LedgerPorts {
  readonly configuration: Pick<Configuration, 'zones' | 'onZone'>;
  readonly runtimes: Pick<Runtimes, 'onEntry'>;
  readonly clock: Clock;
}

export interface Ledger extends RuntimeObjects {
  start(): void;
  close(): void;
}

const KEPT_EVENTS = 5000;
/** How late a watch may be told that a challenge expired: nothing is written then. */
const EXPIRY_MS = 500;
/** More changes than one replica makes in a millisecond: its versions meet those of no later one. */
const PER_MILLISECOND = 1000;

const PLURALS = {
  agentSession: 'agentsessions',
  delegationEdge: 'delegationedges',
  challenge: 'stepupchallenges',
} as const;

export function createLedger({ configuration, runtimes, clock }: LedgerPorts): Ledger {
  const shown: Readonly<Record<Plural, Map<string, APIObject>>> = {
    agentsessions: new Map(),
    delegationedges: new Map(),
    stepupchallenges: new Map(),
  };
  /** That end by time and without a write: with the zone that they are of. */
  const waiting = new Map<string, { readonly zone: ServedZone; readonly challenge: Challenge }>();
  const listeners = new Set<(event: RuntimeEvent) => void>();
  const first = clock.now() * PER_MILLISECOND;
  let version = first;
  let events: RuntimeEvent[] = [];

  const record = (plural: Plural, type: RuntimeEvent['type'], object: APIObject): void => {
    const event = { version, plural, type, object };
    events.push(event);
    if (events.length > 2 * KEPT_EVENTS) events = events.slice(-KEPT_EVENTS);
    for (const listener of [...listeners]) listener(event);
  };
  const put = (object: Shown, zone: ServedZone): void => {
    const plural = PLURALS[object.kind];
    const { namespace, name } = zone.snapshot;
    const before = shown[plural].get(keyOf(namespace, object.id));
    if (!before && !isShown(object)) return;
    version += 1;
    const after = toAPIObject(object, { namespace, name }, version);
    if (isShown(object)) shown[plural].set(keyOf(namespace, object.id), after);
    else shown[plural].delete(keyOf(namespace, object.id));
    if (object.kind === 'challenge') wait(object, zone);
    record(plural, isShown(object) ? (before ? 'MODIFIED' : 'ADDED') : 'DELETED', after);
  };
  const wait = (challenge: Challenge, zone: ServedZone): void => {
    const isOpen = challenge.state === 'pending' || challenge.state === 'approved';
    if (isOpen) waiting.set(challenge.id, { zone, challenge });
    else waiting.delete(challenge.id);
  };
  const expire = (): void => {
    for (const { zone, challenge } of [...waiting.values()]) {
      const present = expireChallenge(challenge, clock.now());
      if (present.state !== challenge.state) put(present, zone);
    }
  };

  const enter = (zone: ServedZone): void => {
    const { runtime } = zone;
    for (const object of [...runtime.sessions(), ...runtime.edges(), ...runtime.challenges()]) put(object, zone);
  };
  const leave = (zone: ServedZone): void => {
    for (const [id, one] of waiting) if (one.zone.snapshot.uid === zone.snapshot.uid) waiting.delete(id);
    const { namespace, name } = zone.snapshot;
    for (const plural of Object.values(PLURALS))
      for (const [key, object] of [...shown[plural]]) {
        if (object.metadata.namespace !== namespace || object.spec['zone'] !== name) continue;
        version += 1;
        shown[plural].delete(key);
        const metadata = { ...object.metadata, resourceVersion: String(version) };
        record(plural, 'DELETED', { ...object, metadata });
      }
  };
  configuration.onZone(({ before, after }: ZoneEvent) => {
    if (before && after && before.snapshot.uid === after.snapshot.uid) return;
    if (before) leave(before);
    if (after) enter(after);
  });
  const stop = runtimes.onEntry((zoneUID: string, entry: RuntimeEntry) => {
    const zone = [...configuration.zones().values()].find(({ snapshot }) => snapshot.uid === zoneUID);
    if (!zone) return;
    for (const object of entry.puts) if (object.kind in PLURALS) put(object as Shown, zone);
  });
  let timer: NodeJS.Timeout | undefined;

  return {
    start: () => void (timer = setInterval(expire, EXPIRY_MS).unref()),
    list(plural, namespace) {
      expire();
      const all = [...shown[plural]].filter(([, { metadata }]) => !namespace || metadata.namespace === namespace);
      return { version, objects: all.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object) };
    },
    get(plural, namespace, name) {
      expire();
      return shown[plural].get(keyOf(namespace, name));
    },
    since(from) {
      const oldest = events[0]?.version ?? version + 1;
      if (from > version || from < first || (from < oldest - 1 && events.length >= KEPT_EVENTS)) return undefined;
      return events.filter((event) => event.version > from);
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      stop();
      clearInterval(timer);
    },
  };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
