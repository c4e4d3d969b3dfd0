/** The binding of an approval: another value of any fact is another act. */
import { describe, expect, it } from 'vitest';
import {
  toBinding,
  toBindingFacts,
  toBoundResource,
  type BindingFacts,
} from '../../../src/authority/stepUp/binding.ts';
import { request, resource } from '../zone.ts';
import { context, hold } from './samples.ts';

const FACTS: BindingFacts = {
  zoneUID: 'zone',
  application: { id: 'shop.cart', uid: 'uid-cart' },
  subject: { type: 'user', issuer: 'corp', sub: 'ann' },
  subjectIssuer: 'https://id',
  sid: 'sid',
  rootSid: 'root',
  agentSessionID: 'agent',
  delegationEdgeID: 'edge-2',
  chain: { path: ['edge-1', 'edge-2'], applications: ['shop.front', 'shop.planner'] },
  resources: [{ identifier: 'resource://payments', uid: 'uid-payments', generation: 'a' }],
  scopes: ['refund', 'write'],
  ttlSeconds: 60,
  use: 'resource',
  jkt: 'thumbprint',
  policyDigest: 'sha256:policy',
  requirements: [
    { tier: 'money', approver: 'operator' },
    { tier: 'orders', approver: 'any' },
  ],
};
const [PAYMENTS] = FACTS.resources;

const SWAPPED: Readonly<Record<string, Partial<BindingFacts>>> = {
  'another zone': { zoneUID: 'other' },
  'another application': { application: { id: 'shop.other', uid: 'uid-cart' } },
  'an application re-created under the same id': { application: { id: 'shop.cart', uid: 'uid-new' } },
  'an application in place of the user': { subject: { type: 'application', issuer: 'corp', sub: 'ann' } },
  "another user's issuer": { subject: { type: 'user', issuer: 'partners', sub: 'ann' } },
  'another user': { subject: { type: 'user', issuer: 'corp', sub: 'bob' } },
  'another issuer of the same name': { subjectIssuer: 'https://other' },
  'no URL of the issuer': { subjectIssuer: undefined },
  'another login': { sid: 'other' },
  'another root login': { rootSid: 'other' },
  'another agent session': { agentSessionID: 'other' },
  'no agent session': { agentSessionID: undefined },
  'another edge': { delegationEdgeID: 'other' },
  'no edge': { delegationEdgeID: undefined },
  'another path of edges': { chain: { ...FACTS.chain, path: ['edge-0', 'edge-2'] } },
  'the path in another order': { chain: { ...FACTS.chain, path: ['edge-2', 'edge-1'] } },
  'other applications in the chain': { chain: { ...FACTS.chain, applications: ['shop.front', 'shop.other'] } },
  'the applications in another order': { chain: { ...FACTS.chain, applications: ['shop.planner', 'shop.front'] } },
  'another resource': { resources: [{ ...PAYMENTS!, identifier: 'resource://orders' }] },
  'a resource re-created under the same identifier': { resources: [{ ...PAYMENTS!, uid: 'uid-new' }] },
  'another generation of the resource': { resources: [{ ...PAYMENTS!, generation: 'b' }] },
  'no resource': { resources: [] },
  'one resource more': { resources: [PAYMENTS!, { ...PAYMENTS!, identifier: 'resource://orders' }] },
  'a scope less': { scopes: ['refund'] },
  'a scope more': { scopes: ['read', 'refund', 'write'] },
  'two scopes as one': { scopes: ['refund write'] },
  'another lifetime': { ttlSeconds: 61 },
  'no lifetime asked for': { ttlSeconds: undefined },
  'another use': { use: 'gateway' },
  'another key': { jkt: 'other' },
  'no key': { jkt: undefined },
  'another policy': { policyDigest: 'sha256:other' },
  'another tier': { requirements: [{ tier: 'data', approver: 'operator' }, FACTS.requirements[1]!] },
  'another approver': { requirements: [{ tier: 'money', approver: 'subject' }, FACTS.requirements[1]!] },
  'a requirement less': { requirements: [FACTS.requirements[0]!] },
};

describe('toBinding', () => {
  it('is hex SHA-256, and the same for the same act', () => {
    expect(toBinding(FACTS)).toMatch(/^[0-9a-f]{64}$/);
    expect(toBinding(structuredClone(FACTS))).toBe(toBinding(FACTS));
  });

  it.each(Object.entries(SWAPPED))('S-01 %s is another act', (_what, swapped) => {
    expect(toBinding({ ...FACTS, ...swapped })).not.toBe(toBinding(FACTS));
  });

  it('has a swap for every fact, and no two swaps are the same act', () => {
    expect(new Set(Object.values(SWAPPED).flatMap(Object.keys))).toEqual(new Set(Object.keys(FACTS)));
    const bindings = Object.values(SWAPPED).map((swapped) => toBinding({ ...FACTS, ...swapped }));
    expect(new Set(bindings).size).toBe(bindings.length);
  });

  it('does not depend on the order of scopes, resources and requirements, nor on what is said twice', () => {
    const other = { ...PAYMENTS!, identifier: 'resource://orders' };
    const two = { ...FACTS, resources: [PAYMENTS!, other] };
    expect(
      toBinding({
        ...two,
        resources: [other, PAYMENTS!],
        scopes: ['write', 'refund', 'write'],
        requirements: [...FACTS.requirements, FACTS.requirements[0]!].reverse(),
      }),
    ).toBe(toBinding(two));
  });

  it('takes nothing else of a requirement or a subject than it names', () => {
    const requirements = FACTS.requirements.map((one) => ({ ...one, policy: 'p', reason: 'at noon', ttlSeconds: 9 }));
    const subject = { ...FACTS.subject, groups: ['staff'], auth_time: 5 };
    expect(toBinding({ ...FACTS, requirements, subject })).toBe(toBinding(FACTS));
  });
});

describe('toBoundResource', () => {
  const swapped: Readonly<Record<string, Parameters<typeof resource>[0]>> = {
    'S-13 its upstream': { upstream: 'https://elsewhere.example' },
    'its operations': { operations: [{ methods: ['GET'], path: '/**', scopes: ['read'] }] },
    'how operations are enforced': { operationEnforcement: 'Uniform' },
    'who protects it': { protectedBy: ['other'] },
    'its scopes': { scopes: ['read', 'write'] },
    'its lifetime': { mandateTTL: 60 },
  };
  it.each(Object.entries(swapped))('has another generation where %s changed', (_what, entry) => {
    expect(toBoundResource(resource(entry)).generation).not.toBe(toBoundResource(resource()).generation);
  });

  it('has the same generation for the same content, whatever the order of members', () => {
    const reversed = Object.fromEntries(Object.entries(resource()).reverse()) as unknown as ReturnType<typeof resource>;
    expect(toBoundResource(reversed)).toEqual(toBoundResource(resource()));
  });
});

describe('toBindingFacts', () => {
  it('takes every fact from the hold or its context', () => {
    const facts = toBindingFacts(hold(), context());
    expect(facts).toMatchObject({
      zoneUID: 'uid-main',
      application: { id: 'shop.cart', uid: 'uid-cart' },
      subject: { type: 'user', issuer: 'corp', sub: 'ann' },
      subjectIssuer: 'https://id',
      sid: 'sid',
      rootSid: 'sid',
      agentSessionID: 'agent-1',
      delegationEdgeID: 'edge-2',
      chain: { path: ['edge-1', 'edge-2'], applications: ['shop.front', 'shop.planner'] },
      resources: [toBoundResource(resource())],
      scopes: ['refund', 'write'],
      ttlSeconds: 60,
      use: 'resource',
      jkt: 'thumbprint',
      policyDigest: 'sha256:policy',
      requirements: [{ tier: 'money', approver: 'operator' }],
    });
    expect(Object.keys(facts).sort()).toEqual(Object.keys(FACTS).sort());
  });

  it('refuses a context of another resource', () => {
    const other = { resources: [resource({ identifier: 'resource://orders' })] };
    expect(() => toBindingFacts(hold(), context(other))).toThrow(TypeError);
    expect(() => toBindingFacts(hold(), context({ resources: [] }))).toThrow(TypeError);
  });

  it('needs no resource for a login', () => {
    const login = hold({ request: request({ use: 'session', resource: undefined, scopes: [] }) });
    expect(toBindingFacts(login, context({ resources: [] })).resources).toEqual([]);
  });
});
