/** Zones: acceptance, keys, active policy, freeze, and what of it reaches the snapshot. */
import { describe, expect, it } from 'vitest';
import type { Zone } from '../../src/api/zone.ts';
import type { KeySetState, World } from '../../src/compiler/world.ts';
import {
  ALLOW,
  NOW,
  at,
  compileAt,
  conditionOf,
  policy,
  policySet,
  reasonOf,
  results,
  revision,
  shop,
  SYSTEM,
  standbyKey,
  verificationKey,
  world,
  zone,
} from './world.ts';

const MAIN = 'Zone/shop/main';
const ref = (policySetRef: Zone['spec']['policySetRef']) => ({ zones: [zone({ policySetRef })] });
const other = 'package caracal.policy.allow\n\nallow := false\n';
const two = [revision(1), revision(2, { policies: [{ name: 'allow', rego: other }] })];
const broken = results(
  new Map([[ALLOW, { ok: false, reason: 'CompileFailed', message: 'line 1', testsPassed: 0, testsTotal: 0 } as const]]),
);

describe('Accepted of a Zone', () => {
  it('is True where nothing is wrong, and the zone is in the snapshot', () => {
    const result = compileAt(shop());
    expect(reasonOf(result, MAIN)).toBe('Accepted');
    expect([...result.snapshot.zones.keys()]).toEqual(['shop.main']);
  });

  it('is ReservedName for a name beginning caracal-sys outside the system namespace', () => {
    const result = compileAt(shop({ zones: [zone({}, { name: 'caracal-sys' })] }));
    expect(reasonOf(result, 'Zone/shop/caracal-sys')).toBe('ReservedName');
    expect(result.snapshot.zones.size).toBe(0);
  });

  it('is True for the reserved name in the system namespace', () => {
    const result = compileAt(world({ zones: [zone({}, { name: 'caracal-sys', namespace: SYSTEM })] }));
    expect(reasonOf(result, `Zone/${SYSTEM}/caracal-sys`)).toBe('Accepted');
  });

  it('does not depend on the policy set that the Zone names', () => {
    const result = compileAt(shop({ policySets: [], policySetRevisions: [] }));
    expect(reasonOf(result, MAIN)).toBe('Accepted');
    expect(result.snapshot.zones.get('shop.main')!.policy).toBeUndefined();
  });

  it('K-13 is of nobody where the Zone carries a deletionTimestamp', () => {
    const result = compileAt(shop({ zones: [zone({}, { deleted: true })] }));
    expect(result.verdicts.has(MAIN)).toBe(false);
    expect(result.snapshot.zones.size).toBe(0);
    expect(reasonOf(result, 'Application/shop/cart')).toBe('ReferenceNotFound');
  });
});

describe('PolicyActive', () => {
  const cases: Readonly<
    Record<string, { objects: Partial<World>; reason: string; revision?: number; outcome?: typeof broken }>
  > = {
    'is PolicyActive with the highest revision without a pin': {
      objects: { policySetRevisions: two },
      reason: 'PolicyActive',
      revision: 2,
    },
    'is PolicyActive with the pinned number': {
      objects: { ...ref({ name: 'base', revision: 1 }), policySetRevisions: two },
      reason: 'PolicyActive',
      revision: 1,
    },
    'is PolicyActive with the pinned digest': {
      objects: { ...ref({ name: 'base', digest: two[0]!.spec.digest }), policySetRevisions: two },
      reason: 'PolicyActive',
      revision: 1,
    },
    'takes the highest of the revisions that share a pinned digest': {
      objects: { ...ref({ name: 'base', digest: two[0]!.spec.digest }), policySetRevisions: [...two, revision(3)] },
      reason: 'PolicyActive',
      revision: 3,
    },
    'is NoPolicySet without policySetRef': { objects: { zones: [without('policySetRef')] }, reason: 'NoPolicySet' },
    'is ReferenceNotFound where the set is missing': { objects: { policySets: [] }, reason: 'ReferenceNotFound' },
    'is ReferenceNotFound where the set is being deleted': {
      objects: { policySets: [policySet({}, { deleted: true })] },
      reason: 'ReferenceNotFound',
    },
    'is RevisionNotFound where the pinned number does not exist': {
      objects: ref({ name: 'base', revision: 9 }),
      reason: 'RevisionNotFound',
    },
    'is RevisionNotFound where the pinned digest does not exist': {
      objects: ref({ name: 'base', digest: 'sha256:00' }),
      reason: 'RevisionNotFound',
    },
    'is NoGoodRevision where no revision passed': { objects: { policySetRevisions: [] }, reason: 'NoGoodRevision' },
    'P-17 is LastGoodRevision where the set fails now and an earlier revision passed': {
      objects: {},
      outcome: broken,
      reason: 'LastGoodRevision',
      revision: 1,
    },
    'is PolicyActive where the set fails now but a revision is pinned': {
      objects: ref({ name: 'base', revision: 1 }),
      outcome: broken,
      reason: 'PolicyActive',
      revision: 1,
    },
    'ignores a revision whose digest is not that of its text': {
      objects: { policySetRevisions: [revision(1), revision(2, { digest: 'sha256:beef' })] },
      reason: 'PolicyActive',
      revision: 1,
    },
    'ignores a revision whose name is not <set>-<number>': {
      objects: {
        policySetRevisions: [revision(1), { ...revision(7), metadata: { ...revision(7).metadata, name: 'base-2' } }],
      },
      reason: 'PolicyActive',
      revision: 1,
    },
    'K-19 ignores revisions of an earlier set of the same name': {
      objects: { policySetRevisions: [revision(1, {}, policySet({}, { uid: 'earlier' }))] },
      reason: 'NoGoodRevision',
    },
    'ignores a revision that is being deleted': {
      objects: {
        policySetRevisions: [{ ...revision(1), metadata: { ...revision(1).metadata, deletionTimestamp: at(-1) } }],
      },
      reason: 'NoGoodRevision',
    },
  };

  it.each(Object.entries(cases))('%s', (_name, { objects, reason, revision: number, outcome = results() }) => {
    const result = compileAt(shop(objects), 0, outcome);
    const served = result.snapshot.zones.get('shop.main')!.policy;
    expect(reasonOf(result, MAIN, 'PolicyActive')).toBe(reason);
    expect(conditionOf(result, MAIN, 'PolicyActive').status).toBe(number === undefined ? 'False' : 'True');
    expect(served?.revision).toBe(number);
    expect(result.verdicts.get(MAIN)!.fields['policy']).toEqual(
      served && { set: 'base', revision: number, digest: served.digest },
    );
  });
});

function without(field: 'policySetRef'): Zone {
  const { [field]: _left, ...spec } = zone().spec;
  return { ...zone(), spec };
}

describe('KeysReady', () => {
  const cases: Readonly<Record<string, { state?: KeySetState; reason: string; kid?: string; revoke?: string[] }>> = {
    'is KeysReady with an active key': { state: keys(verificationKey('a')), reason: 'KeysReady', kid: 'a' },
    'is KeysReady with the key that became active last': {
      state: keys(verificationKey('a', NOW - 5000), verificationKey('b', NOW - 1000), verificationKey('c', NOW + 1)),
      reason: 'KeysReady',
      kid: 'b',
    },
    'takes the greater kid of two that became active together': {
      state: keys(verificationKey('b'), verificationKey('c'), verificationKey('a')),
      reason: 'KeysReady',
      kid: 'c',
    },
    'is KeysReady from the very instant of activation': {
      state: keys(verificationKey('a', NOW)),
      reason: 'KeysReady',
      kid: 'a',
    },
    'is KeysPending without a key set': { reason: 'KeysPending' },
    'is KeysPending with a standby only': { state: keys(standbyKey('a')), reason: 'KeysPending' },
    'is KeysPending where the only key is revoked': {
      state: keys(verificationKey('a')),
      revoke: ['a'],
      reason: 'KeysPending',
    },
    'is KeysInvalid where the Secret cannot be used': {
      state: { ok: false, message: 'no member keys' },
      reason: 'KeysInvalid',
    },
  };

  it.each(Object.entries(cases))('%s', (_name, { state, reason, kid, revoke }) => {
    const keySpec = { ...zone().spec.keys, ...(revoke && { revoke }) };
    const keySets = new Map(state ? [['uid-shop-main', state]] : []);
    const result = compileAt(shop({ zones: [zone({ keys: keySpec })], keySets }));
    expect(reasonOf(result, MAIN, 'KeysReady')).toBe(reason);
    const signing = result.verdicts.get(MAIN)!.fields['signingKey'] as { kid: string } | undefined;
    expect(signing?.kid).toBe(kid);
  });

  it('says when the signing key is due to rotate', () => {
    const keySets = new Map([['uid-shop-main', keys(verificationKey('a', NOW))]]);
    const result = compileAt(shop({ keySets }));
    expect(result.verdicts.get(MAIN)!.fields['signingKey']).toEqual({ kid: 'a', rotatesAt: '2026-01-31T00:00:00Z' });
  });

  it('R-01 takes a revoked key out of the snapshot at once', () => {
    const keySets = new Map([['uid-shop-main', keys(verificationKey('a'), verificationKey('b'))]]);
    const zones = [zone({ keys: { ...zone().spec.keys, revoke: ['b'] } })];
    const { snapshot } = compileAt(shop({ zones, keySets }));
    expect(snapshot.zones.get('shop.main')!.keys.map(({ kid }) => kid)).toEqual(['a']);
  });

  it('wakes the loop when a key becomes active', () => {
    const keySets = new Map([['uid-shop-main', keys(verificationKey('a'), verificationKey('b', NOW + 7000))]]);
    expect(compileAt(shop({ keySets })).nextChange).toBe(NOW + 7000);
    expect(compileAt(shop({ keySets }), 7).nextChange).toBeUndefined();
  });

  it('K-19 never gives a re-created Zone the keys of the earlier one', () => {
    const result = compileAt(shop({ zones: [zone({}, { uid: 'second' })] }));
    expect(reasonOf(result, MAIN, 'KeysReady')).toBe('KeysPending');
    expect(result.snapshot.zones.get('shop.main')!.keys).toEqual([]);
  });
});

function keys(...list: ReturnType<typeof verificationKey>[]): KeySetState {
  return { ok: true, keys: list };
}

describe('Frozen', () => {
  it('is there exactly while spec.freeze is, and reaches the snapshot with its reason', () => {
    const result = compileAt(shop({ zones: [zone({ freeze: { reason: 'incident 7' } })] }));
    expect(conditionOf(result, MAIN, 'Frozen')).toEqual({
      type: 'Frozen',
      status: 'True',
      reason: 'Frozen',
      message: 'incident 7',
    });
    expect(result.snapshot.zones.get('shop.main')!.frozen).toEqual({ reason: 'incident 7' });
    expect(reasonOf(compileAt(shop()), MAIN, 'Frozen')).toBe('missing');
  });
});

describe('the settings of a Zone', () => {
  it('reach the snapshot in seconds, with the subject issuers by name', () => {
    const issuers: NonNullable<Zone['spec']['subjectIssuers']> = [
      {
        name: 'corp',
        issuer: 'https://id.corp',
        jwksURL: 'https://id.corp/jwks',
        groupsClaim: 'groups',
        claims: ['dept'],
      },
      { name: 'lab', issuer: 'https://id.lab', jwks: { keys: [{ kty: 'EC' }] } },
    ];
    const tokens = { mandateTTL: '1m30s', sessionTTL: '0.5h' };
    const { snapshot } = compileAt(
      shop({ zones: [zone({ tokens, subjectIssuers: issuers, enforcement: { staleAfter: '2m' } })] }),
    );
    expect(snapshot.zones.get('shop.main')).toMatchObject({
      id: 'shop.main',
      uid: 'uid-shop-main',
      namespace: 'shop',
      name: 'main',
      mandateTTL: 90,
      sessionTTL: 1800,
      staleAfter: 120,
      mintsPerMinute: 60_000,
      limits: { agentSessions: 1000, agentSessionsPerApplication: 200, children: 10, depth: 10 },
      stepUp: { operatorTTL: 14_400, subjectTTL: 900, approverApplications: [], allowServiceAccounts: false },
      subjectIssuers: new Map([
        [
          'corp',
          {
            name: 'corp',
            issuer: 'https://id.corp',
            keys: { jwksURL: 'https://id.corp/jwks' },
            groupsClaim: 'groups',
            claims: ['dept'],
          },
        ],
        ['lab', { name: 'lab', issuer: 'https://id.lab', keys: { jwks: { keys: [{ kty: 'EC' }] } }, claims: [] }],
      ]),
    });
  });

  it('name approver applications by id, in the Zone’s namespace where none is named, and whether they exist or not', () => {
    const approverApplications = [{ name: 'portal' }, { name: 'app', namespace: 'bank' }];
    const stepUp = { operatorTTL: '1h30m', subjectTTL: '90s', approverApplications, allowServiceAccounts: true };
    const { snapshot } = compileAt(shop({ zones: [zone({ stepUp })] }));
    expect(snapshot.zones.get('shop.main')!.stepUp).toEqual({
      operatorTTL: 5400,
      subjectTTL: 90,
      approverApplications: ['shop.portal', 'bank.app'],
      allowServiceAccounts: true,
    });
  });

  it('serve the text of the revision, not that of the Policies as they are now', () => {
    const { snapshot } = compileAt(shop({ policies: [policy({ rego: other })] }));
    expect(snapshot.zones.get('shop.main')!.policy!.modules).toEqual([{ name: 'allow', rego: ALLOW }]);
  });

  it('K-26 count a duration that cannot be read as none, and it stops nothing else', () => {
    const bad = zone({
      tokens: { mandateTTL: 'five', sessionTTL: '1d' },
      keys: { ...zone().spec.keys, rotateEvery: '' },
    });
    const { snapshot } = compileAt(shop({ zones: [bad, zone({}, { name: 'other' })] }));
    expect(snapshot.zones.get('shop.main')).toMatchObject({ mandateTTL: 0, sessionTTL: 0, staleAfter: 10 });
    expect(snapshot.zones.get('shop.other')!.mandateTTL).toBe(300);
  });
});
