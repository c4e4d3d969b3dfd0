/** Grants: references, content, time, and the ceiling they become. */
import { describe, expect, it } from 'vitest';
import type { Grant } from '../../src/api/grant.ts';
import type { World } from '../../src/compiler/world.ts';
import { grantKey } from '../../src/authority/snapshot.ts';
import { NOW, application, at, compileAt, conditionOf, grant, reasonOf, resource, shop, zone } from './world.ts';

const GRANT = 'Grant/shop/cart-payments';
const KEY = grantKey('shop.cart', 'resource://payments.shop');
const only = (spec: Partial<Grant['spec']>): Partial<World> => ({ grants: [grant(spec)] });
const second = [zone(), zone({}, { name: 'second' })];
const corp = [zone({ subjectIssuers: [{ name: 'corp', issuer: 'https://id', jwksURL: 'https://id/jwks' }] })];

describe('Accepted of a Grant', () => {
  const cases: Readonly<Record<string, { objects: Partial<World>; reason: string; message?: string }>> = {
    'is Accepted where nothing is wrong': { objects: {}, reason: 'Accepted' },
    'is ReferenceNotFound where its Zone is missing': {
      objects: only({ zoneRef: { name: 'none' } }),
      reason: 'ReferenceNotFound',
    },
    'is ReferenceNotFound where its Application is missing': {
      objects: only({ applicationRef: { name: 'none' } }),
      reason: 'ReferenceNotFound',
    },
    'is ReferenceNotFound where its Resource is missing': {
      objects: only({ resourceRef: { name: 'none' } }),
      reason: 'ReferenceNotFound',
    },
    'is ReferenceNotAccepted where its Application has expired': {
      objects: { applications: [application({ expiresAt: at(-1) })] },
      reason: 'ReferenceNotAccepted',
    },
    'is ReferenceNotAccepted where its Resource is refused': {
      objects: { resources: [resource({ identifier: 'https://a@b' })] },
      reason: 'ReferenceNotAccepted',
    },
    'is ZoneMismatch where its Application is in another Zone': {
      objects: { zones: second, applications: [application({ zoneRef: { name: 'second' } })] },
      reason: 'ZoneMismatch',
    },
    'is ZoneMismatch where its Resource is in another Zone': {
      objects: { zones: second, resources: [resource({ zoneRef: { name: 'second' } })] },
      reason: 'ZoneMismatch',
    },
    'is ScopeNotDeclared where one of its scopes is undeclared': {
      objects: only({ scopes: ['read', 'admin'] }),
      reason: 'ScopeNotDeclared',
    },
    'D-14 is ScopeNotDeclared for a scope in another case': {
      objects: only({ scopes: ['Read'] }),
      reason: 'ScopeNotDeclared',
    },
    'D-14 is ScopeNotDeclared for a wildcard': { objects: only({ scopes: ['*'] }), reason: 'ScopeNotDeclared' },
    'is IssuerNotTrusted for a user of an unknown issuer': {
      objects: only({ subjects: [{ user: { issuer: 'corp', sub: 'u' } }] }),
      reason: 'IssuerNotTrusted',
    },
    'is IssuerNotTrusted for a group of an unknown issuer': {
      objects: only({ subjects: [{ application: {} }, { group: { issuer: 'corp', group: 'g' } }] }),
      reason: 'IssuerNotTrusted',
    },
    'is IssuerNotTrusted where the issuer is named by its URL': {
      objects: { zones: corp, ...only({ subjects: [{ user: { issuer: 'https://id', sub: 'u' } }] }) },
      reason: 'IssuerNotTrusted',
    },
    'is Accepted for a user of a trusted issuer': {
      objects: { zones: corp, ...only({ subjects: [{ user: { issuer: 'corp', sub: 'u' } }] }) },
      reason: 'Accepted',
    },
    'is NotYetValid before notBefore': { objects: only({ notBefore: at(1) }), reason: 'NotYetValid' },
    'is NotYetValid, for ever, when it ends before it begins': {
      objects: only({ notBefore: at(20), expiresAt: at(10) }),
      reason: 'NotYetValid',
      message: 'so it never begins; correct one of them',
    },
    'is Accepted from the instant of notBefore': { objects: only({ notBefore: at(0) }), reason: 'Accepted' },
    'is NotYetValid for a start that cannot be read': { objects: only({ notBefore: 'later' }), reason: 'NotYetValid' },
    'is Expired from the instant of expiresAt': { objects: only({ expiresAt: at(0) }), reason: 'Expired' },
    'is Accepted until expiresAt': { objects: only({ expiresAt: at(1) }), reason: 'Accepted' },
    'is Expired for an end that cannot be read': { objects: only({ expiresAt: '' }), reason: 'Expired' },
    'is Expired where both its end has passed and its start is to come': {
      objects: only({ notBefore: at(10), expiresAt: at(-10) }),
      reason: 'Expired',
    },
    'reports the Application before the Resource': {
      objects: {
        zones: second,
        resources: [resource({ zoneRef: { name: 'second' } })],
        ...only({ applicationRef: { name: 'none' } }),
      },
      reason: 'ReferenceNotFound',
    },
    'reports references before content': {
      objects: only({ resourceRef: { name: 'none' }, scopes: ['x'] }),
      reason: 'ReferenceNotFound',
    },
    'reports content before time': { objects: only({ scopes: ['x'], expiresAt: at(-1) }), reason: 'ScopeNotDeclared' },
    'reports scopes before issuers': {
      objects: only({ scopes: ['x'], subjects: [{ user: { issuer: 'corp', sub: 'u' } }] }),
      reason: 'ScopeNotDeclared',
    },
  };

  it.each(Object.entries(cases))('%s', (_name, { objects, reason, message = '' }) => {
    const result = compileAt(shop(objects));
    const condition = conditionOf(result, GRANT);
    expect(condition).toMatchObject({ status: reason === 'Accepted' ? 'True' : 'False', reason });
    expect(condition?.message).toContain(message);
    const entries = result.snapshot.zones.get('shop.main')!.grants.get(KEY);
    expect(entries === undefined).toBe(reason !== 'Accepted');
  });

  it('is ReservedName before everything else', () => {
    const grants = [grant({ zoneRef: { name: 'none' } }, { name: 'caracal-sys-g' })];
    expect(reasonOf(compileAt(shop({ grants })), 'Grant/shop/caracal-sys-g')).toBe('ReservedName');
  });

  it('is ReferenceNotAccepted where its Zone is refused', () => {
    const objects = {
      zones: [...second, zone({}, { name: 'caracal-sys' })],
      ...only({ zoneRef: { name: 'caracal-sys' } }),
    };
    expect(reasonOf(compileAt(shop(objects)), GRANT)).toBe('ReferenceNotAccepted');
  });

  it('K-13 is of nobody where it carries a deletionTimestamp', () => {
    const result = compileAt(shop({ grants: [grant({}, { deleted: true })] }));
    expect(result.verdicts.has(GRANT)).toBe(false);
    expect(result.snapshot.zones.get('shop.main')!.grants.size).toBe(0);
  });
});

describe('K-14 references across namespaces', () => {
  const open = zone({ allowedNamespaces: { from: 'All' } });
  const closed = zone({}, { name: 'closed' });
  const zoneRef = { name: 'main', namespace: 'shop' };
  const asked = grant({ zoneRef, applicationRef: { name: 'cart', namespace: 'shop' } }, { namespace: 'bank' });
  const own = resource({ zoneRef }, { namespace: 'bank' });
  const compiled = (objects: Partial<World>) =>
    conditionOf(
      compileAt(shop({ zones: [open, closed], resources: [own], grants: [asked], ...objects })),
      'Grant/bank/cart-payments',
    );

  it('a Grant may name an Application of another namespace in one Zone', () => {
    expect(compiled({}).reason).toBe('Accepted');
  });

  it('a missing, a refused and an Application of another Zone look the same', () => {
    const missing = compiled({ applications: [] });
    const refused = compiled({ applications: [application({ expiresAt: at(-1) })] });
    const elsewhere = compiled({ applications: [application({ zoneRef: { name: 'closed' } })] });
    const leaving = compiled({ applications: [application({}, { deleted: true })] });
    expect(missing.reason).toBe('ReferenceNotPermitted');
    expect([refused, elsewhere, leaving]).toEqual([missing, missing, missing]);
  });

  it('a Resource of another namespace cannot be named at all', () => {
    expect(compiled({ resources: [resource()] }).reason).toBe('ReferenceNotFound');
  });
});

describe('time', () => {
  it('wakes the loop at the start, then at the end, then no more', () => {
    const objects = shop(only({ notBefore: at(60), expiresAt: at(120) }));
    expect([0, 60, 120].map((seconds) => compileAt(objects, seconds).nextChange)).toEqual([
      NOW + 60_000,
      NOW + 120_000,
      undefined,
    ]);
    expect([0, 60, 120].map((seconds) => reasonOf(compileAt(objects, seconds), GRANT))).toEqual([
      'NotYetValid',
      'Accepted',
      'Expired',
    ]);
  });

  it('cuts fractions so that authority never starts early and never ends late', () => {
    const start = shop(only({ notBefore: '2026-01-01T00:00:00.2Z' }));
    expect([0.9, 1].map((seconds) => reasonOf(compileAt(start, seconds), GRANT))).toEqual(['NotYetValid', 'Accepted']);
    const end = shop(only({ expiresAt: '2026-01-01T00:00:01.9Z' }));
    expect([0.9, 1].map((seconds) => reasonOf(compileAt(end, seconds), GRANT))).toEqual(['Accepted', 'Expired']);
  });

  it('takes the earliest of many instants', () => {
    const grants = [30, 10, 20].map((seconds) => grant({ expiresAt: at(seconds) }, { name: `g${seconds}` }));
    expect(compileAt(shop({ grants })).nextChange).toBe(NOW + 10_000);
  });

  it('is not woken by an object that time cannot change', () => {
    expect(compileAt(shop(only({ scopes: ['x'], expiresAt: at(10) }))).nextChange).toBeUndefined();
    expect(compileAt(shop()).nextChange).toBeUndefined();
  });
});

describe('the entry of a Grant', () => {
  it('is for the application itself where subjects is absent', () => {
    const result = compileAt(shop(only({ expiresAt: at(60) })));
    expect(result.snapshot.zones.get('shop.main')!.grants).toEqual(
      new Map([
        [
          KEY,
          [
            {
              namespace: 'shop',
              name: 'cart-payments',
              uid: 'uid-shop-cart-payments',
              applicationID: 'shop.cart',
              resource: 'resource://payments.shop',
              scopes: ['read'],
              subjects: [{ type: 'application' }],
              delegation: 'SameApplication',
              expiresAt: NOW / 1000 + 60,
            },
          ],
        ],
      ]),
    );
    expect(result.verdicts.get(GRANT)!.fields).toEqual({ scopes: 'read' });
  });

  it.each(['None', 'SameApplication', 'Zone'] as const)('says how far it may travel: %s', (delegation) => {
    const { snapshot } = compileAt(shop(only({ delegation })));
    expect(snapshot.zones.get('shop.main')!.grants.get(KEY)![0]!.delegation).toBe(delegation);
  });

  it('holds every form of subject', () => {
    const subjects = [
      { application: {} },
      { user: { issuer: 'corp', sub: 'u' } },
      { group: { issuer: 'corp', group: 'g' } },
      { anyUser: {} },
    ];
    const { snapshot } = compileAt(shop({ zones: corp, ...only({ subjects }) }));
    expect(snapshot.zones.get('shop.main')!.grants.get(KEY)![0]!.subjects).toEqual([
      { type: 'application' },
      { type: 'user', issuer: 'corp', sub: 'u' },
      { type: 'group', issuer: 'corp', group: 'g' },
      { type: 'anyUser' },
    ]);
  });

  it('follows its Resource to another identifier', () => {
    const same = grant();
    compileAt(shop({ grants: [same] }));
    const { snapshot } = compileAt(shop({ grants: [same], resources: [resource({ identifier: 'resource://new' })] }));
    expect([...snapshot.zones.get('shop.main')!.grants.keys()]).toEqual([grantKey('shop.cart', 'resource://new')]);
  });

  it('stands in order of names whatever the order of input', () => {
    const grants = ['c', 'a', 'b'].map((name) => grant({}, { name }));
    const { snapshot } = compileAt(shop({ grants }));
    expect(
      snapshot.zones
        .get('shop.main')!
        .grants.get(KEY)!
        .map(({ name }) => name),
    ).toEqual(['a', 'b', 'c']);
  });
});
