/** The Publisher over the folder's object store: what a cluster would keep for the controller. */
import type { BaseStatus } from '../api/meta.ts';
import { objectKey } from '../compiler/verdict.ts';
import type { ObjectReference, Publisher } from '../controller/ports.ts';
import type { PrivateZoneKey } from '../tokens/keys.ts';
import type { ObjectStore } from './objectStore.ts';

export interface PublisherPorts {
  store(): ObjectStore;
  /** Announces a write. */
  changed(): void;
  /** Resolves when everything written is on disk. */
  saved(): Promise<void>;
  writeKeys(zoneUID: string, keys: readonly PrivateZoneKey[]): Promise<void>;
}

export function createPublisher({ store, changed, saved, writeKeys }: PublisherPorts): Publisher {
  const key = ({ kind, namespace, name }: ObjectReference) => objectKey(kind, namespace, name);
  return {
    async createRevision(revision) {
      store().createRevision(revision);
      changed();
      await saved();
    },
    async deleteRevision(reference) {
      store().delete(key(reference), reference.uid, reference.resourceVersion);
      changed();
      await saved();
    },
    writeKeySet: (zone, keys) => writeKeys(zone.uid, keys),
    async writeStatus(reference, status) {
      store().writeStatus(key(reference), reference.uid, reference.resourceVersion, status as BaseStatus);
      changed();
    },
    // Events are for `kubectl describe`; here the same transitions are printed from the statuses.
    emitEvent: async () => undefined,
  };
}
