/** Subject tokens with a wrong label, and session mandates that are altered. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { revalidate } from './gateway.ts';
import { PAYMENTS, ZONE_UID } from './shop.ts';
import {
  BY_SECRET,
  errorOf,
  mandateOf,
  podToken,
  READ,
  startSTS,
  TOKEN_TYPE,
  withSubject,
  type TestSTS,
} from './service.ts';
import { decode, idp, idTokenClaims, privateKeyOf, signAs, signToken, type Claims } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const idToken = () => signAs(idp, idTokenClaims(sts.seconds()));
const login = async () => mandateOf(await sts.token({ ...BY_SECRET, ...withSubject(idToken()) }));

describe('the label of a subject token', () => {
  it('X-02 X-03 must be what the token is: every other pair is refused', async () => {
    const tokens: Readonly<Record<string, () => Promise<string> | string>> = {
      'ID token': () => idToken(),
      'user login': () => login(),
      'lifecycle session': async () => mandateOf(await sts.token({ ...BY_SECRET, scope: 'agent:lifecycle' })),
      'resource mandate': async () => mandateOf(await sts.token({ ...BY_SECRET, ...READ })),
      'ServiceAccount token': () => podToken(sts),
      'client secret': () => BY_SECRET.client_secret,
      rubbish: () => 'e30.e30.e30',
      'old mandate type': async () => signAs(idp, decode(await login()).claims, { typ: 'caracal-session+jwt' }),
    };
    const taken: string[] = [];
    for (const [name, make] of Object.entries(tokens)) {
      for (const type of ['access_token', 'id_token', 'jwt']) {
        const answer = await sts.token({ ...BY_SECRET, ...withSubject(await make(), type), ...READ });
        if (answer.status === 200) taken.push(`${name} as ${type}`);
        else expect([name, type, errorOf(answer)]).toEqual([name, type, '401 invalid_token']);
      }
    }
    expect(taken).toEqual([
      'ID token as id_token',
      'ID token as jwt',
      'user login as access_token',
      'lifecycle session as access_token',
    ]);
  });

  it('X-02 that we do not know is refused before the token is looked at', async () => {
    for (const type of ['refresh_token', 'saml1', 'ACCESS_TOKEN', 'access_token ', '']) {
      const answer = await sts.token({
        ...BY_SECRET,
        ...READ,
        subject_token: idToken(),
        subject_token_type: TOKEN_TYPE + type,
      });
      expect([type, errorOf(answer)]).toEqual([type, '400 invalid_request']);
    }
  });

  it('X-22 a bad subject token never falls back to the application itself', async () => {
    for (const [token, type] of [
      ['x', 'id_token'],
      ['x', 'access_token'],
      ['null', 'jwt'],
      ['undefined', 'access_token'],
      [' ', 'id_token'],
    ] as const)
      expect(errorOf(await sts.token({ ...BY_SECRET, ...withSubject(token, type), ...READ }))).toBe(
        '401 invalid_token',
      );
  });
});

describe('a session mandate under attack', () => {
  const cases: readonly (readonly [
    string,
    (claims: Record<string, unknown>, header: Claims) => readonly [object | string, object | string],
  ])[] = [
    ['J-01 alg none', (claims, header) => [{ ...header, alg: 'none' }, claims]],
    ['J-02 alg HS256', (claims, header) => [{ ...header, alg: 'HS256' }, claims]],
    [
      'J-04 alg twice',
      (claims, { kid }) => [`{"alg":"none","alg":"ES256","kid":"${String(kid)}","typ":"caracal-session+jwt"}`, claims],
    ],
    ['J-05 a jwk in the header', (claims, header) => [{ ...header, jwk: {} }, claims]],
    ['J-09 crit', (claims, header) => [{ ...header, crit: ['exp'] }, claims]],
    ['J-10 b64', (claims, header) => [{ ...header, b64: true }, claims]],
    ['J-21 sub twice', (claims, header) => [header, JSON.stringify(claims).replace('{', '{"sub":"corp:root",')]],
    ['J-22 a claim in other letters', (claims, header) => [header, { ...claims, Scope: 'x' }]],
    ['J-22 an unknown claim', (claims, header) => [header, { ...claims, admin: true }]],
    ['J-23 __proto__', (claims, header) => [header, JSON.stringify(claims).replace('{', '{"__proto__":{"a":1},')]],
    ['X-04 an act of its own', (claims, header) => [header, { ...claims, act: { sub: 'shop.till' } }]],
    [
      'X-05 a nested act',
      (claims, header) => [header, { ...claims, act: { sub: 'shop.cart', act: { sub: 'shop.till' } } }],
    ],
    ['J-25 exp before iat', (claims, header) => [header, { ...claims, exp: (claims['iat'] as number) - 1 }]],
    ['J-25 more than an hour', (claims, header) => [header, { ...claims, exp: (claims['iat'] as number) + 3700 }]],
    ['J-27 another issuer', (claims, header) => [header, { ...claims, iss: 'https://sts.example/' }]],
    ['J-27 a list of issuers', (claims, header) => [header, { ...claims, iss: ['https://sts.example'] }]],
    ['J-28 another audience', (claims, header) => [header, { ...claims, aud: [PAYMENTS] }]],
    ['J-28 two audiences', (claims, header) => [header, { ...claims, aud: ['https://sts.example', PAYMENTS] }]],
    ['J-28 no audience', (claims, header) => [header, { ...claims, aud: [] }]],
    ['J-29 use=resource', (claims, header) => [header, { ...claims, use: 'resource' }]],
    ['J-29 typ at+jwt', (claims, header) => [{ ...header, typ: 'at+jwt' }, claims]],
    ['J-29 typ in other letters', (claims, header) => [{ ...header, typ: 'CARACAL-session+jwt' }, claims]],
    ['J-29 typ with a prefix', (claims, header) => [{ ...header, typ: 'application/caracal-session+jwt' }, claims]],
    ['J-07 an unknown kid', (claims, header) => [{ ...header, kid: 'x' }, claims]],
    ['J-07 no kid', (claims, header) => [{ ...header, kid: undefined }, claims]],
    ['J-35 a BOM', (claims, header) => [header, `\ufeff${JSON.stringify(claims)}`]],
    ['no jti', (claims, header) => [header, { ...claims, jti: undefined }]],
    ['no sid', (claims, header) => [header, { ...claims, sid: undefined }]],
  ];
  it.each(cases)('%s is refused', async (_, alter) => {
    const [key] = sts.keys.get(ZONE_UID)!;
    const { header, claims } = decode(await login());
    const [head, payload] = alter(claims, header);
    const form = {
      ...BY_SECRET,
      ...withSubject(signToken(privateKeyOf(key!), head, payload), 'access_token'),
      ...READ,
    };
    expect(errorOf(await sts.token(form))).toBe('401 invalid_token');
  });

  it('signed again but otherwise whole is taken, so that each row above fails for its own reason', async () => {
    const [key] = sts.keys.get(ZONE_UID)!;
    const { header, claims } = decode(await login());
    const form = {
      ...BY_SECRET,
      ...withSubject(signToken(privateKeyOf(key!), header, claims), 'access_token'),
      ...READ,
    };
    expect((await sts.token(form)).status).toBe(200);
  });

  it('J-08 signed with a key that was taken away is refused', async () => {
    const session = await login();
    const before = sts.world().keySets.get(ZONE_UID)!;
    if (!before.ok) throw new Error('the zone has keys');
    const standby = { ...before.keys[1]!, activeAt: 1 };
    await sts.apply((world) => ({
      ...world,
      keySets: new Map([...world.keySets, [ZONE_UID, { ok: true, keys: [standby] }]]),
    }));
    const answer = await sts.token({ ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ });
    expect(answer.status).not.toBe(200);
    await sts.apply((world) => ({ ...world, keySets: new Map([...world.keySets, [ZONE_UID, before]]) }));
    expect((await sts.token({ ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ })).status).toBe(200);
  });
});

describe('X-26 a name in subjectIssuers that comes to mean another issuer', () => {
  it('ends the logins and the mandates of users of the one before', async () => {
    const before = sts.world();
    const session = await login();
    const asLogin = () => sts.token({ ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ });
    const mandate = mandateOf(await asLogin());
    expect((await revalidate(sts, [mandate])).body['results']).toEqual([{ valid: true }]);
    const [shop, bank] = before.zones;
    const [corp, partner] = shop!.spec.subjectIssuers!;
    const moved = {
      ...shop!,
      spec: { ...shop!.spec, subjectIssuers: [{ ...corp!, issuer: 'https://new.example' }, partner!] },
    };
    await sts.apply((world) => ({ ...world, zones: [moved, bank!] }));
    const answer = await asLogin();
    expect([errorOf(answer), answer.body['reason']]).toEqual(['403 access_denied', 'SubjectNotPermitted']);
    const [judged] = (await revalidate(sts, [mandate])).body['results'] as readonly unknown[];
    expect(judged).toEqual({ valid: false, reason: 'SubjectNotPermitted' });
    await sts.apply(() => before);
    expect((await asLogin()).status).toBe(200);
  });
});

describe('an access token of the user', () => {
  it('J-29 X-02 is no ID token, in whatever spelling of its typ', async () => {
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt']) {
      const token = signAs(idp, idTokenClaims(sts.seconds()), { typ });
      expect(errorOf(await sts.token({ ...BY_SECRET, ...withSubject(token) }))).toBe('401 invalid_token');
    }
  });
});
