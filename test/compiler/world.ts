/** Worlds for tests: objects with every default written out, and OPA's results as the test wants them. */
import { API_VERSION, type NamespaceObject, type ObjectMeta } from '../../src/api/meta.ts';
import type { Application } from '../../src/api/application.ts';
import type { Grant } from '../../src/api/grant.ts';
import type { Policy } from '../../src/api/policy.ts';
import type { PolicySet } from '../../src/api/policySet.ts';
import type { PolicySetRevision } from '../../src/api/policySetRevision.ts';
import type { Revocation } from '../../src/api/revocation.ts';
import type { Resource } from '../../src/api/resource.ts';
import type { Zone } from '../../src/api/zone.ts';
import type { VerificationKey } from '../../src/authority/snapshot.ts';
import { compile, type CompileResult } from '../../src/compiler/compile.ts';
import type { World } from '../../src/compiler/world.ts';
import { policyDigest, policySetDigest } from '../../src/policy/digest.ts';
import type { PolicyReport, PolicyResults, PolicySetReport } from '../../src/policy/results.ts';

/** 2026-01-01T00:00:00Z in Unix milliseconds. */
export const NOW = Date.UTC(2026, 0, 1);
export const SYSTEM = 'caracal-system';

/** The instant `seconds` after NOW as RFC 3339. */
export function at(seconds: number): string {
  return `${new Date(NOW + seconds * 1000).toISOString().slice(0, 19)}Z`;
}

export interface Named {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** RFC 3339. */
  readonly created?: string;
  readonly deleted?: boolean;
  readonly generation?: number;
}

function meta(named: Named, name: string): ObjectMeta {
  const { namespace = 'shop', created = at(-3600), deleted = false, generation = 1 } = named;
  const own = named.name ?? name;
  return {
    name: own,
    namespace,
    uid: named.uid ?? `uid-${namespace}-${own}`,
    resourceVersion: '1',
    generation,
    creationTimestamp: created,
    ...(deleted && { deletionTimestamp: at(-1) }),
  };
}

export const LIMITS: Zone['spec']['limits'] = {
  agentSessions: 1000,
  agentSessionsPerApplication: 200,
  children: 10,
  depth: 10,
  mintsPerMinute: 60_000,
};

export function zone(spec: Partial<Zone['spec']> = {}, named: Named = {}): Zone {
  return {
    apiVersion: API_VERSION,
    kind: 'Zone',
    metadata: meta(named, 'main'),
    spec: {
      policySetRef: { name: 'base' },
      allowedNamespaces: { from: 'Same' },
      tokens: { mandateTTL: '5m', sessionTTL: '60m' },
      keys: { rotateEvery: '720h', publishBefore: '10m', overlap: '24h' },
      limits: LIMITS,
      stepUp: { operatorTTL: '4h', subjectTTL: '15m', allowServiceAccounts: false },
      enforcement: { staleAfter: '10s' },
      ...spec,
    },
  };
}

export function application(spec: Partial<Application['spec']> = {}, named: Named = {}): Application {
  return {
    apiVersion: API_VERSION,
    kind: 'Application',
    metadata: meta(named, 'cart'),
    spec: {
      zoneRef: { name: 'main' },
      identities: [{ serviceAccount: { name: named.name ?? 'cart' } }],
      delegation: { receivers: 'Same' },
      ...spec,
    },
  };
}

export function resource(spec: Partial<Resource['spec']> = {}, named: Named = {}): Resource {
  return {
    apiVersion: API_VERSION,
    kind: 'Resource',
    metadata: meta(named, 'payments'),
    spec: {
      zoneRef: { name: 'main' },
      identifier: `resource://${named.name ?? 'payments'}.${named.namespace ?? 'shop'}`,
      type: 'HTTP',
      scopes: [{ name: 'read' }, { name: 'write' }],
      operationEnforcement: 'Declared',
      forwardMandate: false,
      mandate: { singleUse: false, proofOfPossession: 'Optional' },
      ...spec,
    },
  };
}

export function grant(spec: Partial<Grant['spec']> = {}, named: Named = {}): Grant {
  return {
    apiVersion: API_VERSION,
    kind: 'Grant',
    metadata: meta(named, 'cart-payments'),
    spec: {
      zoneRef: { name: 'main' },
      applicationRef: { name: 'cart' },
      resourceRef: { name: 'payments' },
      scopes: ['read'],
      delegation: 'SameApplication',
      ...spec,
    },
  };
}

export function revocation(target: Revocation['spec']['target'], spec: object = {}, named: Named = {}): Revocation {
  return {
    apiVersion: API_VERSION,
    kind: 'Revocation',
    metadata: meta(named, 'stop'),
    spec: { zoneRef: { name: 'main' }, reason: 'incident', target, ...spec },
  };
}

export const ALLOW = 'package caracal.policy.allow\n\nallow := true\n';

export function policy(spec: Partial<Policy['spec']> = {}, named: Named = {}): Policy {
  return { apiVersion: API_VERSION, kind: 'Policy', metadata: meta(named, 'allow'), spec: { rego: ALLOW, ...spec } };
}

export function policySet(spec: Partial<PolicySet['spec']> = {}, named: Named = {}): PolicySet {
  return {
    apiVersion: API_VERSION,
    kind: 'PolicySet',
    metadata: meta(named, 'base'),
    spec: { policies: [{ name: 'allow' }], historyLimit: 10, ...spec },
  };
}

/** Revision `number` of the set, owned by it, with its true digest unless `spec` says otherwise. */
export function revision(
  number = 1,
  spec: Partial<PolicySetRevision['spec']> = {},
  set: PolicySet = policySet(),
): PolicySetRevision {
  const { name, namespace, uid } = set.metadata;
  const policies = spec.policies ?? [{ name: 'allow', rego: ALLOW }];
  const digest = policySetDigest(policies.map(({ appliesTo, ...text }) => ({ ...text, ...toLimits(appliesTo) })));
  return {
    apiVersion: API_VERSION,
    kind: 'PolicySetRevision',
    metadata: {
      ...meta({ namespace }, `${name}-${number}`),
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'PolicySet', name, uid, controller: true }],
    },
    spec: { set: name, number, digest, policies, ...spec },
  };
}

function toLimits(appliesTo: PolicySetRevision['spec']['policies'][number]['appliesTo']) {
  if (!appliesTo) return {};
  const { resources, applications } = appliesTo;
  return { appliesTo: { ...(resources && { resources }), ...(applications && { applications }) } };
}

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): NamespaceObject {
  return { metadata: { name, uid: `uid-${name}`, resourceVersion: '1', labels } };
}

export function verificationKey(kid: string, activeAt = NOW - 1000): VerificationKey {
  return { kid, x: `${kid}-x`, y: `${kid}-y`, activeAt };
}

/** Published, never signing. */
export function standbyKey(kid: string): VerificationKey {
  return { ...verificationKey(kid), activeAt: undefined };
}

export function world(objects: Partial<World> = {}): World {
  return {
    systemNamespace: SYSTEM,
    namespaces: [namespace('shop'), namespace('bank'), namespace(SYSTEM)],
    zones: [],
    applications: [],
    resources: [],
    grants: [],
    policies: [],
    policySets: [],
    policySetRevisions: [],
    revocations: [],
    keySets: new Map(),
    ...objects,
  };
}

/** One Zone with keys and policy, one Application, one Resource, one Grant: all accepted. */
export function shop(objects: Partial<World> = {}): World {
  return world({
    zones: [zone()],
    applications: [application()],
    resources: [resource()],
    grants: [grant()],
    policies: [policy()],
    policySets: [policySet()],
    policySetRevisions: [revision()],
    keySets: new Map([['uid-shop-main', { ok: true, keys: [verificationKey('k1')] }]]),
    ...objects,
  });
}

/** Everything passes but what is named: Policies by Rego, sets by the digest of their text. */
export function results(
  policies: ReadonlyMap<string, PolicyReport | undefined> = new Map(),
  sets: ReadonlyMap<string, PolicySetReport | undefined> = new Map(),
): PolicyResults {
  const byDigest = new Map([...policies].map(([rego, report]) => [policyDigest({ rego, tests: [] }), report]));
  return {
    policy: (digest) =>
      byDigest.has(digest)
        ? byDigest.get(digest)
        : { ok: true, package: 'caracal.policy.allow', testsPassed: 0, testsTotal: 0 },
    policySet: (digest) => (sets.has(digest) ? sets.get(digest) : { ok: true, digest }),
  };
}

export function compileAt(objects: World, seconds = 0, outcome: PolicyResults = results()): CompileResult {
  return compile(objects, NOW + seconds * 1000, outcome);
}

/** A condition of one object, "missing" where the object or the condition is not there. */
export function conditionOf({ verdicts }: CompileResult, key: string, type = 'Accepted') {
  const condition = verdicts.get(key)?.conditions.find((candidate) => candidate.type === type);
  return condition ?? { type, status: 'missing', reason: 'missing', message: '' };
}

/** The reason of one object's condition. */
export function reasonOf(result: CompileResult, key: string, type = 'Accepted'): string {
  return conditionOf(result, key, type).reason;
}
