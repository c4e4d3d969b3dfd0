/** PolicySet: whether its Policies are there, accepted, and compile together. */
import type { Policy } from '../api/policy.ts';
import type { PolicySet } from '../api/policySet.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { policySetDigest } from '../policy/digest.ts';
import type { PolicyReport, PolicyResults } from '../policy/results.ts';
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
  let isPending = false;
  for (const [index, { name }] of set.spec.policies.entries()) {
    const policy = policies.get(`${set.metadata.namespace}/${name}`);
    const report = policy && reportOf(policy, results);
    const problem = checkMember(policy, report, systemNamespace);
    if (problem) {
      const message = `PolicySet ${path(set)}: spec.policies[${index}] names Policy ${name}, ${problem.message}`;
      return { type: 'refused', refusal: refuse(problem.reason, message) };
    }
    if (policy && report) members.push(policy);
    else isPending = true;
  }
  return isPending ? { type: 'pending' } : compileTogether(set, members, results);
}

function checkMember(
  policy: Policy | undefined,
  report: PolicyReport | undefined,
  systemNamespace: string,
): Refusal | undefined {
  if (!policy) return refuse('ReferenceNotFound', 'which does not exist; create it or correct the name');
  const refused = checkName(policy, systemNamespace) ?? (report && checkPolicyReport(policy, report));
  return refused && refuse('ReferenceNotAccepted', 'which is not accepted; see its conditions');
}

function compileTogether(set: PolicySet, members: readonly Policy[], results: PolicyResults): PolicySetContent {
  const { modules, digest } = toText(set, members);
  const report = results.policySet(digest);
  if (!report) return { type: 'pending' };
  if (report.ok) return { type: 'passed', digest, modules };
  return { type: 'refused', refusal: refuse(report.reason, `PolicySet ${path(set)}: ${report.message}`) };
}

interface SetText {
  readonly members: readonly Policy[];
  readonly modules: readonly PolicyModule[];
  readonly digest: string;
}

const lastText = new WeakMap<PolicySet, SetText>();

/** The text and its digest; hashed again only when a member is another object. */
function toText(set: PolicySet, members: readonly Policy[]): SetText {
  const before = lastText.get(set);
  if (before?.members.length === members.length && before.members.every((member, index) => member === members[index])) {
    return before;
  }
  const modules = members
    .map(({ metadata, spec }) => toModule({ name: metadata.name, rego: spec.rego, appliesTo: spec.appliesTo }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const text = { members, modules, digest: policySetDigest(modules) };
  lastText.set(set, text);
  return text;
}
