/** Which revisions are written and pruned: whole histories, played through. */
import { describe, expect, it } from 'vitest';
import type { PolicySetRevision } from '../../src/api/policySetRevision.ts';
import type { World } from '../../src/compiler/world.ts';
import { planRevisions, type RevisionDraft } from '../../src/compiler/revisions.ts';
import type { PolicyReport } from '../../src/policy/results.ts';
import { ALLOW, at, compileAt, policy, policySet, results, revision, shop, zone } from './world.ts';

const B = 'package caracal.policy.allow\n\nallow := input.scope == "read"\n';
const texts = { A: ALLOW, B, bad: 'package caracal.policy.allow\n\nallow {' } as const;
const refused: PolicyReport = { ok: false, reason: 'CompileFailed', message: 'line 3', testsPassed: 0, testsTotal: 0 };
const outcome = results(new Map([[texts.bad, refused]]));
type Text = keyof typeof texts;

/** What the API server would make of the draft. */
function created(draft: RevisionDraft): PolicySetRevision {
  const rest = { uid: `uid-${draft.metadata.name}`, resourceVersion: '1', generation: 1, creationTimestamp: at(0) };
  return { ...draft, metadata: { ...draft.metadata, ...rest } };
}

/** Plans until nothing is left to do, as the controller does. */
function settle(objects: World): readonly PolicySetRevision[] {
  let revisions = objects.policySetRevisions;
  for (let round = 0; round < 10; round += 1) {
    const { create, remove } = planRevisions({ ...objects, policySetRevisions: revisions }, outcome);
    if (create.length + remove.length === 0) return revisions;
    revisions = [...revisions.filter((candidate) => !remove.includes(candidate)), ...create.map(created)];
  }
  throw new Error('the plan never settles');
}

/** The revisions after the Policy had these texts one after the other. */
function play(history: readonly Text[], objects: Partial<World> = {}): readonly PolicySetRevision[] {
  let revisions: readonly PolicySetRevision[] = [];
  for (const text of history) {
    const policies = [policy({ rego: texts[text] })];
    revisions = settle(shop({ ...objects, policies, policySetRevisions: revisions }));
  }
  return revisions;
}

const numbers = (revisions: readonly PolicySetRevision[]) => revisions.map(({ spec }) => spec.number);

describe('revisions', () => {
  it('A → B → A are 1, 2, 3, the first and the third with one digest', () => {
    const revisions = play(['A', 'B', 'A']);
    expect(numbers(revisions)).toEqual([1, 2, 3]);
    expect(revisions[2]!.spec.digest).toBe(revisions[0]!.spec.digest);
    expect(revisions[1]!.spec.digest).not.toBe(revisions[0]!.spec.digest);
  });

  it('the same content again makes no revision', () => {
    expect(numbers(play(['A', 'A', 'B', 'B']))).toEqual([1, 2]);
  });

  it('P-17 content that fails gets none, and the last good one stays active', () => {
    const revisions = play(['A', 'bad']);
    expect(numbers(revisions)).toEqual([1]);
    const objects = shop({ policies: [policy({ rego: texts.bad })], policySetRevisions: revisions });
    expect(compileAt(objects, 0, outcome).snapshot.zones.get('shop.main')!.policy!.revision).toBe(1);
    expect(numbers(play(['A', 'bad', 'A']))).toEqual([1]);
    expect(numbers(play(['A', 'bad', 'B']))).toEqual([1, 2]);
  });

  it('a description is no content, appliesTo is', () => {
    const described = shop({ policies: [policy({ description: 'new' })] });
    expect(planRevisions(described, outcome).create).toEqual([]);
    const limited = shop({ policies: [policy({ appliesTo: { applications: ['shop.cart'] } })] });
    expect(planRevisions(limited, outcome).create.map(({ spec }) => spec.policies)).toEqual([
      [{ name: 'allow', rego: ALLOW, appliesTo: { applications: ['shop.cart'] } }],
    ]);
  });

  it('writes a draft whose digest the compiler accepts', () => {
    const [draft] = planRevisions(shop({ policySetRevisions: [] }), outcome).create;
    expect(draft).toEqual({
      apiVersion: 'caracal.run/v1alpha1',
      kind: 'PolicySetRevision',
      metadata: {
        name: 'base-1',
        namespace: 'shop',
        labels: { 'caracal.run/policy-set': 'base' },
        ownerReferences: [
          {
            apiVersion: 'caracal.run/v1alpha1',
            kind: 'PolicySet',
            name: 'base',
            uid: 'uid-shop-base',
            controller: true,
          },
        ],
      },
      spec: { set: 'base', number: 1, digest: revision(1).spec.digest, policies: [{ name: 'allow', rego: ALLOW }] },
    });
    const result = compileAt(shop({ policySetRevisions: [created(draft!)] }));
    expect(result.snapshot.zones.get('shop.main')!.policy!.revision).toBe(1);
  });

  it('a set that is reserved, pending, empty-handed or being deleted gets none', () => {
    const cases: readonly Partial<World>[] = [
      { policySets: [policySet({}, { name: 'caracal-sys-x' })] },
      { policies: [] },
      { policySets: [policySet({}, { deleted: true })] },
    ];
    for (const objects of cases)
      expect(planRevisions(shop({ ...objects, policySetRevisions: [] }), outcome).create).toEqual([]);
    const pending = results(new Map([[ALLOW, undefined]]));
    expect(planRevisions(shop({ policySetRevisions: [] }), pending).create).toEqual([]);
  });

  it('a latest revision that cannot be used is followed by a good one', () => {
    const { create } = planRevisions(
      shop({
        policySetRevisions: [revision(4, { digest: revision(1).spec.digest, policies: [{ name: 'allow', rego: B }] })],
      }),
      outcome,
    );
    expect(create.map(({ spec }) => spec.number)).toEqual([5]);
  });
});

describe('pruning', () => {
  const small = { policySets: [policySet({ historyLimit: 2 })] };
  const long: readonly Text[] = ['A', 'B', 'A', 'B', 'A'];

  it('keeps the latest historyLimit revisions', () => {
    expect(numbers(play(long, small))).toEqual([4, 5]);
  });

  it('never removes one that is pinned by number', () => {
    const zones = [zone(), zone({ policySetRef: { name: 'base', revision: 1 } }, { name: 'pinned' })];
    expect(numbers(play(long, { ...small, zones }))).toEqual([1, 4, 5]);
  });

  it('keeps of those that share a pinned digest the one in use', () => {
    const zones = [zone({ policySetRef: { name: 'base', digest: revision(1).spec.digest } })];
    expect(numbers(play(['A', 'B', 'B', 'A', 'B', 'A', 'B'], { ...small, zones }))).toContain(5);
    expect(numbers(play(['A', 'B', 'bad'], { policySets: [policySet({ historyLimit: 1 })], zones }))).toEqual([1, 2]);
  });

  it('a pin in another namespace protects nothing', () => {
    const zones = [zone(), zone({ policySetRef: { name: 'base', revision: 1 } }, { namespace: 'bank' })];
    expect(numbers(play(long, { ...small, zones }))).toEqual([4, 5]);
  });
});

describe('rollback', () => {
  const history = play(['A', 'B', 'A', 'B']);
  const active = (policySetRef: NonNullable<World['zones'][number]['spec']['policySetRef']>) =>
    compileAt(shop({ zones: [zone({ policySetRef })], policySetRevisions: history })).snapshot.zones.get('shop.main')!
      .policy?.revision;

  it('by number, by digest, and back', () => {
    const digest = history[0]!.spec.digest;
    expect(active({ name: 'base' })).toBe(4);
    expect(active({ name: 'base', revision: 1 })).toBe(1);
    expect(active({ name: 'base', digest })).toBe(3);
    expect(active({ name: 'base', revision: 5 })).toBeUndefined();
  });
});

describe('a re-created set', () => {
  const second = policySet({}, { uid: 'second' });

  it('K-19 starts at 1 after the revisions of the earlier one are gone', () => {
    const objects = shop({ policySets: [second], policySetRevisions: [revision(1), revision(2)] });
    const first = planRevisions(objects, outcome);
    expect(first.create).toEqual([]);
    expect(numbers(first.remove)).toEqual([1, 2]);
    expect(settle(objects).map(({ metadata }) => [metadata.name, metadata.ownerReferences![0]!.uid])).toEqual([
      ['base-1', 'second'],
    ]);
  });

  it('waits while an earlier revision of its name is still going', () => {
    const going = { ...revision(1), metadata: { ...revision(1).metadata, deletionTimestamp: at(-1) } };
    const plan = planRevisions(shop({ policySets: [second], policySetRevisions: [going] }), outcome);
    expect(plan).toEqual({ create: [], remove: [] });
  });

  it('revisions whose set is not there are left to garbage collection', () => {
    expect(planRevisions(shop({ policySets: [] }), outcome)).toEqual({ create: [], remove: [] });
  });
});
