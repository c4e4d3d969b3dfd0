/** Conflicts: the oldest claim wins, then namespace/name; one loses only to an accepted object. */
import { path, type AnyKindObject } from './outcome.ts';

export interface Claim<T extends AnyKindObject> {
  readonly object: T;
  /** What the object claims; two objects may not share one. */
  readonly keys: readonly string[];
}

/** Every loser with the winner it lost to and the key they share. Order of input does not matter. */
export function resolveConflicts<T extends AnyKindObject>(
  claims: readonly Claim<T>[],
): ReadonlyMap<T, { readonly winner: T; readonly key: string }> {
  const losers = new Map<T, { readonly winner: T; readonly key: string }>();
  const owners = new Map<string, T>();
  for (const { object, keys } of contested(claims).sort((a, b) => compareAge(a.object, b.object))) {
    const taken = keys.find((key) => owners.has(key));
    if (taken !== undefined) losers.set(object, { winner: owners.get(taken)!, key: taken });
    else for (const key of keys) owners.set(key, object);
  }
  return losers;
}

/** Only claims that share a key need an order: the rest cannot lose, and nothing loses to them. */
function contested<T extends AnyKindObject>(claims: readonly Claim<T>[]): Claim<T>[] {
  const first = new Map<string, T>();
  const clashing = new Set<string>();
  for (const { object, keys } of claims) {
    for (const key of keys) {
      const other = first.get(key);
      if (other === undefined) first.set(key, object);
      else if (other !== object) clashing.add(key);
    }
  }
  if (clashing.size === 0) return [];
  return claims.filter(({ keys }) => keys.some((key) => clashing.has(key)));
}

/** Older first; then by `<namespace>/<name>`. A missing creationTimestamp (folder) counts as equal to any other missing one. */
function compareAge(a: AnyKindObject, b: AnyKindObject): number {
  const byTime = toTime(a) - toTime(b);
  if (byTime !== 0) return byTime;
  if (a.metadata.namespace !== b.metadata.namespace) return a.metadata.namespace < b.metadata.namespace ? -1 : 1;
  return path(a) < path(b) ? -1 : path(a) > path(b) ? 1 : 0;
}

function toTime(object: AnyKindObject): number {
  const time = Date.parse(object.metadata.creationTimestamp);
  return Number.isNaN(time) ? 0 : time;
}
