/** Which PolicySetRevisions to write and which to prune, from the world and OPA's results alone. */
import type { PolicySet } from '../api/policySet.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import { API_VERSION, type ObjectMeta } from '../api/meta.ts';
import type { PolicyResults } from '../policy/results.ts';
import { checkName, isPresent, path, type AnyKindObject } from './outcome.ts';
import { compilePolicySet, type PolicySetContent } from './policySet.ts';
import { groupRevisions, isOwnedBy, revisionProblem, selectRevision } from './policySetRevision.ts';
import type { World } from './world.ts';

/** Label with the name of the set, for look-ups with kubectl. */
const POLICY_SET_LABEL = 'caracal.run/policy-set';

export type RevisionDraft = Omit<PolicySetRevision, 'metadata' | 'status'> & {
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace'> & Required<Pick<ObjectMeta, 'labels' | 'ownerReferences'>>;
};

export interface RevisionPlan {
  readonly create: readonly RevisionDraft[];
  readonly remove: readonly PolicySetRevision[];
}

/**
 * A set's passing content gets a revision when it differs from its latest one: number = highest + 1. Revisions beyond
 * `historyLimit` go, oldest first, but never one that a Zone uses. Revisions of an earlier set of the same name go too;
 * while one still holds the name a new revision needs, the new one waits for the next plan. Revisions whose set is not
 * there are left to garbage collection: the set may only not have been seen yet.
 */
export function planRevisions(world: World, results: PolicyResults): RevisionPlan {
  const sets = index(world.policySets);
  const policies = index(world.policies);
  const present = world.policySetRevisions.filter(isPresent);
  const groups = groupRevisions(sets, present);
  const names = new Set(world.policySetRevisions.map((revision) => path(revision)));
  const create: RevisionDraft[] = [];
  const remove = present.filter((revision) => isLeftover(revision, sets));
  for (const [key, set] of sets) {
    if (checkName(set, world.systemNamespace)) continue;
    const revisions = groups.get(key) ?? [];
    const draft = planNext(set, compilePolicySet(set, policies, results, world.systemNamespace), revisions);
    if (draft && !names.has(`${draft.metadata.namespace}/${draft.metadata.name}`)) create.push(draft);
    remove.push(...planPruning(world, set, revisions));
  }
  return { create, remove };
}

function isLeftover(revision: PolicySetRevision, sets: ReadonlyMap<string, PolicySet>): boolean {
  const set = sets.get(`${revision.metadata.namespace}/${revision.spec.set}`);
  return set !== undefined && !isOwnedBy(revision, set);
}

function planNext(
  set: PolicySet,
  content: PolicySetContent,
  revisions: readonly PolicySetRevision[],
): RevisionDraft | undefined {
  if (content.type !== 'passed') return undefined;
  const latest = revisions.at(-1);
  const isUnchanged = latest?.spec.digest === content.digest && revisionProblem(latest) === undefined;
  return isUnchanged ? undefined : toDraft(set, content, (latest?.spec.number ?? 0) + 1);
}

function toDraft(set: PolicySet, content: PolicySetContent & { type: 'passed' }, number: number): RevisionDraft {
  const { name, namespace, uid } = set.metadata;
  return {
    apiVersion: API_VERSION,
    kind: 'PolicySetRevision',
    metadata: {
      name: `${name}-${number}`,
      namespace,
      labels: { [POLICY_SET_LABEL]: name },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'PolicySet', name, uid, controller: true }],
    },
    spec: { set: name, number, digest: content.digest, policies: content.modules.map(toPolicyText) },
  };
}

function toPolicyText({ name, rego, appliesTo }: (PolicySetContent & { type: 'passed' })['modules'][number]) {
  if (!appliesTo) return { name, rego };
  const { resources, applications } = appliesTo;
  const limits = {
    ...(resources && { resources: [...resources] }),
    ...(applications && { applications: [...applications] }),
  };
  return { name, rego, appliesTo: limits };
}

function planPruning(
  world: World,
  set: PolicySet,
  revisions: readonly PolicySetRevision[],
): readonly PolicySetRevision[] {
  const excess = revisions.slice(0, Math.max(0, revisions.length - set.spec.historyLimit));
  if (excess.length === 0) return [];
  const used = new Set<PolicySetRevision>();
  for (const { metadata, spec } of world.zones.filter(isPresent)) {
    if (metadata.namespace !== set.metadata.namespace || spec.policySetRef?.name !== set.metadata.name) continue;
    const active = selectRevision(spec.policySetRef, revisions);
    if (active) used.add(active);
  }
  return excess.filter((revision) => !used.has(revision));
}

function index<T extends AnyKindObject>(objects: readonly T[]): ReadonlyMap<string, T> {
  return new Map(objects.filter(isPresent).map((object) => [path(object), object]));
}
