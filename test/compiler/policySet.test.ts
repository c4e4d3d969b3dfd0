/** Policies, PolicySets and revisions: what OPA's results become, and which Zones a revision decides in. */
import { describe, expect, it } from 'vitest';
import type { World } from '../../src/compiler/world.ts';
import { policySetDigest } from '../../src/policy/digest.ts';
import type { PolicyReport } from '../../src/policy/results.ts';
import {
  ALLOW,
  compileAt,
  conditionOf,
  policy,
  policySet,
  reasonOf,
  results,
  revision,
  shop,
  world,
  zone,
} from './world.ts';

const POLICY = 'Policy/shop/allow';
const SET = 'PolicySet/shop/base';
const SECOND = 'package caracal.policy.second\n\ndeny contains "no" if false\n';
const failed = (reason: 'CompileFailed' | 'PackageInvalid' | 'TestsFailed' | 'TooLarge'): PolicyReport => ({
  ok: false,
  reason,
  message: 'what is wrong',
  testsPassed: 1,
  testsTotal: 2,
});

describe('Accepted of a Policy', () => {
  it('is True where its text compiles and its tests pass', () => {
    const report = { ok: true, package: 'caracal.policy.allow', testsPassed: 3, testsTotal: 3 } as const;
    const result = compileAt(shop(), 0, results(new Map([[ALLOW, report]])));
    expect(reasonOf(result, POLICY)).toBe('Accepted');
    expect(result.verdicts.get(POLICY)!.fields).toEqual({ tests: '3/3' });
  });

  it.each(['CompileFailed', 'PackageInvalid', 'TestsFailed', 'TooLarge'] as const)('is %s as OPA says', (reason) => {
    const result = compileAt(shop(), 0, results(new Map([[ALLOW, failed(reason)]])));
    expect(conditionOf(result, POLICY)).toEqual({
      type: 'Accepted',
      status: 'False',
      reason,
      message: 'Policy shop/allow: what is wrong',
    });
    expect(result.verdicts.get(POLICY)!.fields).toEqual({ tests: '1/2' });
    expect(reasonOf(result, SET)).toBe('ReferenceNotAccepted');
  });

  it('is ReservedName whatever OPA says, also before it has', () => {
    const policies = [policy({}, { name: 'caracal-sys-p' })];
    for (const outcome of [results(), results(new Map([[ALLOW, undefined]]))]) {
      expect(reasonOf(compileAt(world({ policies }), 0, outcome), 'Policy/shop/caracal-sys-p')).toBe('ReservedName');
    }
  });

  it('has no verdict while its results are not gathered, and neither has its set', () => {
    const result = compileAt(shop(), 0, results(new Map([[ALLOW, undefined]])));
    expect([result.verdicts.has(POLICY), result.verdicts.has(SET)]).toEqual([false, false]);
  });

  it('asks for the results of text and tests together', () => {
    const asked: string[] = [];
    const outcome = { ...results(), policy: (digest: string) => (asked.push(digest), undefined) };
    const tests = [{ name: 't', expect: { allow: true } }];
    compileAt(world({ policies: [policy(), policy({ tests }, { name: 'other' })] }), 0, outcome);
    expect(new Set(asked).size).toBe(2);
  });
});

describe('Accepted of a PolicySet', () => {
  const both: Partial<World> = {
    policies: [policy(), policy({ rego: SECOND }, { name: 'second' })],
    policySets: [policySet({ policies: [{ name: 'second' }, { name: 'allow' }] })],
  };
  const digest = policySetDigest([
    { name: 'allow', rego: ALLOW },
    { name: 'second', rego: SECOND },
  ]);

  it('is True where its Policies compile together; the order of its list does not count', () => {
    const passing = results(new Map(), new Map([[digest, { ok: true, digest }]]));
    const onlyThis = {
      ...passing,
      policySet: (asked: string) => (asked === digest ? passing.policySet(asked) : undefined),
    };
    expect(reasonOf(compileAt(shop(both), 0, onlyThis), SET)).toBe('Accepted');
  });

  it.each(['PackageConflict', 'CompileFailed', 'TooLarge'] as const)(
    'is %s where only together they fail',
    (reason) => {
      const outcome = results(new Map(), new Map([[digest, { ok: false, reason, message: 'two of one package' }]]));
      const result = compileAt(shop(both), 0, outcome);
      expect(conditionOf(result, SET)).toMatchObject({ reason, message: 'PolicySet shop/base: two of one package' });
      expect(reasonOf(result, POLICY)).toBe('Accepted');
    },
  );

  it('is ReferenceNotFound where a Policy is missing, also where one of that name is in another namespace', () => {
    const policies = [policy({}, { namespace: 'bank' })];
    expect(conditionOf(compileAt(shop({ policies })), SET)).toMatchObject({
      reason: 'ReferenceNotFound',
      message:
        'PolicySet shop/base: spec.policies[0] names Policy allow, which does not exist; create it or correct the name',
    });
  });

  it('K-13 is ReferenceNotFound where a Policy is being deleted', () => {
    expect(reasonOf(compileAt(shop({ policies: [policy({}, { deleted: true })] })), SET)).toBe('ReferenceNotFound');
  });

  it('is ReferenceNotAccepted where a Policy has a reserved name', () => {
    const policies = [policy({}, { name: 'caracal-sys-p' })];
    const policySets = [policySet({ policies: [{ name: 'caracal-sys-p' }] })];
    expect(reasonOf(compileAt(shop({ policies, policySets })), SET)).toBe('ReferenceNotAccepted');
  });

  it('reports a missing Policy although another is not gathered yet', () => {
    const policySets = [policySet({ policies: [{ name: 'allow' }, { name: 'none' }] })];
    const result = compileAt(shop({ policySets }), 0, results(new Map([[ALLOW, undefined]])));
    expect(reasonOf(result, SET)).toBe('ReferenceNotFound');
  });

  it('is ReservedName, and then gives no Zone a policy', () => {
    const set = policySet({}, { name: 'caracal-sys-set' });
    const zones = [zone({ policySetRef: { name: 'caracal-sys-set' } })];
    const result = compileAt(shop({ zones, policySets: [set], policySetRevisions: [revision(1, {}, set)] }));
    expect(reasonOf(result, 'PolicySet/shop/caracal-sys-set')).toBe('ReservedName');
    expect(reasonOf(result, 'Zone/shop/main', 'PolicyActive')).toBe('NoGoodRevision');
    expect(result.snapshot.zones.get('shop.main')!.policy).toBeUndefined();
    expect(reasonOf(result, 'PolicySetRevision/shop/caracal-sys-set-1')).toBe('ReservedName');
    expect(reasonOf(result, 'PolicySetRevision/shop/caracal-sys-set-1', 'Active')).toBe('Inactive');
  });

  it('shows how many Policies it has and its latest good revision', () => {
    const policySetRevisions = [revision(2), revision(1), revision(3, { digest: 'sha256:bad' })];
    const { fields } = compileAt(shop({ policySetRevisions })).verdicts.get(SET)!;
    expect(fields).toEqual({ policies: 1, revision: 2, digest: revision(2).spec.digest });
  });
});

describe('Active of a PolicySetRevision', () => {
  const revisions = [revision(1), revision(2)];

  it('is Active with the Zones it decides in, by name, and Inactive elsewhere', () => {
    const zones = [
      zone({}, { name: 'b' }),
      zone({}, { name: 'a' }),
      zone({ policySetRef: { name: 'base', revision: 1 } }, { name: 'c' }),
    ];
    const result = compileAt(shop({ zones, policySetRevisions: revisions }));
    expect(conditionOf(result, 'PolicySetRevision/shop/base-2', 'Active')).toEqual({
      type: 'Active',
      status: 'True',
      reason: 'Active',
      message: 'active in Zone shop/a, shop/b',
    });
    expect(conditionOf(result, 'PolicySetRevision/shop/base-1', 'Active').message).toBe('active in Zone shop/c');
  });

  it('has no other condition', () => {
    const verdict = compileAt(shop()).verdicts.get('PolicySetRevision/shop/base-1')!;
    expect(verdict.conditions.map(({ type }) => type)).toEqual(['Active']);
  });

  it('says why a revision cannot be used', () => {
    const policySetRevisions = [revision(1, { digest: 'sha256:00' })];
    const result = compileAt(shop({ policySetRevisions }));
    expect(conditionOf(result, 'PolicySetRevision/shop/base-1', 'Active')).toMatchObject({
      reason: 'Inactive',
      message: 'it cannot be used: spec.digest is not the digest of its text',
    });
  });

  it('is Inactive where the only Zone that names it is refused', () => {
    const zones = [zone({}, { name: 'caracal-sys' })];
    expect(reasonOf(compileAt(shop({ zones })), 'PolicySetRevision/shop/base-1', 'Active')).toBe('Inactive');
  });

  it('K-22 a revision of another namespace is nothing to a Zone', () => {
    const far = policySet({}, { namespace: 'bank' });
    const own = revision(1, {}, far);
    const result = compileAt(shop({ policySets: [far], policySetRevisions: [own] }));
    expect(reasonOf(result, 'Zone/shop/main', 'PolicyActive')).toBe('ReferenceNotFound');
  });
});

describe('the policy of a snapshot', () => {
  it('does not depend on what OPA says, so that every process serves the same', () => {
    const gathered = compileAt(shop(), 0, results(new Map([[ALLOW, failed('TestsFailed')]])));
    const nothing = compileAt(shop(), 0, { policy: () => undefined, policySet: () => undefined });
    expect(nothing.snapshot).toEqual(gathered.snapshot);
    expect(nothing.snapshot.zones.get('shop.main')!.policy).toEqual({
      set: 'base',
      revision: 1,
      digest: revision(1).spec.digest,
      modules: [{ name: 'allow', rego: ALLOW }],
    });
  });

  it('keeps appliesTo', () => {
    const policies = [{ name: 'allow', rego: ALLOW, appliesTo: { applications: ['shop.cart'] } }];
    const { snapshot } = compileAt(shop({ policySetRevisions: [revision(1, { policies })] }));
    expect(snapshot.zones.get('shop.main')!.policy!.modules).toEqual(policies);
  });
});
