/** Resources: who may own an identifier, operations that cannot be told apart, conflicts and entries. */
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../src/api/resource.ts';
import { SYSTEM, at, compileAt, conditionOf, reasonOf, resource, shop, zone } from './world.ts';

const PAYMENTS = 'Resource/shop/payments';
const open = [zone({ allowedNamespaces: { from: 'All' } })];
const far = (identifier: string, namespace = 'bank') =>
  shop({
    zones: open,
    resources: [resource({ identifier, zoneRef: { name: 'main', namespace: 'shop' } }, { namespace })],
  });
const operation = (method: string, path: string, scope = 'read') => ({ methods: [method], path, scopes: [scope] });

describe('who may own an identifier', () => {
  const allowed: Readonly<Record<string, string>> = {
    'a host that is the namespace': 'resource://bank',
    'a host that ends in the namespace': 'resource://ledger.bank/v1',
    'the namespace with a port': 'resource://bank:8443/x',
  };
  it.each(Object.entries(allowed))('another namespace may use %s', (_name, identifier) => {
    expect(reasonOf(compileAt(far(identifier)), 'Resource/bank/payments')).toBe('Accepted');
  });

  const refused: Readonly<Record<string, string>> = {
    'X-09 a host of nobody': 'resource://payments',
    'X-09 the host of another namespace': 'resource://shop',
    'X-09 a host that only ends like the namespace': 'resource://thebank',
    'X-09 the namespace in upper case': 'resource://BANK',
    'X-09 the namespace with a dot behind': 'resource://bank.',
    'X-09 the namespace as user information': 'resource://bank@payments',
    'X-09 user information before the namespace': 'resource://payments@bank',
    'X-09 the namespace in the path only': 'resource://payments/bank',
    'X-09 the namespace behind a fragment': 'resource://payments#.bank',
    'X-09 a URI without a host': 'urn:bank',
    'X-09 an https identifier of its own': 'https://api.bank',
    'X-09 an HTTPS identifier in upper case': 'HTTPS://api.bank',
  };
  it.each(Object.entries(refused))('%s is IdentifierNotPermitted from another namespace', (_name, identifier) => {
    const result = compileAt(far(identifier));
    expect(conditionOf(result, 'Resource/bank/payments')).toMatchObject({
      status: 'False',
      reason: 'IdentifierNotPermitted',
    });
    expect(result.snapshot.zones.get('shop.main')!.resources.size).toBe(0);
  });

  it('the namespace of the Zone may use https and any host', () => {
    for (const identifier of ['https://api.example.com', 'resource://anything', 'urn:x:y']) {
      expect(reasonOf(compileAt(shop({ resources: [resource({ identifier })] })), PAYMENTS)).toBe('Accepted');
    }
  });

  it('X-09 user information is refused in the namespace of the Zone too', () => {
    const result = compileAt(shop({ resources: [resource({ identifier: 'https://a@b' })] }));
    expect(reasonOf(result, PAYMENTS)).toBe('IdentifierNotPermitted');
  });

  it.each(['caracal-sys://sts', 'Caracal-SYS://sts'])(
    '%s is ReservedName outside the system namespace',
    (identifier) => {
      expect(reasonOf(compileAt(shop({ resources: [resource({ identifier })] })), PAYMENTS)).toBe('ReservedName');
      const system = shop({
        zones: [zone({}, { namespace: SYSTEM })],
        resources: [resource({ identifier }, { namespace: SYSTEM })],
      });
      expect(reasonOf(compileAt(system), `Resource/${SYSTEM}/payments`)).toBe('Accepted');
    },
  );

  it('ReservedName comes before what is wrong with the Zone', () => {
    const resources = [resource({ identifier: 'caracal-sys://sts', zoneRef: { name: 'none' } })];
    expect(reasonOf(compileAt(shop({ resources })), PAYMENTS)).toBe('ReservedName');
    const named = [resource({ zoneRef: { name: 'none' } }, { name: 'caracal-sys-x' })];
    expect(reasonOf(compileAt(shop({ resources: named })), 'Resource/shop/caracal-sys-x')).toBe('ReservedName');
  });
});

describe('references of a Resource', () => {
  it('is ReferenceNotFound where its Zone is missing', () => {
    expect(reasonOf(compileAt(shop({ zones: [] })), PAYMENTS)).toBe('ReferenceNotFound');
  });

  it('is ReferenceNotAccepted where its Zone is refused', () => {
    const resources = [resource({ zoneRef: { name: 'caracal-sys' } })];
    const zones = [zone({}, { name: 'caracal-sys' })];
    expect(reasonOf(compileAt(shop({ zones, resources })), PAYMENTS)).toBe('ReferenceNotAccepted');
  });

  it('K-13 is of nobody where it carries a deletionTimestamp', () => {
    const result = compileAt(shop({ resources: [resource({}, { deleted: true })] }));
    expect(result.verdicts.has(PAYMENTS)).toBe(false);
    expect(reasonOf(result, 'Grant/shop/cart-payments')).toBe('ReferenceNotFound');
  });
});

describe('operations', () => {
  const compiled = (operations: NonNullable<Resource['spec']['operations']>) =>
    conditionOf(compileAt(shop({ resources: [resource({ operations })] })), PAYMENTS);

  it('is ScopeNotDeclared where an operation names a scope that the Resource lacks', () => {
    expect(compiled([operation('GET', '/a'), operation('GET', '/b', 'Read')])).toEqual({
      type: 'Accepted',
      status: 'False',
      reason: 'ScopeNotDeclared',
      message:
        'Resource shop/payments: spec.operations[1].scopes names scope Read, which spec.scopes does not declare; add it there or correct it',
    });
  });

  const ambiguous: readonly (readonly [string, string])[] = [
    ['/{a}/x', '/y/{b}'],
    ['/a', '/a'],
    ['/{a}', '/{b}'],
    ['/{a}', '/a/**'],
    ['/a/**', '/{x}/b'],
    ['/a/**', '/a/**'],
    ['/**', '/**'],
    ['/a/{b}/**', '/a/{c}/**'],
    ['/a/{b}/c/**', '/a/x/**'],
  ];
  it.each(ambiguous)('%s and %s of one method are OperationsAmbiguous, both named', (first, second) => {
    const condition = compiled([operation('GET', '/z'), operation('GET', first), operation('GET', second)]);
    expect(condition.reason).toBe('OperationsAmbiguous');
    expect(condition.message).toContain(`spec.operations[1] (${first}) and spec.operations[2] (${second})`);
    expect(compiled([operation('GET', second), operation('GET', first)]).reason).toBe('OperationsAmbiguous');
  });

  const distinct: readonly (readonly [string, string])[] = [
    ['/a/x', '/{a}/x'],
    ['/{a}/x', '/{a}/y'],
    ['/a', '/a/b'],
    ['/a', '/a/**'],
    ['/a/b', '/a/**'],
    ['/a/{b}', '/a/**'],
    ['/a/**', '/**'],
    ['/a/{b}/**', '/a/**'],
    ['/a', '/a/'],
    ['/', '/**'],
    ['/{a}', '/**'],
    ['/a/x/**', '/b/{y}'],
  ];
  it.each(distinct)('%s and %s of one method can be told apart', (first, second) => {
    expect(compiled([operation('GET', first), operation('GET', second)]).reason).toBe('Accepted');
    expect(compiled([operation('GET', second), operation('GET', first)]).reason).toBe('Accepted');
  });

  it('operations of different methods may share a path, of overlapping methods not', () => {
    expect(compiled([operation('GET', '/a'), operation('HEAD', '/a')]).reason).toBe('Accepted');
    const both = { methods: ['POST', 'GET'], path: '/a', scopes: ['write'] };
    expect(compiled([operation('GET', '/a'), both]).reason).toBe('OperationsAmbiguous');
  });

  it('scopes are checked before ambiguity', () => {
    expect(compiled([operation('GET', '/a'), operation('GET', '/a', 'nope')]).reason).toBe('ScopeNotDeclared');
  });
});

describe('conflicts of Resources', () => {
  const pair = (first: Partial<Resource['spec']>, second: Partial<Resource['spec']>) => [
    resource({ identifier: 'resource://x', ...first }, { name: 'a', created: at(-10) }),
    resource({ identifier: 'resource://x', ...second }, { name: 'b', created: at(-20) }),
  ];

  it('the older one keeps the identifier, and the message names it', () => {
    const result = compileAt(shop({ resources: pair({}, {}) }));
    expect(reasonOf(result, 'Resource/shop/b')).toBe('Accepted');
    expect(conditionOf(result, 'Resource/shop/a')).toMatchObject({
      reason: 'Conflicted',
      message:
        'Resource shop/a: spec.identifier: Resource shop/b has the same; identifiers are unique in a zone; choose another',
    });
    expect(result.snapshot.zones.get('shop.main')!.resources.get('resource://x')!.name).toBe('b');
  });

  it('identifiers are compared byte by byte', () => {
    const resources = pair({ identifier: 'resource://X' }, {});
    const result = compileAt(shop({ resources }));
    expect([reasonOf(result, 'Resource/shop/a'), reasonOf(result, 'Resource/shop/b')]).toEqual([
      'Accepted',
      'Accepted',
    ]);
  });

  it('one with bad content claims nothing', () => {
    const resources = pair({}, { operations: [operation('GET', '/a', 'nope')] });
    const result = compileAt(shop({ resources }));
    expect([reasonOf(result, 'Resource/shop/a'), reasonOf(result, 'Resource/shop/b')]).toEqual([
      'Accepted',
      'ScopeNotDeclared',
    ]);
  });

  it('two Zones may each have the identifier', () => {
    const zones = [zone(), zone({}, { name: 'second' })];
    const result = compileAt(shop({ zones, resources: pair({}, { zoneRef: { name: 'second' } }) }));
    expect([reasonOf(result, 'Resource/shop/a'), reasonOf(result, 'Resource/shop/b')]).toEqual([
      'Accepted',
      'Accepted',
    ]);
  });
});

describe('the entry of a Resource', () => {
  const entryOf = (spec: Partial<Resource['spec']>) =>
    compileAt(shop({ resources: [resource(spec)] }))
      .snapshot.zones.get('shop.main')!
      .resources.get('resource://payments.shop');

  it('holds the whole of the spec that verifiers need', () => {
    const operations = [operation('GET', '/a')];
    const mandate = { ttl: '90s', singleUse: true, proofOfPossession: 'Required' } as const;
    const spec = { operations, protectedBy: [{ serviceAccount: 'gw' }], mandate, forwardMandate: true };
    expect(entryOf({ ...spec, upstream: { url: 'https://up/base' }, operationEnforcement: 'Uniform' })).toEqual({
      identifier: 'resource://payments.shop',
      uid: 'uid-shop-payments',
      namespace: 'shop',
      name: 'payments',
      type: 'HTTP',
      scopes: ['read', 'write'],
      protectedBy: ['gw'],
      upstream: 'https://up/base',
      operations,
      operationEnforcement: 'Uniform',
      mandateTTL: 90,
      forwardMandate: true,
      singleUse: true,
      proofOfPossession: 'Required',
    });
  });

  it('turns a Service into its name in the cluster', () => {
    expect(entryOf({ upstream: { service: { name: 'pay', port: 8080, scheme: 'http' } } })!.upstream).toBe(
      'http://pay.shop.svc:8080',
    );
    expect(entryOf({ upstream: { service: { name: 'pay', port: 443, scheme: 'https' } } })!.upstream).toBe(
      'https://pay.shop.svc:443',
    );
    expect(entryOf({})!.upstream).toBeUndefined();
  });
});
