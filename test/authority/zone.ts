/** Snapshots, requests and outcomes for tests, each with every member written out. */
import type { CheckedExchange } from '../../src/authority/checks.ts';
import type { ExchangeRequest } from '../../src/authority/decision.ts';
import type { PolicyOutcome, PolicySubject } from '../../src/authority/policyInput.ts';
import {
  grantKey,
  type ApplicationEntry,
  type GrantEntry,
  type PolicyModule,
  type ResourceEntry,
  type ZoneSnapshot,
} from '../../src/authority/snapshot.ts';
import { createHash } from 'node:crypto';

/** 2026-01-01T00:00:00Z in Unix seconds. */
export const SECONDS = Date.UTC(2026, 0, 1) / 1000;
export const NOW = SECONDS * 1000;
export const PAYMENTS = 'resource://payments';

export function application(entry: Partial<ApplicationEntry> = {}): ApplicationEntry {
  return {
    id: 'shop.cart',
    uid: 'uid-cart',
    namespace: 'shop',
    name: 'cart',
    identities: [{ type: 'serviceAccount', namespace: 'shop', name: 'cart' }],
    subjectAudiences: ['web'],
    delegation: { receivers: 'Same', applications: [] },
    expiresAt: undefined,
    ...entry,
  };
}

export function resource(entry: Partial<ResourceEntry> = {}): ResourceEntry {
  return {
    identifier: PAYMENTS,
    uid: 'uid-payments',
    namespace: 'shop',
    name: 'payments',
    type: 'HTTP',
    scopes: ['read', 'write', 'refund'],
    protectedBy: undefined,
    upstream: undefined,
    operations: [],
    operationEnforcement: 'Declared',
    mandateTTL: undefined,
    forwardMandate: false,
    singleUse: false,
    proofOfPossession: 'Optional',
    ...entry,
  };
}

export function grant(entry: Partial<GrantEntry> = {}): GrantEntry {
  const name = entry.name ?? 'g';
  return {
    namespace: 'shop',
    name,
    uid: `uid-${name}`,
    applicationID: 'shop.cart',
    resource: PAYMENTS,
    scopes: ['read'],
    subjects: [{ type: 'application' }],
    delegation: 'SameApplication',
    expiresAt: undefined,
    ...entry,
  };
}

export interface ZoneParts extends Partial<Omit<ZoneSnapshot, 'applications' | 'resources' | 'grants'>> {
  readonly applications?: readonly ApplicationEntry[];
  readonly resources?: readonly ResourceEntry[];
  readonly grants?: readonly GrantEntry[];
}

/** The zone with a digest over all of it, as the compiler gives it. */
export function zone({ applications, resources, grants, ...rest }: ZoneParts = {}): ZoneSnapshot {
  const content = {
    id: 'shop.main',
    uid: 'uid-main',
    namespace: 'shop',
    name: 'main',
    frozen: undefined,
    mandateTTL: 300,
    sessionTTL: 3600,
    mintsPerMinute: 60_000,
    limits: { agentSessions: 1000, agentSessionsPerApplication: 200, children: 10, depth: 10 },
    stepUp: { operatorTTL: 14_400, subjectTTL: 900, approverApplications: [], allowServiceAccounts: false },
    staleAfter: 10,
    subjectIssuers: new Map([
      ['corp', { name: 'corp', issuer: 'https://id', keys: { jwksURL: 'https://id/jwks' }, claims: ['dept'] }],
    ]),
    policy: policyOf({ name: 'allow', rego: 'package caracal.policy.allow\nallow := true\n' }),
    applications: new Map((applications ?? [application()]).map((entry) => [entry.id, entry])),
    resources: new Map((resources ?? [resource()]).map((entry) => [entry.identifier, entry])),
    grants: new Map(
      Map.groupBy(grants ?? [grant()], ({ applicationID, resource: identifier }) =>
        grantKey(applicationID, identifier),
      ),
    ),
    revocations: [],
    keys: [{ kid: 'k1', x: 'x', y: 'y', activeAt: NOW - 1000 }],
    ...rest,
  };
  return { digest: digestOf(content), ...content };
}

function digestOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, member: unknown) => (member instanceof Map ? [...member].sort() : member));
  return createHash('sha256').update(text).digest('hex');
}

export function policyOf(...modules: readonly PolicyModule[]): NonNullable<ZoneSnapshot['policy']> {
  return { set: 'base', revision: 1, digest: `sha256:${digestOf(modules)}`, modules };
}

export const ITSELF: PolicySubject = {
  type: 'application',
  issuer: '',
  sub: 'shop.cart',
  groups: [],
  claims: {},
  auth_time: null,
  acr: null,
  amr: [],
};

export function user(subject: Partial<PolicySubject> = {}): PolicySubject {
  return { ...ITSELF, type: 'user', issuer: 'corp', sub: 'ann', auth_time: SECONDS - 5, ...subject };
}

export function request(asked: Partial<ExchangeRequest> = {}): ExchangeRequest {
  return {
    zoneID: 'shop.main',
    principal: {
      applicationID: 'shop.cart',
      applicationUID: 'uid-cart',
      credential: 'serviceAccount',
      instance: 'pod-uid',
      workload: { namespace: 'shop', service_account: 'cart', service_account_uid: 'sa-uid', pod: 'cart-0' },
    },
    subject: ITSELF,
    use: 'resource',
    resource: PAYMENTS,
    scopes: ['read'],
    ttlSeconds: undefined,
    sid: 'sid',
    rootSid: 'sid',
    notAfter: undefined,
    ...asked,
  };
}

export function login(asked: Partial<ExchangeRequest> = {}): ExchangeRequest {
  return request({ use: 'session', resource: undefined, scopes: [], ...asked });
}

export function outcome(said: Partial<PolicyOutcome> = {}): PolicyOutcome {
  return { permit: true, denials: [], allowedBy: ['allow'], stepUps: [], asked: ['allow'], ...said };
}

export function isChecked(result: { readonly type: string }): result is CheckedExchange {
  return result.type === 'checked';
}
