/** Up to which resourceVersion of each kind a replica must have come to serve what the controller judged. */
import { compareVersions, newerVersion } from '../kube/version.ts';
import type { WatchedKind, World } from '../compiler/world.ts';

export type Versions = Readonly<Partial<Record<WatchedKind, string>>>;

export interface ChangeTracker {
  /** Takes the present world in and returns, per kind, the version of its last real change. */
  note(world: World, versions: Versions): Versions;
}

interface Identified {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string };
}

interface Seen {
  readonly items: readonly Identified[];
  readonly uids: ReadonlySet<string>;
  readonly version: string | undefined;
}

/**
 * The versions of a source also rise by bookmarks, which reach each watcher at another time: waiting for those would
 * show Pending for up to a minute without a reason. So an addition or edit counts with the object's own version, and
 * only a removal, which leaves no object, with the source's. Keys are compared by their ids instead.
 */
export function createChangeTracker(): ChangeTracker {
  const seen = new Map<WatchedKind, Seen>();
  return {
    note(world, versions) {
      for (const [kind, items] of itemsByKind(world)) {
        const before = seen.get(kind);
        if (before?.items !== items) seen.set(kind, look(items, before, versions[kind]));
      }
      const pairs = [...seen].flatMap(([kind, { version }]) =>
        version === undefined ? [] : [[kind, version] as const],
      );
      return Object.fromEntries(pairs);
    },
  };
}

/** Whether everything in `required` is part of what `reported` says. */
export function covers(reported: Versions, required: Versions): boolean {
  return Object.entries(required).every(([kind, version]) => {
    const has = reported[kind as WatchedKind];
    return has !== undefined && compareVersions(has, version) >= 0;
  });
}

function itemsByKind(world: World): readonly (readonly [WatchedKind, readonly Identified[]])[] {
  return [
    ['Zone', world.zones],
    ['Application', world.applications],
    ['Resource', world.resources],
    ['Grant', world.grants],
    ['Policy', world.policies],
    ['PolicySet', world.policySets],
    ['PolicySetRevision', world.policySetRevisions],
    ['Revocation', world.revocations],
    ['Namespace', world.namespaces],
  ];
}

function look(items: readonly Identified[], before: Seen | undefined, sourceVersion: string | undefined): Seen {
  const uids = new Set<string>();
  let version = before?.version;
  for (const { metadata } of items) {
    uids.add(metadata.uid);
    version = version === undefined ? metadata.resourceVersion : newerVersion(version, metadata.resourceVersion);
  }
  const hasVanished = before !== undefined && [...before.uids].some((uid) => !uids.has(uid));
  if (hasVanished && sourceVersion !== undefined)
    version = version === undefined ? sourceVersion : newerVersion(version, sourceVersion);
  return { items, uids, version };
}
