/**
 * The runtime objects of all zones in one order of changes, as watches need it. Versions count the changes that this
 * replica took, from its start time on: whoever comes with a version of another replica, or of before, lists anew.
 */
import type { Clock } from '../../authority/clock.ts';
import type { RuntimeEntry } from '../../authority/runtime.ts';
import { expireChallenge } from '../../authority/stepUp/challenges.ts';
import type { Plural } from '../../runtimeapi/group.ts';
import type { RuntimeObjects } from '../../runtimeapi/ports.ts';
import type { Configuration, ServedZone, ZoneEvent } from '../configuration.ts';
import type { Runtimes } from '../runtime/runtimes.ts';
import { createRegister, isObject } from './register.ts';

export interface LedgerPorts {
  readonly configuration: Pick<Configuration, 'zones' | 'onZone'>;
  readonly runtimes: Pick<Runtimes, 'onEntry' | 'onReload'>;
  readonly clock: Clock;
}

export interface Ledger extends RuntimeObjects {
  start(): void;
  close(): void;
}

/** How late a watch may be told that a challenge expired: nothing is written then. */
const EXPIRY_MS = 500;
/** How long a challenge that is over is shown, as the store keeps it. */
const KEPT_MS = 24 * 3600 * 1000;
/** More changes than one replica makes in a millisecond: its versions meet those of no later one. */
const PER_MILLISECOND = 1000;

export function createLedger({ configuration, runtimes, clock }: LedgerPorts): Ledger {
  const register = createRegister(clock.now() * PER_MILLISECOND);
  const zoneOf = (uid: string): ServedZone | undefined =>
    [...configuration.zones().values()].find(({ snapshot }) => snapshot.uid === uid);

  /** What time alone does to challenges: nothing is written then. */
  const expire = (): void => {
    const now = clock.now();
    for (const { challenge, object } of register.challenges()) {
      const end = challenge.expiresAt * 1000;
      const zone = { namespace: object.metadata.namespace, name: String(object.spec['zone']) };
      if (now >= end + KEPT_MS) register.remove('stepupchallenges', object);
      else if (now >= end) register.put(expireChallenge(challenge, now), zone);
    }
  };
  const enter = ({ runtime, snapshot }: ServedZone): void => {
    const all = [...runtime.sessions(), ...runtime.edges(), ...runtime.challenges()];
    for (const object of all) register.put(object, snapshot);
  };
  const leave = ({ snapshot }: ServedZone, isGone: (plural: Plural, name: string) => boolean): void => {
    for (const { plural, object } of register.ofZone(snapshot))
      if (isGone(plural, object.metadata.name)) register.remove(plural, object);
  };

  configuration.onZone(({ before, after }: ZoneEvent) => {
    if (before && after && before.snapshot.uid === after.snapshot.uid) return;
    if (before) leave(before, () => true);
    if (after) enter(after);
  });
  const stopEntries = runtimes.onEntry((zoneUID: string, entry: RuntimeEntry) => {
    const zone = zoneOf(zoneUID);
    if (zone) for (const object of entry.puts) if (isObject(object)) register.put(object, zone.snapshot);
  });
  const stopReloads = runtimes.onReload((zoneUID: string) => {
    const zone = zoneOf(zoneUID);
    if (!zone) return;
    leave(zone, (plural, id) => !isThere(zone, plural, id));
    enter(zone);
  });
  let timer: NodeJS.Timeout | undefined;

  return {
    start: () => void (timer = setInterval(expire, EXPIRY_MS).unref()),
    list(plural, namespace) {
      expire();
      return register.list(plural, namespace);
    },
    get(plural, namespace, name) {
      expire();
      return register.get(plural, namespace, name);
    },
    since: (version) => register.since(version),
    onEvent: (listener) => register.onEvent(listener),
    close() {
      stopEntries();
      stopReloads();
      clearInterval(timer);
    },
  };
}

function isThere({ runtime }: ServedZone, plural: Plural, id: string): boolean {
  switch (plural) {
    case 'agentsessions':
      return runtime.session(id) !== undefined;
    case 'delegationedges':
      return runtime.edge(id) !== undefined;
    case 'stepupchallenges':
      return runtime.challenge(id) !== undefined;
  }
}
