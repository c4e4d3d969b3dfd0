/** The policy side of a compile: Policies, sets and revisions, and which revision decides in each Zone. */
import type { Policy } from '../api/policy.ts';
import type { PolicySet } from '../api/policySet.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Zone } from '../api/zone.ts';
import { checkName, isPresent, toAccepted, toVerdict, verdictKey, type Refusal } from './outcome.ts';
import { indexPresent, settle, type Pass } from './pass.ts';
import * as policy from './policy.ts';
import { compilePolicySet, type PolicySetContent } from './policySet.ts';
import * as revision from './policySetRevision.ts';
import type { VerdictCondition } from './verdict.ts';
import * as zones from './zone.ts';

/** Policies, sets, Zones and revisions; the active revision of each accepted Zone comes back. */
export function compilePolicies(pass: Pass): ReadonlyMap<Zone, PolicySetRevision> {
  const policies = indexPresent(pass.world.policies);
  for (const object of policies.values()) settlePolicy(pass, object);
  const sets = indexPresent(pass.world.policySets);
  const { systemNamespace } = pass.world;
  const allowed = pass.world.policySetRevisions.filter((object) => !checkName(object, systemNamespace));
  const revisions = revision.groupRevisions(sets, allowed);
  const contents = new Map<string, PolicySetContent>();
  for (const [key, set] of sets) {
    const content = compilePolicySet(set, policies, pass.results, systemNamespace);
    contents.set(key, content);
    settlePolicySet(pass, set, content, revisions.get(key) ?? []);
  }
  const active = settleZones(pass, sets, revisions, contents);
  settleRevisions(pass, active);
  return active;
}

function settlePolicy(pass: Pass, object: Policy): void {
  const report = policy.reportOf(object, pass.results);
  const reserved = checkName(object, pass.world.systemNamespace);
  if (!report && !reserved) return;
  settle(pass, object, reserved ?? (report && policy.checkPolicyReport(object, report)), policy.policyFields(report));
}

function settlePolicySet(
  pass: Pass,
  set: PolicySet,
  content: PolicySetContent,
  revisions: readonly PolicySetRevision[],
): void {
  if (content.type === 'pending') return;
  const latest = revisions.findLast((candidate) => revision.revisionProblem(candidate) === undefined);
  const fields = {
    policies: set.spec.policies.length,
    ...(latest && { revision: latest.spec.number, digest: latest.spec.digest }),
  };
  settle(pass, set, content.type === 'refused' ? content.refusal : undefined, fields);
}

function settleZones(
  pass: Pass,
  sets: ReadonlyMap<string, PolicySet>,
  revisions: ReadonlyMap<string, readonly PolicySetRevision[]>,
  contents: ReadonlyMap<string, PolicySetContent>,
): ReadonlyMap<Zone, PolicySetRevision> {
  const active = new Map<Zone, PolicySetRevision>();
  for (const zone of pass.directory.zones.values()) {
    const key = `${zone.metadata.namespace}/${zone.spec.policySetRef?.name ?? ''}`;
    const choice = zones.choosePolicy(
      zone,
      sets.has(key) ? (revisions.get(key) ?? []) : undefined,
      contents.get(key)?.type === 'refused',
    );
    const refusal = checkName(zone, pass.world.systemNamespace);
    if (choice.active && !refusal) active.set(zone, choice.active);
    settleZone(pass, zone, refusal, choice);
  }
  return active;
}

function settleZone(pass: Pass, zone: Zone, refusal: Refusal | undefined, choice: zones.PolicyChoice): void {
  const state = pass.world.keySets.get(zone.metadata.uid);
  const keys = zones.usableKeys(zone, state);
  for (const { activeAt } of keys) if (activeAt !== undefined) pass.nextChange.add(activeAt);
  const conditions: VerdictCondition[] = [
    toAccepted(zone, refusal),
    zones.toKeysReady(zone, state, pass.now),
    choice.condition,
  ];
  const { freeze } = zone.spec;
  if (freeze) conditions.push({ type: 'Frozen', status: 'True', reason: 'Frozen', message: freeze.reason });
  const fields = zones.zoneFields(zone, choice.active, zones.signingKey(keys, pass.now));
  pass.verdicts.set(verdictKey(zone), toVerdict(zone, conditions, fields));
}

function settleRevisions(pass: Pass, active: ReadonlyMap<Zone, PolicySetRevision>): void {
  const users = Map.groupBy(active.keys(), (zone) => active.get(zone)!);
  for (const object of pass.world.policySetRevisions) {
    if (!isPresent(object)) continue;
    const reserved = checkName(object, pass.world.systemNamespace);
    const condition = revision.toActiveCondition(object, users.get(object) ?? []);
    const conditions = reserved ? [toAccepted(object, reserved), condition] : [condition];
    pass.verdicts.set(verdictKey(object), toVerdict(object, conditions, {}));
  }
}
