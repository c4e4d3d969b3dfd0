/** PolicySetRevision: which may be read at all, and which of a set is active in a Zone. */
import type { PolicySet } from '../api/policySet.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Zone } from '../api/zone.ts';
import type { ActivePolicy, PolicyModule } from '../authority/snapshot.ts';
import { policySetDigest } from '../policy/digest.ts';
import { isPresent, path } from './outcome.ts';
import { perObject } from './perObject.ts';

/** The text it freezes, sorted by name as digests are. */
const revisionModules = perObject(({ spec }: PolicySetRevision) =>
  spec.policies.map(toModule).sort((a, b) => (a.name < b.name ? -1 : 1)),
);

export function toModule(policy: PolicySetRevision['spec']['policies'][number]): PolicyModule {
  const { name, rego, appliesTo } = policy;
  if (!appliesTo) return { name, rego };
  const { resources, applications } = appliesTo;
  return { name, rego, appliesTo: { ...(resources && { resources }), ...(applications && { applications }) } };
}

/** Why its text may not be used, or undefined: nobody's word is taken for the digest. */
export const revisionProblem = perObject((revision: PolicySetRevision): string | undefined => {
  const { set, number, digest } = revision.spec;
  if (revision.metadata.name !== `${set}-${number}`) return `its name is not ${set}-${number}`;
  return policySetDigest(revisionModules(revision)) === digest
    ? undefined
    : 'spec.digest is not the digest of its text';
});

/** Whether the revision belongs to this very set, not to an earlier one of the same name. */
export function isOwnedBy(revision: PolicySetRevision, set: PolicySet): boolean {
  const { metadata, spec } = revision;
  if (metadata.namespace !== set.metadata.namespace || spec.set !== set.metadata.name) return false;
  return metadata.ownerReferences?.some(({ kind, uid }) => kind === 'PolicySet' && uid === set.metadata.uid) ?? false;
}

/** Present revisions of each present set, by `<namespace>/<set>`, lowest number first. */
export function groupRevisions(
  sets: ReadonlyMap<string, PolicySet>,
  revisions: readonly PolicySetRevision[],
): ReadonlyMap<string, readonly PolicySetRevision[]> {
  const groups = new Map<string, PolicySetRevision[]>();
  for (const revision of revisions) {
    const key = `${revision.metadata.namespace}/${revision.spec.set}`;
    const set = sets.get(key);
    if (!set || !isPresent(revision) || !isOwnedBy(revision, set)) continue;
    const group = groups.get(key);
    if (group) group.push(revision);
    else groups.set(key, [revision]);
  }
  for (const group of groups.values()) group.sort((a, b) => a.spec.number - b.spec.number);
  return groups;
}

/** The revision a Zone's reference selects among the usable ones (lowest first), if there is one. */
export function selectRevision(
  ref: NonNullable<Zone['spec']['policySetRef']>,
  revisions: readonly PolicySetRevision[],
): PolicySetRevision | undefined {
  const usable = revisions.filter((revision) => revisionProblem(revision) === undefined);
  if (ref.revision !== undefined) return usable.find(({ spec }) => spec.number === ref.revision);
  if (ref.digest !== undefined) return usable.findLast(({ spec }) => spec.digest === ref.digest);
  return usable.at(-1);
}

export const toActivePolicy = perObject((revision: PolicySetRevision): ActivePolicy => ({
  set: revision.spec.set,
  revision: revision.spec.number,
  digest: revision.spec.digest,
  modules: revisionModules(revision),
}));

/** The Active condition: the Zones in which it decides. */
export function toActiveCondition(revision: PolicySetRevision, zones: readonly Zone[]) {
  if (zones.length > 0) {
    const names = zones
      .map((zone) => path(zone))
      .sort()
      .join(', ');
    return { type: 'Active', status: 'True', reason: 'Active', message: `active in Zone ${names}` } as const;
  }
  const problem = revisionProblem(revision);
  const message = problem === undefined ? 'no Zone uses it' : `it cannot be used: ${problem}`;
  return { type: 'Active', status: 'False', reason: 'Inactive', message } as const;
}
