/** The folder's stored state as the World that compile reads; unchanged objects keep their reference. */
import type { NamespaceObject } from '../api/meta.ts';
import type { World } from '../compiler/world.ts';
import type { ManifestObject } from './admission.ts';
import { toKeySetState } from './keyFiles.ts';
import type { StoredKeySet } from './keyFiles.ts';
import type { StoredNamespace, StoreState } from './objectStore.ts';

export function toWorld(state: StoreState, keySets: ReadonlyMap<string, StoredKeySet>, systemNamespace: string): World {
  const ofKind = <Kind extends ManifestObject['kind']>(kind: Kind) =>
    state.objects.flatMap(({ object }) =>
      object.kind === kind ? [object as Extract<ManifestObject, { kind: Kind }>] : [],
    );
  return {
    systemNamespace,
    namespaces: state.namespaces.map(toNamespace),
    zones: ofKind('Zone'),
    applications: ofKind('Application'),
    resources: ofKind('Resource'),
    grants: ofKind('Grant'),
    policies: ofKind('Policy'),
    policySets: ofKind('PolicySet'),
    policySetRevisions: ofKind('PolicySetRevision'),
    revocations: ofKind('Revocation'),
    keySets: new Map([...keySets].map(([uid, stored]) => [uid, toKeySetState(stored)])),
  };
}

const namespaceObjects = new WeakMap<StoredNamespace, NamespaceObject>();

function toNamespace(stored: StoredNamespace): NamespaceObject {
  const known = namespaceObjects.get(stored);
  if (known) return known;
  const { name, uid, resourceVersion, labels } = stored;
  const object = { metadata: { name, uid, resourceVersion, labels } };
  namespaceObjects.set(stored, object);
  return object;
}
