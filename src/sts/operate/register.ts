/** The objects that are shown, and every change of them in one order. */
import type { Challenge } from '../../authority/stepUp/challenge.ts';
import type { Plural } from '../../runtimeapi/group.ts';
import { isShown, toAPIObject, type APIObject, type Shown, type ZoneName } from '../../runtimeapi/objects.ts';
import type { RuntimeEvent, RuntimeObjects } from '../../runtimeapi/ports.ts';

export interface Register extends RuntimeObjects {
  /** A change where it is one: shown, shown otherwise, or not shown any more. */
  put(object: Shown, zone: ZoneName): void;
  remove(plural: Plural, object: APIObject): void;
  /** Those of a zone, of every kind. */
  ofZone(zone: ZoneName): readonly { readonly plural: Plural; readonly object: APIObject }[];
  /** Those that are shown, as they were last written. */
  challenges(): readonly { readonly challenge: Challenge; readonly object: APIObject }[];
}

const KEPT_EVENTS = 5000;
const PLURALS = {
  agentSession: 'agentsessions',
  delegationEdge: 'delegationedges',
  challenge: 'stepupchallenges',
} as const;

export function isObject(object: { readonly kind: string }): object is Shown {
  return object.kind in PLURALS;
}

/** Versions are counted from `first` on. */
export function createRegister(first: number): Register {
  const shown: Readonly<Record<Plural, Map<string, APIObject>>> = {
    agentsessions: new Map(),
    delegationedges: new Map(),
    stepupchallenges: new Map(),
  };
  const challenges = new Map<string, Challenge>();
  const listeners = new Set<(event: RuntimeEvent) => void>();
  let version = first;
  let events: RuntimeEvent[] = [];

  const record = (plural: Plural, type: RuntimeEvent['type'], object: APIObject): void => {
    const event = { version, plural, type, object };
    events.push(event);
    if (events.length > 2 * KEPT_EVENTS) events = events.slice(-KEPT_EVENTS);
    for (const listener of [...listeners]) listener(event);
  };
  return {
    put(object, zone) {
      const plural = PLURALS[object.kind];
      const key = keyOf(zone.namespace, object.id);
      const before = shown[plural].get(key);
      if (!before && !isShown(object)) return;
      const after = toAPIObject(object, zone, version + 1);
      if (before && isShown(object) && isSame(before, after)) return;
      version += 1;
      if (isShown(object)) shown[plural].set(key, after);
      else shown[plural].delete(key);
      if (object.kind === 'challenge') challenges.set(key, object);
      record(plural, isShown(object) ? (before ? 'MODIFIED' : 'ADDED') : 'DELETED', after);
    },
    remove(plural, object) {
      const { metadata } = object;
      const key = keyOf(metadata.namespace, metadata.name);
      version += 1;
      shown[plural].delete(key);
      challenges.delete(key);
      record(plural, 'DELETED', { ...object, metadata: { ...metadata, resourceVersion: String(version) } });
    },
    ofZone: ({ namespace, name }) =>
      Object.values(PLURALS).flatMap((plural) =>
        [...shown[plural].values()].flatMap((object) =>
          object.metadata.namespace === namespace && object.spec['zone'] === name ? [{ plural, object }] : [],
        ),
      ),
    challenges: () =>
      [...challenges].flatMap(([key, challenge]) => {
        const object = shown.stepupchallenges.get(key);
        return object ? [{ challenge, object }] : [];
      }),
    list(plural, namespace) {
      const all = [...shown[plural]].filter(([, { metadata }]) => !namespace || metadata.namespace === namespace);
      return { version, objects: all.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object) };
    },
    get: (plural, namespace, name) => shown[plural].get(keyOf(namespace, name)),
    since(from) {
      const oldest = events[0]?.version ?? version + 1;
      const isForgotten = events.length >= KEPT_EVENTS && from < oldest - 1;
      if (from > version || from < first || isForgotten) return undefined;
      return events.filter((event) => event.version > from);
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function isSame(a: APIObject, b: APIObject): boolean {
  return JSON.stringify([a.spec, a.status]) === JSON.stringify([b.spec, b.status]);
}
