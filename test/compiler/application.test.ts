/** Applications: their reasons, identities and conflicts. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Application } from '../../src/api/application.ts';
import type { World } from '../../src/compiler/world.ts';
import { NOW, application, at, compileAt, conditionOf, namespace, reasonOf, shop, zone } from './world.ts';

const CART = 'Application/shop/cart';
type Identity = Application['spec']['identities'][number];
type JWK = NonNullable<Identity['privateKeyJWT']>['jwks']['keys'][number];

const toJWK = (key: { export(options: { format: 'jwk' }): unknown }) => key.export({ format: 'jwk' }) as JWK;
const EC = toJWK(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
const RSA = toJWK(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey);
const OKP = toJWK(generateKeyPairSync('ed25519').publicKey);
const P384 = toJWK(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey);
const SHORT = toJWK(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey);

/** Hostile keys too: what admission refuses may be there from before. */
const key = (jwk: object): Identity => ({ privateKeyJWT: { jwks: { keys: [jwk as JWK] } } });
const secret = (...sha256: string[]): Identity => ({ clientSecret: { sha256 } });
const workload = (subject: string, audience = 'a'): Identity => ({
  oidc: { issuer: 'https://ci', audience, subject, jwksURL: 'https://ci/jwks' },
});

describe('Accepted of an Application', () => {
  const cases: Readonly<Record<string, { objects: Partial<World>; reason: string; status?: string }>> = {
    'is Accepted where nothing is wrong': { objects: {}, reason: 'Accepted', status: 'True' },
    'is ReferenceNotFound where its Zone is missing': { objects: { zones: [] }, reason: 'ReferenceNotFound' },
    'is KeysInvalid for a P-384 key': {
      objects: { applications: [application({ identities: [key(P384)] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for a key that is no point of the curve': {
      objects: { applications: [application({ identities: [key({ ...EC, x: EC.y!, y: EC.x! })] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for an RSA key of 1024 bits': {
      objects: { applications: [application({ identities: [key(SHORT)] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for a symmetric key': {
      objects: { applications: [application({ identities: [key({ kty: 'oct' })] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for a kty that is a member of every object': {
      objects: { applications: [application({ identities: [key({ kty: 'constructor' })] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for a key that encrypts': {
      objects: { applications: [application({ identities: [key({ ...EC, use: 'enc' })] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for an algorithm of another key type': {
      objects: { applications: [application({ identities: [key({ ...RSA, alg: 'ES256' })] })] },
      reason: 'KeysInvalid',
    },
    'J-19 is KeysInvalid for a second spelling of a key': {
      objects: { applications: [application({ identities: [key({ ...EC, x: `${EC.x}=` })] })] },
      reason: 'KeysInvalid',
    },
    'is KeysInvalid for a bad key of an OIDC identity': {
      objects: {
        applications: [
          application({
            identities: [{ oidc: { issuer: 'https://ci', audience: 'a', subject: 's', jwks: { keys: [P384] } } }],
          }),
        ],
      },
      reason: 'KeysInvalid',
    },
    'is Accepted for good keys of every type': {
      objects: {
        applications: [
          application({
            identities: [key({ ...EC, alg: 'ES256', use: 'sig' }), key({ ...RSA, alg: 'PS256' }), key(OKP)],
          }),
        ],
      },
      reason: 'Accepted',
      status: 'True',
    },
    'is Expired from the instant of expiresAt on': {
      objects: { applications: [application({ expiresAt: at(0) })] },
      reason: 'Expired',
    },
    'is Expired for an instant that cannot be read': {
      objects: { applications: [application({ expiresAt: 'soon' })] },
      reason: 'Expired',
    },
    'is Accepted until expiresAt': {
      objects: { applications: [application({ expiresAt: at(1) })] },
      reason: 'Accepted',
      status: 'True',
    },
    'reports the reference before the keys': {
      objects: { zones: [], applications: [application({ identities: [key(P384)] })] },
      reason: 'ReferenceNotFound',
    },
    'reports the keys before the time': {
      objects: { applications: [application({ identities: [key(P384)], expiresAt: at(-1) })] },
      reason: 'KeysInvalid',
    },
  };

  it.each(Object.entries(cases))('%s', (_name, { objects, reason, status = 'False' }) => {
    const result = compileAt(shop(objects));
    expect(conditionOf(result, CART)).toMatchObject({ status, reason });
    expect(result.snapshot.zones.get('shop.main')?.applications.has('shop.cart') ?? false).toBe(status === 'True');
  });

  it('is ReservedName for a name beginning caracal-sys, whatever else is wrong', () => {
    const applications = [application({ zoneRef: { name: 'none' } }, { name: 'caracal-system-agent' })];
    expect(reasonOf(compileAt(shop({ applications })), 'Application/shop/caracal-system-agent')).toBe('ReservedName');
  });

  it('is ReferenceNotAccepted where its Zone is refused', () => {
    const zones = [zone({}, { name: 'caracal-sys' })];
    const result = compileAt(shop({ zones, applications: [application({ zoneRef: { name: 'caracal-sys' } })] }));
    expect(reasonOf(result, CART)).toBe('ReferenceNotAccepted');
  });

  it('names the object, the field and the fix, and never a key', () => {
    const result = compileAt(shop({ applications: [application({ identities: [secret('ab'), key(P384)] })] }));
    const { message } = conditionOf(result, CART);
    expect(message).toBe('Application shop/cart: spec.identities[1].privateKeyJWT.jwks.keys[0]: crv must be P-256');
  });

  it('K-13 is of nobody where the Application carries a deletionTimestamp', () => {
    const result = compileAt(shop({ applications: [application({}, { deleted: true })] }));
    expect(result.verdicts.has(CART)).toBe(false);
    expect(reasonOf(result, 'Grant/shop/cart-payments')).toBe('ReferenceNotFound');
  });

  it('wakes the loop at expiresAt and never for what has expired', () => {
    const objects = shop({ applications: [application({ expiresAt: at(60) })] });
    expect(compileAt(objects).nextChange).toBe(NOW + 60_000);
    expect(compileAt(objects, 60).nextChange).toBeUndefined();
  });
});

describe('the entry of an Application', () => {
  it('holds every identity with what authenticates it', () => {
    const identities = [{ serviceAccount: { name: 'sa' } }, workload('repo:x'), key(EC), secret('AB', 'cd')];
    const objects = shop({ applications: [application({ identities, subjectAudiences: ['web'], expiresAt: at(90) })] });
    const result = compileAt(objects);
    expect(result.snapshot.zones.get('shop.main')!.applications.get('shop.cart')).toEqual({
      id: 'shop.cart',
      uid: 'uid-shop-cart',
      namespace: 'shop',
      name: 'cart',
      identities: [
        { type: 'serviceAccount', namespace: 'shop', name: 'sa' },
        { type: 'oidc', issuer: 'https://ci', audience: 'a', subject: 'repo:x', keys: { jwksURL: 'https://ci/jwks' } },
        { type: 'privateKeyJWT', jwks: { keys: [EC] } },
        { type: 'clientSecret', sha256: ['ab', 'cd'] },
      ],
      subjectAudiences: ['web'],
      delegation: { receivers: 'Same', applications: [] },
      expiresAt: NOW / 1000 + 90,
    });
    expect(result.verdicts.get(CART)!.fields).toEqual({ identity: 'serviceAccount,oidc,privateKeyJWT,clientSecret' });
  });
});

describe('who may receive from an Application', () => {
  const ruleOf = (delegation: Application['spec']['delegation']) => {
    const { snapshot } = compileAt(shop({ applications: [application({ delegation })] }));
    return snapshot.zones.get('shop.main')!.applications.get('shop.cart')!.delegation;
  };

  it('is told by id, in the own namespace where none is named, and whether it exists or not', () => {
    const applications = [{ name: 'till' }, { name: 'teller', namespace: 'bank' }];
    expect(ruleOf({ receivers: 'Listed', applications })).toEqual({
      receivers: 'Listed',
      applications: ['shop.till', 'bank.teller'],
    });
  });

  it('lists nobody where no list is written', () => {
    expect(ruleOf({ receivers: 'Zone' })).toEqual({ receivers: 'Zone', applications: [] });
  });
});

describe('conflicts of Applications', () => {
  const named = (name: string, identities: Identity[], created = at(-3600), spec: Partial<Application['spec']> = {}) =>
    application({ identities, ...spec }, { name, created });
  const reasons = (applications: Application[]) => {
    const result = compileAt(shop({ applications }));
    return Object.fromEntries(
      applications.map(({ metadata: { name } }) => [name, reasonOf(result, `Application/shop/${name}`)]),
    );
  };

  const shared: Readonly<Record<string, readonly [Identity, Identity]>> = {
    'one ServiceAccount': [{ serviceAccount: { name: 'x' } }, { serviceAccount: { name: 'x' } }],
    'one OIDC issuer and subject, whatever the audience': [workload('s', 'a'), workload('s', 'b')],
    'one key, whatever its kid': [key({ ...EC, kid: '1' }), key({ ...EC, kid: '2' })],
    'one secret digest, whatever its case': [secret('ab', '11'), secret('22', 'AB')],
  };

  it.each(Object.entries(shared))('the older one keeps %s', (_name, [first, second]) => {
    const applications = [named('young', [second], at(-10)), named('old', [first], at(-20))];
    expect(reasons(applications)).toEqual({ young: 'Conflicted', old: 'Accepted' });
  });

  it('at the same age the first by namespace and name wins', () => {
    const identity = { serviceAccount: { name: 'x' } };
    expect(reasons([named('b', [identity]), named('a', [identity]), named('c', [identity])])).toEqual({
      a: 'Accepted',
      b: 'Conflicted',
      c: 'Conflicted',
    });
  });

  it('one clash rejects the whole younger object', () => {
    const objects = [named('old', [secret('01')], at(-20)), named('young', [secret('01'), secret('02')], at(-10))];
    expect(reasons(objects)).toEqual({ old: 'Accepted', young: 'Conflicted' });
    const result = compileAt(shop({ applications: objects }));
    expect([...result.snapshot.zones.get('shop.main')!.applications.keys()]).toEqual(['shop.old']);
  });

  it('one loses only to an accepted one', () => {
    const objects = [
      named('first', [secret('01')], at(-30)),
      named('second', [secret('01'), secret('02')], at(-20)),
      named('third', [secret('02')], at(-10)),
    ];
    expect(reasons(objects)).toEqual({ first: 'Accepted', second: 'Conflicted', third: 'Accepted' });
  });

  it('one that failed an earlier check claims nothing', () => {
    const objects = [named('bad', [secret('01'), key(P384)], at(-30)), named('good', [secret('01')], at(-20))];
    expect(reasons(objects)).toEqual({ bad: 'KeysInvalid', good: 'Accepted' });
  });

  it('one that is being deleted claims nothing', () => {
    const gone = application({ identities: [secret('01')] }, { name: 'gone', created: at(-30), deleted: true });
    expect(reasons([gone, named('good', [secret('01')])])).toEqual({ gone: 'missing', good: 'Accepted' });
  });

  it('one that failed only by time keeps its claim', () => {
    const objects = [
      named('old', [secret('01')], at(-30), { expiresAt: at(-1) }),
      named('young', [secret('01')], at(-20)),
    ];
    expect(reasons(objects)).toEqual({ old: 'Expired', young: 'Conflicted' });
  });

  it('Applications of two Zones may share an identity', () => {
    const zones = [zone(), zone({}, { name: 'second' })];
    const applications = [
      named('a', [secret('01')]),
      named('b', [secret('01')], at(-1), { zoneRef: { name: 'second' } }),
    ];
    const result = compileAt(shop({ zones, applications }));
    expect([reasonOf(result, 'Application/shop/a'), reasonOf(result, 'Application/shop/b')]).toEqual([
      'Accepted',
      'Accepted',
    ]);
  });

  it('one identity named twice by one Application is no conflict', () => {
    expect(reasons([named('a', [secret('01'), secret('01')])])).toEqual({ a: 'Accepted' });
  });

  it('ServiceAccounts of one name in two namespaces are two identities', () => {
    const zones = [zone({ allowedNamespaces: { from: 'All' } })];
    const identities = [{ serviceAccount: { name: 'x' } }];
    const far = application({ identities, zoneRef: { name: 'main', namespace: 'shop' } }, { namespace: 'bank' });
    const result = compileAt(
      shop({ zones, applications: [application({ identities }), far], namespaces: [namespace('bank')] }),
    );
    expect([reasonOf(result, CART), reasonOf(result, 'Application/bank/cart')]).toEqual(['Accepted', 'Accepted']);
  });

  it('says to whom it lost and why', () => {
    const result = compileAt(shop({ applications: [named('a', [secret('01')]), named('b', [secret('01')])] }));
    expect(conditionOf(result, 'Application/shop/b').message).toBe(
      'Application shop/b: spec.identities: Application shop/a has the same secret identity; remove the identity from one of the two',
    );
  });
});
