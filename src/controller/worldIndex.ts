/** Finds the object that a verdict is about. */
import type { BaseStatus, KindObject } from '../api/meta.ts';
import { objectKey, type VerdictKind } from '../compiler/verdict.ts';
import type { World } from '../compiler/world.ts';

export type AnyObject = KindObject<VerdictKind, unknown, BaseStatus>;

const indexes = new WeakMap<readonly AnyObject[], ReadonlyMap<string, AnyObject>>();

/** By `objectKey`; each list is indexed once. */
export function findObject(world: World, kind: VerdictKind, key: string): AnyObject | undefined {
  return indexOf(listOf(world, kind)).get(key);
}

function indexOf(list: readonly AnyObject[]): ReadonlyMap<string, AnyObject> {
  const known = indexes.get(list);
  if (known !== undefined) return known;
  const index = new Map(
    list.map((object) => [objectKey(object.kind, object.metadata.namespace, object.metadata.name), object]),
  );
  indexes.set(list, index);
  return index;
}

function listOf(world: World, kind: VerdictKind): readonly AnyObject[] {
  switch (kind) {
    case 'Zone':
      return world.zones;
    case 'Application':
      return world.applications;
    case 'Resource':
      return world.resources;
    case 'Grant':
      return world.grants;
    case 'Policy':
      return world.policies;
    case 'PolicySet':
      return world.policySets;
    case 'PolicySetRevision':
      return world.policySetRevisions;
    case 'Revocation':
      return world.revocations;
  }
}
