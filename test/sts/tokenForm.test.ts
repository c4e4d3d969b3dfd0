/** The token endpoint's form: every rule of the wire about how a request may look. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAYMENTS, SECRET } from './shop.ts';
import { BY_SECRET, errorOf, READ, startSTS, TOKEN_TYPE, withSubject, type Form, type TestSTS } from './service.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const GOOD: Form = { ...BY_SECRET, ...READ };
const description = ({ body }: { body: Readonly<Record<string, unknown>> }) => String(body['error_description']);

describe('the request', () => {
  it('X-01 by another method is 405 and names POST', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const answer = await sts.send({ method, path: '/oauth/2/token' });
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, 'POST']);
    }
  });

  it('X-01 of another media type is 415', async () => {
    const types = ['application/json', 'multipart/form-data; boundary=x', 'text/plain', 'application/x-www-form', ''];
    for (const type of types) {
      const answer = await sts.token(GOOD, { headers: { 'content-type': type } });
      expect([type, errorOf(answer)]).toEqual([type, '415 invalid_request']);
    }
  });

  it('X-01 in a charset other than UTF-8 is 415, and in UTF-8 is taken', async () => {
    const form = 'application/x-www-form-urlencoded';
    const statuses = [];
    for (const charset of ['; charset=utf-16', '; charset=utf-7', '; charset=utf-8', '; charset="UTF-8"'])
      statuses.push((await sts.token(GOOD, { headers: { 'content-type': form + charset } })).status);
    expect(statuses).toEqual([415, 415, 200, 200]);
  });

  it('X-01 with query parameters is 400, also where the body is complete', async () => {
    for (const query of ['?zone_id=shop.main', '?', '?x=1']) {
      const answer = await sts.token(GOOD, { path: `/oauth/2/token${query}` });
      expect(errorOf(answer)).toBe('400 invalid_request');
      expect(description(answer)).toContain('query');
    }
  });

  it('of more than 64 KiB is 413', async () => {
    const answer = await sts.token({ ...GOOD, subject_token: 'x'.repeat(70_000) });
    expect(errorOf(answer)).toBe('413 payload_too_large');
  });

  it('with two Authorization headers is 400', async () => {
    const answer = await sts.token(GOOD, { headers: { authorization: ['Basic YTpi', 'Basic YTpj'] } });
    expect(errorOf(answer)).toBe('400 invalid_request');
  });

  it('X-29 is never stored, and names the request', async () => {
    for (const form of [GOOD, { ...GOOD, client_secret: 'wrong' }, {}]) {
      const answer = await sts.token(form, { headers: { 'x-request-id': 'my-request.1' } });
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.headers['x-request-id']).toBe('my-request.1');
      if (answer.status !== 200) expect(answer.body['requestId']).toBe('my-request.1');
    }
  });

  it('makes a request id where none or a bad one was sent', async () => {
    for (const headers of [{}, { 'x-request-id': 'a b' }, { 'x-request-id': 'x'.repeat(129) }]) {
      const answer = await sts.token(GOOD, { headers });
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    }
  });

  it('of an error has exactly error, description and request id', async () => {
    const answer = await sts.token({ ...GOOD, zone_id: undefined });
    expect(Object.keys(answer.body).sort()).toEqual(['error', 'error_description', 'requestId']);
    expect(description(answer)).toBe('zone_id is required');
  });
});

describe('a field', () => {
  it('X-01 given twice is 400 and named, also with the same value', async () => {
    const single = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      zone_id: 'shop.main',
      application_id: 'shop.cart',
      client_id: 'shop.cart',
      client_assertion: 'x',
      client_assertion_type: 'x',
      client_secret: SECRET,
      requested_token_type: `${TOKEN_TYPE}jwt`,
      scope: 'read',
      subject_token: 'x',
      subject_token_type: `${TOKEN_TYPE}jwt`,
      session_id: 'x',
      ttl_seconds: '60',
      use: 'resource',
    };
    for (const [name, value] of Object.entries(single)) {
      const answer = await sts.token({ ...GOOD, [name]: [value, value] });
      expect([name, errorOf(answer), description(answer)]).toEqual([
        name,
        '400 invalid_request',
        `${name} is given twice`,
      ]);
    }
  });

  it('X-01 twice with different grant types is 400', async () => {
    const answer = await sts.token({
      ...GOOD,
      grant_type: ['urn:ietf:params:oauth:grant-type:token-exchange', 'password'],
    });
    expect(errorOf(answer)).toBe('400 invalid_request');
  });

  it('X-01 that nobody knows is 400', async () => {
    for (const name of ['resources', 'Scope', 'scope ', 'zone', '__proto__', 'constructor', 'ttl']) {
      expect([name, errorOf(await sts.token({ ...GOOD, [name]: 'x' }))]).toEqual([name, '400 invalid_request']);
    }
  });

  it('X-04 whose matter comes from our records only is 400 and named, never ignored', async () => {
    for (const name of ['actor_token', 'actor_token_type', 'authorization_details', 'challenge_response']) {
      for (const value of ['x', '']) {
        const answer = await sts.token({ ...GOOD, [name]: value });
        expect(errorOf(answer)).toBe('400 invalid_request');
        expect(description(answer)).toContain(`${name} is not supported`);
      }
    }
  });

  it('that holds an id must hold one of ours', async () => {
    for (const name of ['agent_session_id', 'delegation_edge_id', 'challenge_id', 'approval_id']) {
      const answer = await sts.token({ ...GOOD, [name]: 'x' });
      expect(errorOf(answer)).toBe('400 invalid_request');
      expect(description(answer)).toContain(`${name} must be an id`);
    }
  });

  it('X-22 that is empty is an error, never the same as one that is absent', async () => {
    for (const name of [
      'subject_token',
      'subject_token_type',
      'session_id',
      'ttl_seconds',
      'use',
      'client_assertion',
    ]) {
      const answer = await sts.token({ ...GOOD, [name]: '' });
      expect([name, errorOf(answer), description(answer)]).toEqual([
        name,
        '400 invalid_request',
        `${name} is empty: leave it out or give it a value`,
      ]);
    }
    expect(errorOf(await sts.token({ ...GOOD, scope: '' }))).toBe('400 invalid_scope');
  });

  it('X-01 in bytes with two readings is 400', async () => {
    const bodies = ['zone_id=%', 'zone_id=%zz', 'zone_id=%c0%ae', 'zone_id=a%00b', Buffer.from([0x7a, 0x3d, 0xff])];
    for (const body of bodies) {
      const answer = await sts.token({}, { body });
      expect([String(body), errorOf(answer)]).toEqual([String(body), '400 invalid_request']);
    }
  });
});

const REFUSED: readonly (readonly [string, Form, string])[] = [
  ['another grant type', { grant_type: 'client_credentials' }, '400 unsupported_grant_type'],
  [
    'a grant type in other letters',
    { grant_type: 'URN:ietf:params:oauth:grant-type:token-exchange' },
    '400 unsupported_grant_type',
  ],
  ['another requested token type', { requested_token_type: `${TOKEN_TYPE}refresh_token` }, '400 invalid_request'],
  ['client ids that differ', { client_id: 'shop.till' }, '400 invalid_request'],
  ['an assertion without its type', { client_assertion: 'x' }, '400 invalid_request'],
  ['an assertion type without assertion', { client_assertion_type: 'x' }, '400 invalid_request'],
  ['a subject token without its type', { subject_token: 'x' }, '400 invalid_request'],
  ['a subject token type without token', { subject_token_type: `${TOKEN_TYPE}jwt` }, '400 invalid_request'],
  ['an unknown subject token type', withSubject('x', 'saml2'), '400 invalid_request'],
  ['a bare subject token type', { subject_token: 'x', subject_token_type: 'id_token' }, '400 invalid_request'],
  ['use=gateway, which comes later', { use: 'gateway' }, '400 invalid_request'],
  ['an unknown use', { use: 'session' }, '400 invalid_request'],
  ['no scope with a resource', { scope: undefined }, '400 invalid_scope'],
  ['no resource with a scope', { resource: undefined }, '400 invalid_target'],
  ['X-08 more than one resource', { resource: [PAYMENTS, 'resource://ledger.shop'] }, '400 invalid_target'],
  ['X-08 a resource and another audience', { audience: 'resource://ledger.shop' }, '400 invalid_target'],
  ['a resource that is no URI', { resource: 'payments' }, '400 invalid_target'],
  ['a resource with a fragment', { resource: `${PAYMENTS}#a` }, '400 invalid_target'],
  ['a resource with a space inside', { resource: 'resource://pay ments' }, '400 invalid_target'],
  ['a resource that is too long', { resource: `resource://${'a'.repeat(513)}` }, '400 invalid_target'],
  ['65 resources', { resource: Array.from({ length: 65 }, (_, n) => `resource://r${n}`) }, '400 invalid_target'],
  ['X-07 two spaces between scopes', { scope: 'read  write' }, '400 invalid_scope'],
  ['X-07 a tab between scopes', { scope: 'read\twrite' }, '400 invalid_scope'],
  ['X-07 a line feed in a scope', { scope: 'read\nwrite' }, '400 invalid_scope'],
  ['X-07 a space before the scope', { scope: ' read' }, '400 invalid_scope'],
  ['X-07 look-alike letters', { scope: 'reаd' }, '400 invalid_scope'],
  ['X-07 a quote in a scope', { scope: 're"ad' }, '400 invalid_scope'],
  ['X-07 a scope of 129 characters', { scope: 'x'.repeat(129) }, '400 invalid_scope'],
  [
    'X-07 ten thousand scopes',
    { scope: Array.from({ length: 10_000 }, (_, n) => `s${n}`).join(' ') },
    '400 invalid_scope',
  ],
  ['X-20 a lifetime of 0', { ttl_seconds: '0' }, '400 invalid_request'],
  ['X-20 a negative lifetime', { ttl_seconds: '-1' }, '400 invalid_request'],
  ['X-20 a fraction of a second', { ttl_seconds: '1.5' }, '400 invalid_request'],
  ['X-20 a lifetime in exponent form', { ttl_seconds: '1e2' }, '400 invalid_request'],
  ['X-20 a lifetime in words', { ttl_seconds: 'forever' }, '400 invalid_request'],
  ['X-20 a lifetime with a zero before it', { ttl_seconds: '060' }, '400 invalid_request'],
  ['X-20 a lifetime above the cap', { ttl_seconds: '901' }, '400 invalid_request'],
  ['X-20 a billion seconds', { ttl_seconds: '1000000000' }, '400 invalid_request'],
  [
    'two ways of client authentication',
    { client_assertion: 'x', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
    '400 invalid_request',
  ],
  ['no client authentication', { client_secret: undefined }, '401 invalid_client'],
  ['a secret without the application', { application_id: undefined }, '400 invalid_request'],
  ['no zone', { zone_id: undefined }, '400 invalid_request'],
];

describe('a form with', () => {
  it.each(REFUSED)('%s is refused', async (_, change, expected) => {
    expect(errorOf(await sts.token({ ...GOOD, ...change }))).toBe(expected);
  });

  const TAKEN: readonly (readonly [string, Form])[] = [
    ['no grant type', {}],
    ['the grant type of token exchange', { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' }],
    ['the access token type', { requested_token_type: `${TOKEN_TYPE}access_token` }],
    ['the JWT type', { requested_token_type: `${TOKEN_TYPE}jwt` }],
    ['client_id in place of application_id', { application_id: undefined, client_id: 'shop.cart' }],
    ['both client ids, the same', { client_id: 'shop.cart' }],
    ['audience in place of resource', { resource: undefined, audience: PAYMENTS }],
    ['the same resource under both names', { audience: PAYMENTS }],
    ['spaces around the resource', { resource: `  ${PAYMENTS} ` }],
    ['the same scope twice', { scope: 'read read' }],
    ['use=resource', { use: 'resource' }],
    ['a lifetime at the cap', { ttl_seconds: '900' }],
  ];
  it.each(TAKEN)('%s is taken', async (_, change) => {
    const answer = await sts.token({ ...GOOD, ...change });
    expect([answer.status, answer.body['scope'], answer.body['target_resources']]).toEqual([200, 'read', [PAYMENTS]]);
  });
});
