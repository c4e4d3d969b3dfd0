/** One object of each kind with every field set: what fuzzing starts from. */
import { API_VERSION } from '../../src/api/meta.ts';
import type { Manifest } from './apiServer.ts';

const HEX = 'a1'.repeat(32);
const jwks = {
  keys: [
    {
      kty: 'EC',
      kid: 'one',
      alg: 'ES256',
      use: 'sig',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    },
  ],
};
const jwksURL = 'https://login.example.com/keys?v=1';
const zoneRef = { name: 'shop', namespace: 'platform' };

const of = (kind: string, spec: unknown, name = 'sample'): Manifest => ({
  apiVersion: API_VERSION,
  kind,
  metadata: { name },
  spec,
});

export const SAMPLES: readonly Manifest[] = [
  of('Zone', {}),
  of('Zone', {
    displayName: 'Shop',
    policySetRef: { name: 'shop', revision: 3 },
    allowedNamespaces: {
      from: 'Selector',
      selector: {
        matchLabels: { team: 'shop' },
        matchExpressions: [
          { key: 'tier', operator: 'In', values: ['prod'] },
          { key: 'old', operator: 'DoesNotExist' },
        ],
      },
    },
    tokens: { mandateTTL: '2m30s', sessionTTL: '0.5h' },
    keys: { rotateEvery: '720h', publishBefore: '15m', overlap: '24h', revoke: ['k1'] },
    limits: { agentSessions: 500, agentSessionsPerApplication: 50, children: 3, depth: 4, mintsPerMinute: 100 },
    stepUp: {
      operatorTTL: '8h',
      subjectTTL: '5m',
      approverApplications: [{ name: 'portal' }, { name: 'app', namespace: 'mobile' }],
      allowServiceAccounts: true,
    },
    subjectIssuers: [
      { name: 'corp', issuer: 'https://login.example.com', jwksURL, groupsClaim: 'groups', claims: ['department'] },
      { name: 'partners', issuer: 'https://partners.example.com', jwks },
    ],
    enforcement: { staleAfter: '5s' },
    freeze: { reason: 'incident 7' },
  }),
  of('Application', {
    zoneRef,
    displayName: 'Assistant',
    identities: [
      { serviceAccount: { name: 'assistant' } },
      { oidc: { issuer: 'https://ci.example.com', audience: 'caracal', subject: 'repo:shop', jwksURL } },
      { privateKeyJWT: { jwks } },
      { clientSecret: { sha256: [HEX] } },
    ],
    subjectAudiences: ['shop-assistant'],
    delegation: { receivers: 'Listed', applications: [{ name: 'worker' }, { name: 'tools', namespace: 'platform' }] },
    expiresAt: '2099-12-31T23:59:59.5+02:00',
  }),
  of('Resource', {
    zoneRef,
    identifier: 'resource://orders.shop/v1?x=%20',
    type: 'HTTP',
    scopes: [{ name: 'orders:read', description: 'Read' }, { name: 'orders:write' }],
    protectedBy: [{ serviceAccount: 'orders-gateway' }],
    upstream: { service: { name: 'orders', port: 8080, scheme: 'https' } },
    operations: [
      { methods: ['GET', 'HEAD'], path: '/orders/{id}', scopes: ['orders:read'] },
      { methods: ['POST'], path: '/orders/**', scopes: ['orders:write', 'orders:read'] },
      { methods: ['GET'], path: '/', scopes: ['orders:read'] },
    ],
    operationEnforcement: 'Uniform',
    forwardMandate: true,
    mandate: { ttl: '90s', singleUse: true, proofOfPossession: 'Required' },
  }),
  of('Resource', {
    zoneRef: { name: 'shop' },
    identifier: 'https://orders.example.com',
    scopes: [{ name: 'read' }],
    upstream: { url: 'http://[::1]:8080/base/' },
  }),
  of('Grant', {
    zoneRef,
    applicationRef: { name: 'assistant', namespace: 'agents' },
    resourceRef: { name: 'orders' },
    scopes: ['orders:read'],
    subjects: [
      { application: {} },
      { user: { issuer: 'corp', sub: 'alice' } },
      { group: { issuer: 'corp', group: 'staff' } },
      { anyUser: {} },
    ],
    delegation: 'Zone',
    notBefore: '2026-01-01T00:00:00Z',
    expiresAt: '2096-02-29T00:00:00Z',
  }),
  of('Revocation', {
    zoneRef,
    reason: 'lost laptop',
    target: { subject: { issuer: 'corp', sub: 'alice' } },
    issuedBefore: '2026-01-01T00:00:00Z',
    ttlAfterComplete: '24h',
  }),
  of('Revocation', {
    zoneRef: { name: 'shop' },
    reason: 'incident 7',
    target: { application: { name: 'assistant', namespace: 'agents' } },
  }),
  of('Revocation', {
    zoneRef: { name: 'shop' },
    reason: 'runs wild',
    target: { agentSession: '0193a5f0-0000-7000-8000-000000000001' },
  }),
  of('Revocation', {
    zoneRef: { name: 'shop' },
    reason: 'too wide',
    target: { delegationEdge: '0193a5f0-0000-7000-8000-000000000002' },
  }),
  of('Policy', {
    rego: 'package caracal.policy.sample\n\nallow := true\n',
    description: 'A sample',
    appliesTo: { resources: ['resource://orders'], applications: ['agents.assistant'] },
    tests: [
      { name: 'it allows', input: { scope: 'x', nested: { list: [1, null, 'a'] } }, expect: { allow: true } },
      {
        name: 'it asks for approval',
        expect: { step_up: [{ tier: 'money', approver: 'operator', ttl_seconds: 600, reason: 'why' }] },
      },
      { name: 'it is bounded', expect: { deny: ['no'], max_ttl_seconds: 1.5 } },
    ],
  }),
  of('PolicySet', { policies: [{ name: 'sample' }, { name: 'other' }], historyLimit: 5 }),
  of(
    'PolicySetRevision',
    {
      set: 'sample',
      number: 1,
      digest: `sha256:${HEX}`,
      policies: [{ name: 'sample', rego: 'package caracal.policy.sample\n', appliesTo: { resources: [] } }],
    },
    'sample-1',
  ),
];
