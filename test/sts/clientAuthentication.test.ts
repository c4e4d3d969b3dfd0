/** Client authentication: the four kinds, each failing closed, and saying nothing about why. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSigner } from '../tokens/signing.ts';
import { BANK_SECRET, cart, OLD_SECRET, PAYMENTS, SECRET, TILL_SECRET, ZONE } from './shop.ts';
import {
  byAssertion,
  BY_SECRET,
  errorOf,
  mandateOf,
  podToken,
  READ,
  startSTS,
  type Form,
  type TestSTS,
} from './service.ts';
import {
  cartKey,
  ci,
  ciClaims,
  cluster,
  decode,
  ISSUER,
  keyAssertionClaims,
  podOf,
  serviceAccountClaims,
  signAs,
  stranger,
  type Claims,
} from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const exchange = (credentials: Form, extra: Form = READ) => sts.token({ ...credentials, ...extra });
const byPod = (claims: Claims = {}) => byAssertion(podToken(sts, claims));
const byKey = (claims: Claims = {}, header: Claims = {}) =>
  byAssertion(signAs(cartKey, keyAssertionClaims(sts.seconds(), claims), header));
const byCI = (claims: Claims = {}) => byAssertion(signAs(ci, ciClaims(sts.seconds(), claims)));
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const evidenceOf = () => sts.log.findLast(({ members }) => 'evidence' in members)?.members['evidence'];

async function lastDecision() {
  const [decision] = await sts.store().decisions('uid-shop-main', 1);
  return decision!;
}

describe('a pod-bound ServiceAccount token', () => {
  it('authenticates its application, with the workload in the record', async () => {
    const { claims } = decode(mandateOf(await exchange(byPod())));
    expect([claims['sub'], claims['client_id']]).toEqual(['shop.cart', 'shop.cart']);
    const { request } = await lastDecision();
    expect(request?.principal).toMatchObject({
      credential: 'serviceAccount',
      workload: { namespace: 'shop', service_account: 'cart', service_account_uid: 'sa-shop-cart', pod: 'cart-0' },
    });
  });

  it('takes the client id only where it is the application’s own', async () => {
    expect((await exchange({ ...byPod(), client_id: 'shop.cart' })).status).toBe(200);
    expect(errorOf(await exchange({ ...byPod(), client_id: 'shop.till' }))).toBe('401 invalid_client');
  });

  const audience = `${ISSUER}/zones/${ZONE}`;
  const cases: readonly (readonly [string, Claims, string])[] = [
    ['X-14 for another audience', { aud: ['https://kubernetes.default.svc'] }, '401 invalid_client'],
    ['X-14 for ours and the API server’s', { aud: [audience, 'https://kubernetes.default.svc'] }, '401 invalid_client'],
    ['X-14 for ours twice', { aud: [audience, audience] }, '401 invalid_client'],
    ['X-14 for no audience', { aud: [] }, '401 invalid_client'],
    ['X-14 without audience', { aud: undefined }, '401 invalid_client'],
    ['X-14 for the issuer alone', { aud: [ISSUER] }, '401 invalid_client'],
    ['X-14 for the gateways of the zone', { aud: [`${audience}/gateways`] }, '401 invalid_client'],
    ['J-28 for an audience that begins like ours', { aud: [`${ISSUER}.evil/zones/${ZONE}`] }, '401 invalid_client'],
    ['X-10 for another zone', { aud: [`${ISSUER}/zones/bank.main`] }, '403 zone_invalid'],
    ['J-27 of another issuer', { iss: 'https://other-cluster' }, '401 invalid_client'],
    ['J-27 of our issuer with a slash', { iss: 'https://kubernetes.default.svc.cluster.local/' }, '401 invalid_client'],
    [
      'X-14 that is not bound to a pod',
      { 'kubernetes.io': { ...podOf('shop', 'cart'), pod: undefined } },
      '401 invalid_client',
    ],
    ['X-14 of the legacy kind', { 'kubernetes.io': undefined }, '401 invalid_client'],
    ['whose sub is another ServiceAccount', { sub: 'system:serviceaccount:shop:till' }, '401 invalid_client'],
    [
      'X-15 of a namespace that has no application',
      { sub: 'system:serviceaccount:bank:cart', 'kubernetes.io': podOf('bank', 'cart') },
      '401 invalid_client',
    ],
    [
      'X-15 of another zone’s application',
      { sub: 'system:serviceaccount:bank:teller', 'kubernetes.io': podOf('bank', 'teller') },
      '401 invalid_client',
    ],
    [
      'of a ServiceAccount nobody names',
      { sub: 'system:serviceaccount:shop:none', 'kubernetes.io': podOf('shop', 'none') },
      '401 invalid_client',
    ],
    ['without exp', { exp: undefined }, '401 invalid_client'],
  ];
  it.each(cases)('%s is refused', async (_, claims, expected) => {
    expect(errorOf(await exchange(byPod(claims)))).toBe(expected);
  });

  it('X-14 that has expired, or is not valid yet, is refused', async () => {
    const seconds = sts.seconds();
    for (const claims of [{ exp: seconds - 10 }, { nbf: seconds + 60 }, { iat: seconds + 60 }])
      expect(errorOf(await exchange(byPod(claims)))).toBe('401 invalid_client');
  });

  it('X-14 of another cluster, by key or kid, is refused', async () => {
    const claims = serviceAccountClaims(sts.seconds());
    for (const token of [signAs(stranger, claims), signAs(cluster, claims, { kid: 'unknown' })])
      expect(errorOf(await exchange(byAssertion(token)))).toBe('401 invalid_client');
  });

  it('X-14 whose pod is gone is refused, and where that cannot be told nothing is issued', async () => {
    const pod = (uid: string) => byPod({ 'kubernetes.io': podOf('shop', 'cart', uid) });
    sts.pods.set('dead-pod', 'gone').set('unheard-pod', 'unknown');
    expect(errorOf(await exchange(pod('dead-pod')))).toBe('401 invalid_client');
    const unknown = await exchange(pod('unheard-pod'));
    expect([errorOf(unknown), unknown.headers['retry-after']]).toEqual(['503 sts_unavailable', '1']);
  });
});

describe('a private key', () => {
  it('authenticates its application', async () => {
    expect(decode(mandateOf(await exchange(byKey()))).claims['client_id']).toBe('shop.cart');
    expect((await lastDecision()).request?.principal.credential).toBe('privateKeyJWT');
  });

  it('X-16 signs each jti once: a replay is refused, one at a time or 50 at once', async () => {
    const credentials = byKey();
    expect((await exchange(credentials)).status).toBe(200);
    expect(errorOf(await exchange(credentials))).toBe('401 invalid_client');
    expect(evidenceOf()).toBe('jti used before');
    const raced = byKey();
    const answers = await Promise.all(Array.from({ length: 50 }, () => exchange(raced)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('X-16 signs a jti once also across a restart', async () => {
    const credentials = byKey();
    expect((await exchange(credentials)).status).toBe(200);
    await sts.restart();
    expect(errorOf(await exchange(credentials))).toBe('401 invalid_client');
  });

  it('X-16 signs a jti once also when the assertion is signed anew', async () => {
    const jti = 'the-same-jti';
    expect((await exchange(byKey({ jti }))).status).toBe(200);
    expect(errorOf(await exchange(byKey({ jti })))).toBe('401 invalid_client');
  });

  it('spends its jti also where the exchange is denied', async () => {
    const credentials = byKey();
    expect(errorOf(await exchange(credentials, { resource: PAYMENTS, scope: 'sealed' }))).toBe(
      '403 scope_insufficient',
    );
    expect(errorOf(await exchange(credentials))).toBe('401 invalid_client');
  });

  const cases: readonly (readonly [string, (seconds: number) => Claims])[] = [
    ['for the token endpoint in place of the issuer', () => ({ aud: `${ISSUER}/oauth/2/token` })],
    ['for the issuer and another', () => ({ aud: [ISSUER, 'https://else.example'] })],
    ['for the issuer with a slash', () => ({ aud: `${ISSUER}/` })],
    ['without audience', () => ({ aud: undefined })],
    ['whose sub is another', () => ({ sub: 'shop.till' })],
    ['of an application without keys', () => ({ iss: 'shop.till', sub: 'shop.till' })],
    ['of an application of another zone', () => ({ iss: 'bank.teller', sub: 'bank.teller' })],
    ['without jti', () => ({ jti: undefined })],
    ['with an empty jti', () => ({ jti: '' })],
    ['with a jti that is no text', () => ({ jti: 7 })],
    ['with a jti of 257 characters', () => ({ jti: 'x'.repeat(257) })],
    ['without exp', () => ({ exp: undefined })],
    ['that lives longer than ten minutes', (seconds) => ({ exp: seconds + 700 })],
    ['that has expired', (seconds) => ({ exp: seconds - 10 })],
    ['from the future', (seconds) => ({ iat: seconds + 60 })],
  ];
  it.each(cases)('assertion %s is refused', async (_, claims) => {
    expect(errorOf(await exchange(byKey(claims(sts.seconds()))))).toBe('401 invalid_client');
  });

  it('of someone else is refused, under the same kid too', async () => {
    const thief = makeSigner('ec', { kid: 'cart' });
    const token = signAs(thief, keyAssertionClaims(sts.seconds()));
    expect(errorOf(await exchange(byAssertion(token)))).toBe('401 invalid_client');
  });
});

describe('an OIDC workload token', () => {
  it('authenticates its application', async () => {
    expect(decode(mandateOf(await exchange(byCI()))).claims['client_id']).toBe('shop.cart');
    expect((await lastDecision()).request?.principal.credential).toBe('oidc');
  });

  const cases: readonly (readonly [string, Claims])[] = [
    ['for another audience', { aud: 'https://else.example' }],
    ['of a subject nobody names', { sub: 'repo:shop/other' }],
    ['of a subject that begins like ours', { sub: 'repo:shop/cart/fork' }],
    ['of an issuer nobody trusts', { iss: 'https://evil.example' }],
    ['J-27 of a list of issuers', { iss: ['https://ci.example'] }],
    ['X-33 of a subject that a pattern would match', { sub: 'repo:shop.cart' }],
    ['without sub', { sub: undefined }],
    ['without exp', { exp: undefined }],
  ];
  it.each(cases)('%s is refused', async (_, claims) => {
    expect(errorOf(await exchange(byCI(claims)))).toBe('401 invalid_client');
  });

  it('of another signer is refused', async () => {
    const thief = makeSigner('ec', { kid: 'ci' });
    expect(errorOf(await exchange(byAssertion(signAs(thief, ciClaims(sts.seconds())))))).toBe('401 invalid_client');
  });
});

describe('a client secret', () => {
  it('authenticates by form and by HTTP Basic, the old one and the new one', async () => {
    for (const secret of [SECRET, OLD_SECRET]) {
      expect((await exchange({ ...BY_SECRET, client_secret: secret })).status).toBe(200);
      const answer = await sts.token({ zone_id: ZONE, ...READ }, { headers: basic('shop.cart', secret) });
      expect(answer.status).toBe(200);
    }
  });

  it('that is wrong is 401 access_denied by form, and 401 invalid_client with a challenge by Basic', async () => {
    const wrong = `${SECRET.slice(0, -1)}1`;
    const byForm = await exchange({ ...BY_SECRET, client_secret: wrong });
    expect([errorOf(byForm), byForm.headers['www-authenticate']]).toEqual(['401 access_denied', undefined]);
    const byBasic = await sts.token({ zone_id: ZONE, ...READ }, { headers: basic('shop.cart', wrong) });
    expect(errorOf(byBasic)).toBe('401 invalid_client');
    expect(byBasic.headers['www-authenticate']).toMatch(/^Basic realm=/);
  });

  it('X-11 of another application is refused, of the same zone or another', async () => {
    for (const secret of [TILL_SECRET, BANK_SECRET])
      expect(errorOf(await exchange({ ...BY_SECRET, client_secret: secret }))).toBe('401 access_denied');
    expect(errorOf(await exchange({ ...BY_SECRET, application_id: 'bank.teller', client_secret: BANK_SECRET }))).toBe(
      '401 access_denied',
    );
  });

  it('J-37 cut short or made longer is refused', async () => {
    for (const secret of [SECRET.slice(0, -1), SECRET.slice(0, 20), `${SECRET} `, `${SECRET}0`])
      expect(errorOf(await exchange({ ...BY_SECRET, client_secret: secret }))).toBe('401 access_denied');
  });

  it('X-28 fails the same for an unknown application, a wrong secret, and an unknown zone', async () => {
    const headers = { 'x-request-id': 'same' };
    const wrong = { ...BY_SECRET, ...READ, client_secret: 'x'.repeat(43) };
    const answers = await Promise.all([
      sts.token(wrong, { headers }),
      sts.token({ ...wrong, application_id: 'shop.none' }, { headers }),
      sts.token({ ...wrong, zone_id: 'no.zone' }, { headers }),
      sts.token({ ...wrong, application_id: 'bank.teller', client_secret: BANK_SECRET }, { headers }),
    ]);
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  });

  it('in a malformed Authorization header is refused, also beside a good form', async () => {
    for (const authorization of [
      'Basic',
      'Basic !!!',
      'Basic YWJj',
      'Bearer abc',
      'Digest x',
      basic('%', SECRET).authorization,
    ])
      expect(errorOf(await sts.token({ ...BY_SECRET, ...READ }, { headers: { authorization } }))).toBe(
        '400 invalid_request',
      );
  });

  it('by Basic and another id in the form is refused', async () => {
    const form = { zone_id: ZONE, client_id: 'shop.till', ...READ };
    expect(errorOf(await sts.token(form, { headers: basic('shop.cart', SECRET) }))).toBe('400 invalid_request');
  });
});

describe('what was wrong', () => {
  const wrongSecret = { ...BY_SECRET, client_secret: 'x'.repeat(43) };
  const unknownZone = { zone_id: 'no.zone' };
  const cases: Readonly<Record<string, readonly [form: () => Form, evidence: string]>> = {
    'a ServiceAccount of no application': [
      () => byPod({ sub: 'system:serviceaccount:shop:none', 'kubernetes.io': podOf('shop', 'none', 'pod') }),
      'no Application of the zone has ServiceAccount shop/none',
    ],
    'an unknown zone, by ServiceAccount': [
      () => ({ ...byPod({ aud: [`${ISSUER}/zones/no.zone`] }), ...unknownZone }),
      'no accepted Zone has the id in zone_id',
    ],
    'an unknown zone, by private key': [
      () => ({ ...byKey(), ...unknownZone }),
      'no accepted Zone has the id in zone_id',
    ],
    'an unknown zone, by secret': [() => ({ ...BY_SECRET, ...unknownZone }), 'no accepted Zone has the id in zone_id'],
    'an unknown application': [
      () => ({ ...BY_SECRET, application_id: 'shop.none' }),
      'no Application of the zone has this id',
    ],
    'a wrong secret': [() => wrongSecret, 'no client secret of application shop.cart'],
  };
  for (const [name, [form, evidence]] of Object.entries(cases)) {
    it(`is in no answer but in the log, as a warning that names the request: ${name}`, async () => {
      const answer = await exchange(form());
      const { requestId } = JSON.parse(answer.text) as { requestId: string };
      expect([answer.status, answer.text.includes(evidence)]).toEqual([401, false]);
      expect(sts.log.find(({ members }) => members['request_id'] === requestId)).toMatchObject({
        level: 'warn',
        members: { evidence },
      });
    });
  }
});

describe('an application', () => {
  const replaceCart = (object: ReturnType<typeof cart> | undefined) =>
    sts.apply((world) => {
      const others = world.applications.filter(({ metadata }) => metadata.name !== 'cart');
      return { ...world, applications: object ? [object, ...others] : others };
    });

  it('X-11 that was deleted is refused, and re-created under its name is another with another sid', async () => {
    const sidOf = async () => decode(mandateOf(await exchange(byPod()))).claims['sid'];
    const before = await sidOf();
    await replaceCart(undefined);
    expect(errorOf(await exchange(byPod()))).toBe('401 invalid_client');
    expect(errorOf(await exchange(BY_SECRET))).toBe('401 access_denied');
    await replaceCart(cart({}, 'uid-another-cart'));
    expect(await sidOf()).not.toBe(before);
    await replaceCart(cart());
    expect(await sidOf()).toBe(before);
  });

  it('that has expired is refused', async () => {
    await replaceCart(cart({ expiresAt: '2020-01-01T00:00:00Z' }));
    expect((await exchange(BY_SECRET)).status).toBe(401);
    await replaceCart(cart());
    expect((await exchange(BY_SECRET)).status).toBe(200);
  });

  it('keeps its other identities when some are taken away', async () => {
    await replaceCart(cart({ identities: cart().spec.identities.slice(0, 1) }));
    expect(errorOf(await exchange(BY_SECRET))).toBe('401 access_denied');
    expect(errorOf(await exchange(byCI()))).toBe('401 invalid_client');
    expect((await exchange(byPod())).status).toBe(200);
    await replaceCart(cart());
  });
});

describe('the login behind a mandate', () => {
  const sidOf = async (credentials: Form) => decode(mandateOf(await exchange(credentials))).claims['sid'];

  it('has one id per instance of a credential, whenever and however often it is used', async () => {
    const instances: readonly (() => Form)[] = [
      () => byPod(),
      () => byPod({ 'kubernetes.io': podOf('shop', 'cart', 'another-pod') }),
      () => byKey(),
      () => byCI(),
      () => BY_SECRET,
      () => ({ ...BY_SECRET, client_secret: OLD_SECRET }),
    ];
    const first = await Promise.all(instances.map((credentials) => sidOf(credentials())));
    await sts.restart();
    const second = await Promise.all(instances.map((credentials) => sidOf(credentials())));
    expect(second).toEqual(first);
    expect(new Set(first).size).toBe(instances.length);
    for (const sid of first)
      expect(sid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('is its own root for an application', async () => {
    const { claims } = decode(mandateOf(await exchange(BY_SECRET)));
    expect(claims['root_sid']).toBe(claims['sid']);
  });
});
