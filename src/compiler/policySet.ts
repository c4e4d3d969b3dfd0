/** PolicySet: whether its Policies are there, accepted, and compile together. */
import type { Policy } from '../api/policy.ts';
import type { PolicySet } from '../api/policySet.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { policySetDigest } from '../policy/digest.ts';
import type { PolicyResults } from '../policy/results.ts';
import { checkName, path, refuse, type Refusal } from './outcome.ts';
import { toModule } from './policySetRevision.ts';
import { checkPolicyReport, reportOf } from './policy.ts';

/** `pending`: OPA's results for it have not been gathered. */
export type PolicySetContent =
  | { readonly type: 'passed'; readonly digest: string; readonly modules: readonly PolicyModule[] }
  | { readonly type: 'refused'; readonly refusal: Refusal }
  | { readonly type: 'pending' };

/** Checks one set against the present Policies (by `<namespace>/<name>`). */
export function compilePolicySet(
  set: PolicySet,
  policies: ReadonlyMap<string, Policy>,
  results: PolicyResults,
  systemNamespace: string,
): PolicySetContent {
  const reserved = checkName(set, systemNamespace);
  if (reserved) return { type: 'refused', refusal: reserved };
  const members: Policy[] = [];
  for (const [index, { name }] of set.spec.policies.entries()) {
    const policy = policies.get(`${set.metadata.namespace}/${name}`);
    const member = checkMember(set, index, name, policy, results, systemNamespace);
    if (member) return member;
    members.push(policy!);
  }
  return compileTogether(set, members, results);
}

function checkMember(
  set: PolicySet,
  index: number,
  name: string,
  policy: Policy | undefined,
  results: PolicyResults,
  systemNamespace: string,
): PolicySetContent | undefined {
  const who = `PolicySet ${path(set)}: spec.policies[${index}] names Policy ${name}`;
  if (!policy) {
    return { type: 'refused', refusal: refuse('ReferenceNotFound', `${who}, which does not exist; create it or correct the name`) };
  }
  const report = reportOf(policy, results);
  const isRefused = checkName(policy, systemNamespace) ?? (report && checkPolicyReport(policy, report));
  if (isRefused) {
    return { type: 'refused', refusal: refuse('ReferenceNotAccepted', `${who}, which is not accepted; see its conditions`) };
  }
  return report ? undefined : { type: 'pending' };
}

function compileTogether(set: PolicySet, members: readonly Policy[], results: PolicyResults): PolicySetContent {
  const modules = members
    .map(({ metadata, spec }) => toModule({ name: metadata.name, rego: spec.rego, appliesTo: spec.appliesTo }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const report = results.policySet(policySetDigest(modules));
  if (!report) return { type: 'pending' };
  if (report.ok) return { type: 'passed', digest: report.digest, modules };
  return { type: 'refused', refusal: refuse(report.reason, `PolicySet ${path(set)}: ${report.message}`) };
}
