/** Small random worlds whose names, identities and instants collide often. */
import * as fc from 'fast-check';
import type { Application } from '../../src/api/application.ts';
import type { KindObject, BaseStatus } from '../../src/api/meta.ts';
import type { VerdictKind } from '../../src/compiler/verdict.ts';
import type { World } from '../../src/compiler/world.ts';
import {
  ALLOW,
  application,
  at,
  grant,
  namespace,
  policy,
  policySet,
  resource,
  revision,
  standbyKey,
  SYSTEM,
  verificationKey,
  world,
  zone,
  NOW,
} from './world.ts';

export type AnyObject = KindObject<VerdictKind, unknown, BaseStatus>;

function oneOf<T>(...values: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values) as fc.Arbitrary<T>;
}

const spaces = oneOf('shop', 'bank');
const created = oneOf(at(-30), at(-20), at(-10));
const instant = oneOf(undefined, undefined, at(-5), at(5), at(10));
const zoneRef: fc.Arbitrary<{ name: string; namespace?: string }> = oneOf<{ name: string; namespace?: string }>(
  { name: 'main' },
  { name: 'main', namespace: 'shop' },
  { name: 'alt' },
  { name: 'none' },
);
const named = (...names: readonly string[]) =>
  fc.record({ name: oneOf(...names), namespace: spaces, created, deleted: rarely(true, false) });

function rarely<T>(value: T, otherwise: T): fc.Arbitrary<T> {
  return fc.oneof({ weight: 1, arbitrary: fc.constant(value) }, { weight: 9, arbitrary: fc.constant(otherwise) });
}

/** The record without members that are undefined. */
function present<T extends object>(record: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as never;
}

const zones = fc
  .record({
    meta: named('main', 'alt', 'caracal-sys-z'),
    from: oneOf('Same' as const, 'All' as const),
    policySetRef: oneOf(undefined, { name: 'base' }, { name: 'base', revision: 1 }, { name: 'more' }),
    freeze: rarely<{ reason: string } | undefined>({ reason: 'stop' }, undefined),
    mandateTTL: oneOf('5m', '1m'),
    revoke: rarely<string[] | undefined>(['k1'], undefined),
  })
  .map(({ meta, from, policySetRef, freeze, mandateTTL, revoke }) => {
    const { policySetRef: _default, ...spec } = zone().spec;
    const tokens = { mandateTTL, sessionTTL: '60m' };
    const keys = { ...spec.keys, ...present({ revoke }) };
    const all = { ...spec, tokens, keys, allowedNamespaces: { from }, ...present({ policySetRef, freeze }) };
    return { ...zone({}, meta), spec: all };
  });

const identities = fc.array(
  oneOf<Application['spec']['identities'][number]>(
    { serviceAccount: { name: 'x' } },
    { serviceAccount: { name: 'y' } },
    { clientSecret: { sha256: ['01'] } },
    { clientSecret: { sha256: ['02', '03'] } },
    { privateKeyJWT: { jwks: { keys: [{ kty: 'EC', crv: 'P-384' }] } } },
  ),
  { minLength: 1, maxLength: 2 },
);

const applications = fc
  .record({ meta: named('a', 'b', 'c', 'caracal-sys-a'), zoneRef, identities, expiresAt: instant })
  .map(({ meta, expiresAt, ...spec }) => application({ ...spec, ...present({ expiresAt }) }, meta));

const operations = oneOf(
  undefined,
  [{ methods: ['GET'], path: '/a', scopes: ['read'] }],
  [{ methods: ['GET'], path: '/a', scopes: ['admin'] }],
  ['/{a}/x', '/y/{b}'].map((path) => ({ methods: ['GET'], path, scopes: ['read'] })),
);

const resources = fc
  .record({
    meta: named('p', 'q', 'caracal-sys-r'),
    zoneRef,
    identifier: oneOf('resource://shop', 'resource://bank', 'https://api', 'caracal-sys://x'),
    operations,
    scopes: oneOf([{ name: 'read' }], [{ name: 'read' }, { name: 'write' }]),
  })
  .map(({ meta, operations: listed, ...spec }) => resource({ ...spec, ...present({ operations: listed }) }, meta));

const grants = fc
  .record({
    meta: named('g', 'h', 'i', 'j', 'caracal-sys-g'),
    zoneRef,
    applicationRef: oneOf({ name: 'a' }, { name: 'b' }, { name: 'a', namespace: 'shop' }),
    resourceRef: oneOf({ name: 'p' }, { name: 'q' }),
    scopes: oneOf(['read'], ['read', 'write'], ['write']),
    subjects: oneOf(undefined, [{ anyUser: {} }], [{ user: { issuer: 'corp', sub: 'u' } }]),
    notBefore: instant,
    expiresAt: instant,
  })
  .map(({ meta, subjects, notBefore, expiresAt, ...spec }) =>
    grant({ ...spec, ...present({ subjects, notBefore, expiresAt }) }, meta),
  );

const policies = fc
  .record({ meta: named('allow', 'other'), rego: oneOf(ALLOW, `${ALLOW}# 2\n`) })
  .map(({ meta, rego }) => policy({ rego }, meta));

const sets = fc
  .record({
    meta: named('base', 'more'),
    policies: oneOf([{ name: 'allow' }], [{ name: 'allow' }, { name: 'other' }]),
  })
  .map(({ meta, policies: members }) => policySet({ policies: members }, meta));

const revisions = fc
  .record({
    set: sets,
    number: fc.integer({ min: 1, max: 3 }),
    rego: oneOf(ALLOW, `${ALLOW}# 2\n`),
    digest: rarely<string | undefined>('sha256:bad', undefined),
  })
  .map(({ set, number, rego, digest }) =>
    revision(number, { policies: [{ name: 'allow', rego }], ...present({ digest }) }, set),
  );

/** One object of any kind. */
export const anyObject: fc.Arbitrary<AnyObject> = fc.oneof(
  zones,
  { weight: 2, arbitrary: applications },
  { weight: 2, arbitrary: resources },
  { weight: 3, arbitrary: grants },
  policies,
  sets,
  revisions,
);

/** Objects of which no two have the same kind, namespace and name. */
export const anyObjects = fc.uniqueArray(anyObject, {
  selector: keyOf,
  maxLength: 40,
  size: 'max',
});

export function keyOf({ kind, metadata }: AnyObject): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

/** The world of these objects, with keys for each Zone that is called main. */
export function toWorld(objects: readonly AnyObject[]): World {
  const of = <T>(kind: VerdictKind) => objects.filter((object) => object.kind === kind) as T[];
  const keys = [verificationKey('k1'), verificationKey('k2', NOW + 7000), standbyKey('k3')];
  return world({
    namespaces: [namespace('shop'), namespace('bank'), namespace(SYSTEM)],
    zones: of('Zone'),
    applications: of('Application'),
    resources: of('Resource'),
    grants: of('Grant'),
    policies: of('Policy'),
    policySets: of('PolicySet'),
    policySetRevisions: of('PolicySetRevision'),
    keySets: new Map([
      ['uid-shop-main', { ok: true, keys }],
      ['uid-bank-main', { ok: false, message: 'unreadable' }],
    ]),
  });
}
