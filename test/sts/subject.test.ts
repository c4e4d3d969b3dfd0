/** Subject tokens: a user's ID token, and a login of the application's own; nothing else, and never passed over. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSigner } from '../tokens/signing.ts';
import { LEDGER, PAYMENTS, TILL_SECRET, ZONE_UID } from './shop.ts';
import {
  BY_SECRET,
  errorOf,
  mandateOf,
  podToken,
  READ,
  startSTS,
  withSubject,
  type Answer,
  type Form,
  type TestSTS,
} from './service.ts';
import { decode, idp, idTokenClaims, otherIdp, privateKeyOf, signAs, signToken, type Claims } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const idToken = (claims: Claims = {}, header: Claims = {}) => signAs(idp, idTokenClaims(sts.seconds(), claims), header);
const asUser = (claims: Claims = {}, extra: Form = {}) =>
  sts.token({ ...BY_SECRET, ...withSubject(idToken(claims)), ...extra });
const subjectOf = (answer: Answer) => decode(mandateOf(answer)).claims;
const evidence = () => sts.log.findLast(({ members }) => 'evidence' in members)?.members['evidence'];

async function lastRecord() {
  const [record] = await sts.store().decisions(ZONE_UID, 1);
  return record!;
}

async function login(claims: Claims = {}): Promise<string> {
  return mandateOf(await asUser(claims));
}

describe('a user’s ID token', () => {
  it('without resource and scope is a login: a session mandate of the user', async () => {
    const { header, claims } = decode(await login());
    expect(header['typ']).toBe('caracal-session+jwt');
    expect(claims).toMatchObject({
      ...{ use: 'session', aud: ['https://sts.example'], sub: 'corp:alice', sub_type: 'user', sub_iss: 'corp' },
      ...{ sub_id: 'alice', client_id: 'shop.cart', act: { sub: 'shop.cart' }, root_sid: claims['sid'] },
    });
    expect([claims['scope'], claims['target']]).toEqual([undefined, undefined]);
  });

  it('with a resource is a mandate for it, of the user, by Grants for the user', async () => {
    const claims = subjectOf(await asUser({}, READ));
    expect(claims).toMatchObject({ use: 'resource', sub: 'corp:alice', aud: [PAYMENTS], scope: 'read' });
    expect((await lastRecord()).grants).toEqual(['shop/alice']);
    expect(errorOf(await asUser({}, { resource: PAYMENTS, scope: 'write' }))).toBe('403 scope_insufficient');
  });

  it('opens Grants for its groups, and policy sees groups and the listed claims only', async () => {
    const answer = await asUser({ sub: 'bob', groups: ['finance'], salary: 9 }, { resource: PAYMENTS, scope: 'write' });
    expect(subjectOf(answer)['sub']).toBe('corp:bob');
    const { request } = await lastRecord();
    expect(request?.subject).toMatchObject({ groups: ['finance'], claims: { department: 'sales' } });
    expect(JSON.stringify(request)).not.toContain('salary');
  });

  it('X-16 is used once: a replay is refused, one at a time, 50 at once and after a restart', async () => {
    const form = { ...BY_SECRET, ...withSubject(idToken()) };
    const answers = await Promise.all(Array.from({ length: 50 }, () => sts.token(form)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(errorOf(await sts.token(form))).toBe('401 invalid_token');
    await sts.restart();
    expect(errorOf(await sts.token(form))).toBe('401 invalid_token');
  });

  it('X-16 is used once also by its signature twin', async () => {
    const token = idToken();
    expect((await sts.token({ ...BY_SECRET, ...withSubject(token) })).status).toBe(200);
    const again = signAs(idp, decode(token).claims);
    expect(errorOf(await sts.token({ ...BY_SECRET, ...withSubject(again) }))).toBe('401 invalid_token');
  });

  it('never authenticates the client', async () => {
    const { application_id: id, zone_id: zone } = BY_SECRET;
    const answer = await sts.token({ application_id: id, zone_id: zone, ...withSubject(idToken()) });
    expect(errorOf(answer)).toBe('401 invalid_client');
  });

  it('is taken as jwt as well', async () => {
    expect((await sts.token({ ...BY_SECRET, ...withSubject(idToken(), 'jwt') })).status).toBe(200);
  });

  const cases: readonly (readonly [string, (seconds: number) => Claims])[] = [
    ['J-27 of an issuer the zone does not trust', () => ({ iss: 'https://evil.example' })],
    ['J-27 of our issuer with a slash', () => ({ iss: 'https://idp.example/' })],
    ['J-27 of a list of issuers', () => ({ iss: ['https://idp.example'] })],
    ['J-27 of an issuer that begins like ours', () => ({ iss: 'https://idp.example.evil' })],
    ['X-26 of another trusted issuer, signed with this one’s key', () => ({ iss: 'https://partner.example' })],
    ['J-28 for another application', () => ({ aud: 'till-web' })],
    ['J-28 for an audience that begins like ours', () => ({ aud: 'cart-web-2' })],
    ['J-28 without audience', () => ({ aud: undefined })],
    ['J-28 for no audience', () => ({ aud: [] })],
    ['J-28 for two audiences without azp', () => ({ aud: ['cart-web', 'else'] })],
    ['with the azp of another', () => ({ azp: 'till-web' })],
    ['that is six minutes old', (seconds) => ({ iat: seconds - 360 })],
    ['without iat', () => ({ iat: undefined })],
    ['J-25 from the future', (seconds) => ({ iat: seconds + 60 })],
    ['J-25 that is not valid yet', (seconds) => ({ nbf: seconds + 60 })],
    ['that has expired', (seconds) => ({ exp: seconds - 10 })],
    ['without exp', () => ({ exp: undefined })],
    ['X-25 without sub', () => ({ sub: undefined })],
    ['X-25 with an empty sub', () => ({ sub: '' })],
    ['X-25 with a sub of 256 bytes', () => ({ sub: 'x'.repeat(256) })],
    ['X-25 with our prefix', () => ({ sub: 'caracal:admin' })],
    ['X-25 with a control character', () => ({ sub: 'ali\u0007ce' })],
    ['X-25 with a bidi override', () => ({ sub: 'ali\u202ece' })],
    ['X-25 with a lone surrogate', () => ({ sub: 'ali\ud800ce' })],
    ['X-25 with a sub that is no text', () => ({ sub: 7 })],
    ['whose groups are no list', () => ({ groups: 'finance' })],
    ['whose groups hold a number', () => ({ groups: ['finance', 7] })],
    ['with 257 groups', () => ({ groups: Array.from({ length: 257 }, (_, n) => `g${n}`) })],
    ['whose listed claims are too large', () => ({ department: 'x'.repeat(9000) })],
    ['whose auth_time is no integer', () => ({ auth_time: 'now' })],
  ];
  it.each(cases)('%s is refused', async (_, claims) => {
    const answer = await asUser(claims(sts.seconds()), READ);
    expect([errorOf(answer), answer.body['error_description']]).toEqual([
      '401 invalid_token',
      'the subject token is not valid',
    ]);
  });

  it('of another signer, or under an unknown key, is refused', async () => {
    const thief = makeSigner('ec', { kid: 'idp' });
    for (const token of [signAs(thief, idTokenClaims(sts.seconds())), idToken({}, { kid: 'unknown' })])
      expect(errorOf(await sts.token({ ...BY_SECRET, ...withSubject(token) }))).toBe('401 invalid_token');
  });

  it('X-23 at an application that lists no audience for users is refused', async () => {
    const till = { ...BY_SECRET, application_id: 'shop.till', client_secret: TILL_SECRET };
    expect(errorOf(await sts.token({ ...till, ...withSubject(idToken()) }))).toBe('401 invalid_token');
  });

  it('for two audiences with ours as azp is taken', async () => {
    expect((await asUser({ aud: ['cart-web', 'else'], azp: 'cart-web' })).status).toBe(200);
  });

  it('X-25 in NFC and NFD makes two subjects', async () => {
    const subs = await Promise.all(
      ['caf\u00e9', 'cafe\u0301'].map(async (sub) => subjectOf(await asUser({ sub }))['sub']),
    );
    expect(new Set(subs).size).toBe(2);
  });

  it('X-26 of two issuers with one sub makes two subjects', async () => {
    const partner = signAs(otherIdp, idTokenClaims(sts.seconds(), { iss: 'https://partner.example' }));
    const claims = subjectOf(await sts.token({ ...BY_SECRET, ...withSubject(partner) }));
    expect(claims).toMatchObject({ sub: 'partner:alice', sub_iss: 'partner', sub_id: 'alice' });
    const forPayments = signAs(otherIdp, idTokenClaims(sts.seconds(), { iss: 'https://partner.example' }));
    const answer = await sts.token({ ...BY_SECRET, ...withSubject(forPayments), ...READ });
    expect(errorOf(answer)).toBe('403 scope_insufficient');
  });

  it('each makes a login of its own, with its own sid', async () => {
    const sids = await Promise.all([login(), login()].map(async (token) => decode(await token).claims['sid']));
    expect(new Set(sids).size).toBe(2);
  });

  it('with the scope for agents’ lifecycle makes no session', async () => {
    expect(errorOf(await asUser({}, { scope: 'agent:lifecycle' }))).toBe('400 invalid_target');
  });
});

describe('a login as subject token', () => {
  it('gives mandates of that user, under the login’s own sid', async () => {
    const session = await login();
    const claims = subjectOf(await sts.token({ ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ }));
    const { sid, root_sid: root } = decode(session).claims;
    expect(claims).toMatchObject({ sub: 'corp:alice', sub_type: 'user', sid, root_sid: root, scope: 'read' });
  });

  it('may be used again and again, and after a restart', async () => {
    const form = { ...BY_SECRET, ...withSubject(await login(), 'access_token'), ...READ };
    for (let round = 0; round < 2; round += 1) expect((await sts.token(form)).status).toBe(200);
    await sts.restart();
    expect((await sts.token(form)).status).toBe(200);
  });

  it('takes subject, groups and claims from the record of the login, as they were then', async () => {
    const session = await login({ sub: 'carol', groups: ['finance'] });
    const answer = await sts.token({
      ...BY_SECRET,
      ...withSubject(session, 'access_token'),
      ...{ resource: PAYMENTS, scope: 'write' },
    });
    expect(subjectOf(answer)['sub']).toBe('corp:carol');
    expect((await lastRecord()).grants).toEqual(['shop/finance']);
  });

  it('X-21 never lengthens: no mandate ends later than the login', async () => {
    const session = await login({ exp: sts.seconds() + 100 });
    const end = decode(session).claims['exp'] as number;
    for (let round = 0; round < 5; round += 1) {
      const form = { ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ, ttl_seconds: '900' };
      expect(subjectOf(await sts.token(form))['exp']).toBeLessThanOrEqual(end);
    }
  });

  it('X-21 of a mandate for a resource is refused: there is no exchange of an exchange', async () => {
    const mandate = mandateOf(await asUser({}, READ));
    const answer = await sts.token({ ...BY_SECRET, ...withSubject(mandate, 'access_token'), ...READ });
    expect(errorOf(answer)).toBe('401 invalid_token');
  });

  it('of another application is refused', async () => {
    const session = await login();
    const till = { ...BY_SECRET, application_id: 'shop.till', client_secret: TILL_SECRET };
    expect(errorOf(await sts.token({ ...till, ...withSubject(session, 'access_token'), ...READ }))).toBe(
      '401 invalid_token',
    );
    expect(evidence()).toBe('login of another application');
  });

  it('X-10 of another zone is refused', async () => {
    const session = await login();
    const { claims } = decode(session);
    const [key] = sts.keys.get('uid-bank-main')!;
    const header = { alg: 'ES256', kid: key!.kid, typ: 'caracal-session+jwt' };
    for (const zone of ['shop.main', 'bank.main']) {
      const forged = signToken(privateKeyOf(key!), header, { ...claims, zone_id: zone });
      const answer = await sts.token({ ...BY_SECRET, ...withSubject(forged, 'access_token'), ...READ });
      expect([zone, errorOf(answer)]).toEqual([zone, '401 invalid_token']);
    }
  });

  it('without a record in the store is refused, however well signed', async () => {
    const [key] = sts.keys.get(ZONE_UID)!;
    const { claims } = decode(await login());
    const header = { alg: 'ES256', kid: key!.kid, typ: 'caracal-session+jwt' };
    const forged = signToken(privateKeyOf(key!), header, { ...claims, sid: '00000000-0000-8000-8000-000000000000' });
    const answer = await sts.token({ ...BY_SECRET, ...withSubject(forged, 'access_token'), ...READ });
    expect([errorOf(answer), evidence()]).toEqual(['401 invalid_token', 'no record of this login']);
  });

  it('with another user in its claims still is the user of the record', async () => {
    const [key] = sts.keys.get(ZONE_UID)!;
    const { header, claims } = decode(await login());
    const forged = signToken(privateKeyOf(key!), header, { ...claims, sub: 'corp:root', sub_id: 'root' });
    const answer = await sts.token({ ...BY_SECRET, ...withSubject(forged, 'access_token'), ...READ });
    if (answer.status === 200) expect(subjectOf(answer)['sub']).toBe('corp:alice');
    else expect(errorOf(answer)).toBe('401 invalid_token');
  });
});

describe('session_id', () => {
  it('X-21 never lengthens the session it names, also when the STS has forgotten it meanwhile', async () => {
    const sid = await podSID();
    const before = await sts.store().authorityRecord(ZONE_UID, sid);
    await sts.restart();
    sts.advance(600);
    expect((await sts.token({ ...BY_SECRET, ...READ, session_id: sid })).status).toBe(200);
    expect(await sts.store().authorityRecord(ZONE_UID, sid)).toEqual(before);
  });
  const own = async () => decode(mandateOf(await sts.token({ ...BY_SECRET, ...READ }))).claims['sid'] as string;
  const podSID = async () => {
    const form = {
      zone_id: 'shop.main',
      client_assertion: podToken(sts),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    };
    return decode(mandateOf(await sts.token({ ...form, ...READ }))).claims['sid'] as string;
  };

  it('may name the presented token’s own session', async () => {
    const session = await login();
    const sid = decode(session).claims['sid'] as string;
    const form = { ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ, session_id: sid };
    expect(subjectOf(await sts.token(form))['sid']).toBe(sid);
  });

  it('may name another session of the application itself', async () => {
    const sid = await podSID();
    expect(sid).not.toBe(await own());
    expect(subjectOf(await sts.token({ ...BY_SECRET, ...READ, session_id: sid }))['sid']).toBe(sid);
  });

  it('never names a user’s, another application’s, or one that does not exist', async () => {
    const user = decode(await login()).claims['sid'] as string;
    const tillForm = {
      ...BY_SECRET,
      application_id: 'shop.till',
      client_secret: TILL_SECRET,
      scope: 'agent:lifecycle',
    };
    const till = decode(mandateOf(await sts.token(tillForm))).claims['sid'] as string;
    for (const sid of [user, till, 'none', '00000000-0000-8000-8000-000000000000'])
      expect(errorOf(await sts.token({ ...BY_SECRET, ...READ, session_id: sid }))).toBe('400 invalid_request');
    const withUser = { ...BY_SECRET, ...withSubject(await login(), 'access_token'), ...READ, session_id: await own() };
    expect(errorOf(await sts.token(withUser))).toBe('400 invalid_request');
  });
});

describe('a user and a resource', () => {
  it('that no Grant names for users is denied', async () => {
    expect(errorOf(await asUser({}, { resource: LEDGER, scope: 'read' }))).toBe('403 scope_insufficient');
  });
});
