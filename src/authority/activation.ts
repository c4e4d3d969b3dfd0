/** What a zone's configuration changed when it took effect: for the log, by name and within a bound. */
import type { AuthorityChange } from './feed.ts';
import type { RevocationEntry, RevocationTarget } from './revocation.ts';
import type { ZoneSnapshot } from './snapshot.ts';

/** The configuration that is in force from its record on. Holds no policy text, no key and no digest of a secret. */
export interface Activation {
  /** Of the snapshot. */
  readonly digest: string;
  /** Of the one before; absent for the first that a process serves, recorded unless the store has it as the present one. */
  readonly previousDigest?: string;
  /** Absent: none is active, and everything is denied. */
  readonly policy?: PolicyName;
  /** Where it was another one. */
  readonly previousPolicy?: PolicyName;
  /** The reason, where the zone is frozen. */
  readonly frozen?: string;
  /** Which mandates it may touch; absent: none that was issued, and no epoch was raised. */
  readonly change?: AuthorityChange;
  /** At most 100, in the order of kind and name; empty for the first. */
  readonly objects: readonly ChangedObject[];
  /** How many there are beyond these. */
  readonly more?: number;
  /** Those that take effect with it. */
  readonly revocations: readonly RevocationInForce[];
}

export interface PolicyName {
  readonly set: string;
  readonly revision: number;
  readonly digest: string;
}

export interface ChangedObject {
  readonly kind: 'Application' | 'Resource' | 'Grant';
  /** `<namespace>/<name>`. */
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed';
}

export interface RevocationInForce {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly target: RevocationTarget;
}

/** A record is read by people: what is beyond is counted, and in Git. */
const MAX_OBJECTS = 100;

export function toActivation(
  before: ZoneSnapshot | undefined,
  after: ZoneSnapshot,
  change: AuthorityChange | undefined,
  revocations: readonly RevocationEntry[],
): Activation {
  const objects = before ? diffObjects(before, after) : [];
  const [policy, previous] = [toName(after), before && toName(before)];
  return {
    digest: after.digest,
    ...(before && { previousDigest: before.digest }),
    ...(policy && { policy }),
    ...(previous && previous.digest !== policy?.digest && { previousPolicy: previous }),
    ...(after.frozen && { frozen: after.frozen.reason }),
    ...(change && { change }),
    objects: objects.slice(0, MAX_OBJECTS),
    ...(objects.length > MAX_OBJECTS && { more: objects.length - MAX_OBJECTS }),
    revocations: revocations.map(({ namespace, name, uid, target }) => ({ namespace, name, uid, target })),
  };
}

function toName({ policy }: ZoneSnapshot): PolicyName | undefined {
  return policy && { set: policy.set, revision: policy.revision, digest: policy.digest };
}

function diffObjects(before: ZoneSnapshot, after: ZoneSnapshot): readonly ChangedObject[] {
  return [
    ...diffMaps('Application', before.applications, after.applications),
    ...diffMaps('Resource', before.resources, after.resources),
    ...diffMaps('Grant', grantsOf(before, after), grantsOf(after, before)),
  ];
}

interface Named {
  readonly namespace: string;
  readonly name: string;
}

/** Of the pairs of Application and Resource whose Grants are not the very same on both sides. */
function grantsOf(zone: ZoneSnapshot, other: ZoneSnapshot): ReadonlyMap<string, Named> {
  const found = [...zone.grants].flatMap(([key, entries]) => (other.grants.get(key) === entries ? [] : entries));
  return new Map(found.map((grant) => [grant.uid, grant]));
}

function diffMaps(
  kind: ChangedObject['kind'],
  before: ReadonlyMap<string, Named>,
  after: ReadonlyMap<string, Named>,
): readonly ChangedObject[] {
  const toChanged = ({ namespace, name }: Named, change: ChangedObject['change']) => ({
    kind,
    name: `${namespace}/${name}`,
    change,
  });
  const gone = [...before].filter(([key]) => !after.has(key)).map(([, entry]) => toChanged(entry, 'removed'));
  const there = [...after].flatMap(([key, entry]) => {
    const known = before.get(key);
    if (!known) return [toChanged(entry, 'added')];
    return known === entry || JSON.stringify(known) === JSON.stringify(entry) ? [] : [toChanged(entry, 'changed')];
  });
  return [...gone, ...there].sort((a, b) => (a.name < b.name ? -1 : 1));
}
