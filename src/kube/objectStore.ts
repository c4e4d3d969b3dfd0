/** The local copy of one kind: frozen items by namespace and name, whole up to a resourceVersion that never goes back. */
import { compareVersions, newerVersion } from './version.ts';
import type { KubeRecord, WatchEvent } from './watchEvent.ts';

export interface ObjectStore<T> {
  /** Takes a whole list and returns how many entries differ. Throws when the list is older than what was seen. */
  replace(records: readonly KubeRecord[], version: string): number;
  /** Takes one event and returns whether an entry changed; events that are not newer change nothing. */
  apply(event: WatchEvent): boolean;
  /** In no particular order; the same array until something changes. */
  items(): readonly T[];
  get(namespace: string | undefined, name: string): T | undefined;
  version(): string | undefined;
}

interface Entry<T> {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly item: T;
}

export function createObjectStore<T>(toItem: (record: KubeRecord) => T): ObjectStore<T> {
  let entries = new Map<string, Entry<T>>();
  let items: readonly T[] | undefined;
  let version: string | undefined;

  /** The reference is kept while the resourceVersion is, which is what compile's memory keys on. */
  const entryOf = (record: KubeRecord): Entry<T> => {
    const { uid, resourceVersion } = record.metadata;
    const known = entries.get(keyOf(record));
    if (known?.uid === uid && known.resourceVersion === resourceVersion) return known;
    return { uid, resourceVersion, item: deepFreeze(toItem(record)) };
  };

  return {
    replace(records, listVersion) {
      if (version !== undefined && compareVersions(listVersion, version) < 0)
        throw new Error(
          `the API server's state (${listVersion}) is older than what was seen (${version}); if etcd was restored, restart this process`,
        );
      const next = new Map(records.map((record) => [keyOf(record), entryOf(record)]));
      const differences = countDifferences(entries, next);
      if (differences > 0) items = undefined;
      entries = next;
      version = listVersion;
      return differences;
    },
    apply(event) {
      const seen = version ?? '0';
      const eventVersion = event.type === 'bookmark' ? event.resourceVersion : event.object.metadata.resourceVersion;
      version = newerVersion(seen, eventVersion);
      if (event.type === 'bookmark' || compareVersions(eventVersion, seen) <= 0) return false;
      if (event.type === 'delete') entries.delete(keyOf(event.object));
      else entries.set(keyOf(event.object), entryOf(event.object));
      items = undefined;
      return true;
    },
    items: () => (items ??= Object.freeze([...entries.values()].map((entry) => entry.item))),
    get: (namespace, name) => entries.get(`${namespace ?? ''}/${name}`)?.item,
    version: () => version,
  };
}

function keyOf(record: KubeRecord): string {
  return `${record.metadata.namespace ?? ''}/${record.metadata.name}`;
}

function countDifferences<T>(before: ReadonlyMap<string, Entry<T>>, after: ReadonlyMap<string, Entry<T>>): number {
  let differences = 0;
  for (const [key, entry] of after) if (before.get(key) !== entry) differences += 1;
  for (const key of before.keys()) if (!after.has(key)) differences += 1;
  return differences;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
