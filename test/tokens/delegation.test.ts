/** Claims of runtime authority in a mandate: sessions, the chain of a delegation, single use, and the key it is bound to. */
import { describe, expect, it } from 'vitest';
import type { MandateClaims } from '../../src/authority/claims.ts';
import { mintMandate } from '../../src/tokens/mint.ts';
import { CLAIMS, HEADER, ISSUER, problemOf, signingKey, signObjects } from './signing.ts';

const JKT = 'a'.repeat(43);

const IN_SESSION: MandateClaims = { ...CLAIMS, agent_session_id: 'session-3' };

const DELEGATED: MandateClaims = {
  ...IN_SESSION,
  delegation_edge_id: 'edge-2',
  source_session_id: 'session-2',
  target_session_id: 'session-3',
  delegation_path: ['edge-1', 'edge-2'],
  hop_count: 2,
  delegation_chain: [
    { application_id: 'payments.root', agent_session_id: 'session-1', delegation_edge_id: 'edge-1' },
    { application_id: 'payments.worker', agent_session_id: 'session-2', delegation_edge_id: 'edge-2' },
    { application_id: 'payments.agent', agent_session_id: 'session-3' },
  ],
};

const problemWith = (change: object, base: object = DELEGATED) =>
  problemOf(signObjects(HEADER, { ...base, ...change }));
const link = (change: object) => ({
  delegation_chain: [
    DELEGATED.delegation_chain![0],
    { application_id: 'a.b', ...change },
    DELEGATED.delegation_chain![2],
  ],
});
const chainOf = (edges: number) => ({
  delegation_path: Array.from({ length: edges }, (_, index) => `edge-${index}`),
  delegation_edge_id: `edge-${edges - 1}`,
  hop_count: edges,
  delegation_chain: Array.from({ length: edges + 1 }, () => ({ application_id: 'payments.agent' })),
});

describe('a mandate of a chain', () => {
  it('is minted and accepted, as is one within a session without delegation', () => {
    for (const claims of [DELEGATED, IN_SESSION]) expect(problemOf(mintMandate(claims, signingKey))).toBe('accepted');
  });

  it('has at most ten edges', () => {
    expect([1, 10, 11].map((edges) => problemWith(chainOf(edges)))).toEqual(['accepted', 'accepted', 'claims']);
  });

  it.each([
    'delegation_edge_id',
    'source_session_id',
    'target_session_id',
    'delegation_path',
    'hop_count',
    'delegation_chain',
    'agent_session_id',
  ])('without %s is refused', (name) => {
    expect(problemWith({ [name]: undefined })).toBe('claims');
  });

  const WRONG: Readonly<Record<string, object>> = {
    'a count below the path': { hop_count: 1 },
    'a count above the path': { hop_count: 3 },
    'no count': { hop_count: 0 },
    'a count in text': { hop_count: '2' },
    'a count that is no integer': { hop_count: 2.5 },
    'a path that is empty': { delegation_path: [], hop_count: 0 },
    'a path that is a text': { delegation_path: 'edge-2' },
    'a path with an empty edge': { delegation_path: ['', 'edge-2'] },
    'a path with an edge that is none': { delegation_path: [1, 'edge-2'] },
    'a path that ends with another edge': { delegation_path: ['edge-2', 'edge-1'] },
    'a chain as long as its path': { delegation_chain: DELEGATED.delegation_chain!.slice(1) },
    'a chain longer than its path by two': {
      delegation_chain: [...DELEGATED.delegation_chain!, { application_id: 'payments.agent' }],
    },
    'a chain that ends with another application': link({}).delegation_chain.with(2, { application_id: 'a.b' }),
    'a chain that is an object': { delegation_chain: { 0: { application_id: 'payments.agent' } } },
    'a link that is a text': { delegation_chain: ['a.b', 'c.d', 'payments.agent'] },
    'a link that is null': { delegation_chain: [null, ...DELEGATED.delegation_chain!.slice(1)] },
    'a link without application': link({ application_id: undefined }),
    'a link with an empty application': link({ application_id: '' }),
    'a link with an application that is none': link({ application_id: 1 }),
    'a link with an empty session': link({ agent_session_id: '' }),
    'a link with a long edge': link({ delegation_edge_id: 'x'.repeat(65) }),
    'a link with another member': link({ scope: 'write' }),
    'the session of another end': { target_session_id: 'session-2' },
    'a session that is too long': { agent_session_id: 'x'.repeat(65), target_session_id: 'x'.repeat(65) },
    'a source that is no text': { source_session_id: 1 },
    'a claim that other verifiers act upon': { delegation_graph_epoch: 1 },
  };
  it.each(Object.entries(WRONG))('with %s is refused', (_name, change) => {
    expect(problemWith(Array.isArray(change) ? { delegation_chain: change as unknown } : change)).toBe('claims');
  });

  it('takes each link with its application alone', () => {
    expect(problemWith(link({}))).toBe('accepted');
  });
});

describe('single use', () => {
  it('is true or not there', () => {
    expect(problemWith({ once: true }, CLAIMS)).toBe('accepted');
    for (const once of [false, 'true', 1, null, {}]) expect(problemWith({ once }, CLAIMS)).toBe('claims');
  });

  it('by a gateway has its own type, and a resource verifier does not take it', () => {
    const claims: MandateClaims = { ...DELEGATED, use: 'gateway', aud: [ISSUER], once: true };
    const token = mintMandate(claims, signingKey);
    expect(problemOf(token, { use: 'gateway', audience: ISSUER })).toBe('accepted');
    expect(problemOf(token)).toBe('use');
    expect(problemOf(token, { use: 'session', audience: ISSUER })).toBe('use');
    const long = { ...claims, exp: claims.iat + 901 };
    const header = { ...HEADER, typ: 'caracal-gateway+jwt' };
    expect(problemOf(signObjects(header, long), { use: 'gateway', audience: ISSUER })).toBe('claims');
  });
});

describe('the key that a mandate is bound to', () => {
  it('is its thumbprint, and nothing else', () => {
    expect(problemWith({ cnf: { jkt: JKT } }, CLAIMS)).toBe('accepted');
    const others = [
      {},
      null,
      JKT,
      [JKT],
      { jkt: [JKT] },
      { jkt: JKT.slice(1) },
      { jkt: `${JKT}a` },
      { jkt: `${JKT.slice(1)}=` },
      { jkt: JKT, jwk: {} },
      { 'x5t#S256': JKT },
    ];
    for (const cnf of others) expect(problemWith({ cnf }, CLAIMS)).toBe('claims');
  });
});
