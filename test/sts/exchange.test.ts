/** What an exchange makes: mandates, denials with their reasons, lifetimes, records, and nothing at all in an outage. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMandateVerifier } from '../../src/tokens/verify.ts';
import { grant, resource, zone } from '../compiler/world.ts';
import { BANK_SECRET, LEDGER, PAYMENTS, SCOPES, SECRET, TILL_SECRET, ZONE, ZONE_UID } from './shop.ts';
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
import { decode, ISSUER } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const ask = (form: Form = {}) => sts.token({ ...BY_SECRET, ...READ, ...form });
const claimsOf = async (form: Form = {}) => decode(mandateOf(await ask(form))).claims;
const lifetime = async (form: Form = {}) => {
  const { exp, iat } = await claimsOf(form);
  return (exp as number) - (iat as number);
};

async function lastRecord() {
  const [record] = await sts.store().decisions(ZONE_UID, 1);
  return record!;
}

describe('a mandate for a resource', () => {
  it('has exactly these claims, and a verifier of the resource takes it', async () => {
    const answer = await ask();
    const { header, claims } = decode(mandateOf(answer));
    const [key] = sts.keys.get(ZONE_UID)!;
    expect(header).toEqual({ alg: 'ES256', kid: key!.kid, typ: 'at+jwt' });
    const { exp, iat, jti, sid, epoch, pol, ...rest } = claims;
    expect(rest).toEqual({
      ...{ iss: ISSUER, aud: [PAYMENTS], sub: 'shop.cart', sub_type: 'application', zone_id: ZONE },
      ...{ client_id: 'shop.cart', use: 'resource', root_sid: sid, scope: 'read', target: [PAYMENTS] },
    });
    expect([(exp as number) - (iat as number), typeof epoch, pol]).toEqual([
      300,
      'number',
      (await lastRecord()).policyDigest,
    ]);
    expect(jti).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    const verifier = createMandateVerifier({
      ...{ issuer: ISSUER, zoneID: ZONE, audience: PAYMENTS, use: 'resource' as const },
      keys: () => sts.keys.get(ZONE_UID)!,
    });
    expect(verifier.verify(mandateOf(answer), sts.seconds() * 1000).ok).toBe(true);
  });

  it('comes with the members of RFC 8693', async () => {
    const { body, headers } = await ask({ scope: 'write read' });
    const { access_token: _, ...rest } = body;
    expect(rest).toEqual({
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      ...{ token_type: 'Bearer', expires_in: 300, scope: 'write read', target_resources: [PAYMENTS] },
    });
    expect([headers['cache-control'], headers['pragma']]).toEqual(['no-store', 'no-cache']);
  });

  it('has its decision on disk before it exists', async () => {
    const claims = await claimsOf();
    const record = await sts.store().decisionByJTI(ZONE_UID, String(claims['jti']));
    expect(record).toMatchObject({ kind: 'exchange', outcome: 'permit', zoneID: ZONE, expiresAt: claims['exp'] });
    expect(record).toMatchObject({ grants: ['shop/cart-payments'], epoch: claims['epoch'] });
    expect(record?.inputs).toHaveLength(1);
  });

  it('X-31 tells nothing of upstreams or gateways', async () => {
    const { body } = await ask();
    expect(Object.keys(body).sort()).toEqual(
      ['access_token', 'expires_in', 'issued_token_type', 'scope', 'target_resources', 'token_type'].sort(),
    );
  });
});

describe('a session for agents’ lifecycle', () => {
  it('is for the STS, with that one scope', async () => {
    const answer = await sts.token({ ...BY_SECRET, scope: 'agent:lifecycle' });
    const { header, claims } = decode(mandateOf(answer));
    expect(header['typ']).toBe('caracal-session+jwt');
    expect(claims).toMatchObject({ use: 'session', aud: [ISSUER], scope: 'agent:lifecycle', sub_type: 'application' });
    expect([answer.body['target_resources'], answer.body['expires_in']]).toEqual([[], 3600]);
  });

  it('takes no notice of resources, unknown ones too', async () => {
    const answer = await sts.token({ ...BY_SECRET, scope: 'agent:lifecycle', resource: [PAYMENTS, 'resource://none'] });
    expect(decode(mandateOf(answer)).claims['aud']).toEqual([ISSUER]);
  });

  it('may live for an hour, not longer', async () => {
    const session = { resource: undefined, scope: 'agent:lifecycle' };
    expect(await lifetime({ ...session, ttl_seconds: '3600' })).toBe(3600);
    expect(errorOf(await ask({ ...session, ttl_seconds: '3601' }))).toBe('400 invalid_request');
  });
});

describe('a denial', () => {
  const cases: readonly (readonly [string, Form, string, string])[] = [
    ['of an unknown resource', { resource: 'resource://none' }, '404 resource_not_found', 'ResourceUnknown'],
    ['X-07 of a scope the resource does not declare', { scope: 'fly' }, '403 scope_insufficient', 'ScopeNotDeclared'],
    ['X-07 of every scope by a star', { scope: '*' }, '403 scope_insufficient', 'ScopeNotDeclared'],
    ['X-07 of a scope in other letters', { scope: 'READ' }, '403 scope_insufficient', 'ScopeNotDeclared'],
    ['X-07 of a scope no Grant gives', { scope: 'sealed' }, '403 scope_insufficient', 'ScopeNotGranted'],
    ['X-07 of more than is granted', { scope: 'read sealed' }, '403 scope_insufficient', 'ScopeNotGranted'],
    ['of a resource without Grant', { resource: LEDGER }, '403 scope_insufficient', 'ScopeNotGranted'],
    ['by a policy', { scope: 'transfer' }, '403 access_denied', 'PolicyDenied'],
    ['by a policy for one scope of two', { scope: 'read transfer' }, '403 access_denied', 'PolicyDenied'],
    ['of a scope that no policy allows', { scope: 'silent' }, '403 access_denied', 'PolicyNotAllowed'],
    ['by a policy that cannot be evaluated', { scope: 'broken' }, '503 policy_eval_failed', 'PolicyFailed'],
  ];
  it.each(cases)('%s names its reason and its decision', async (_, form, error, reason) => {
    const answer = await ask(form);
    expect([errorOf(answer), answer.body['reason']]).toEqual([error, reason]);
    expect(answer.body['access_token']).toBeUndefined();
    expect(String(answer.body['error_description'])).toMatch(new RegExp(`^${reason}: `));
    const record = await sts.store().decision(ZONE_UID, String(answer.body['decision_id']));
    expect(record).toMatchObject({ outcome: 'denial', denial: { reason }, error: error.split(' ')[1] });
    expect(record?.jti).toBeUndefined();
    expect(answer.headers['retry-after']).toBe(error.startsWith('503') ? '1' : undefined);
  });

  it('by a policy carries the policy’s own words', async () => {
    const { body } = await ask({ scope: 'transfer' });
    expect(body['denials']).toEqual([{ policy: 'shop', reason: 'transfers need a person' }]);
  });

  it('X-09 of an identifier that only looks the same: it is compared byte by byte', async () => {
    const alike = [
      ...[`${PAYMENTS}/`, `${PAYMENTS}:80`, 'RESOURCE://payments.shop', 'resource://PAYMENTS.shop', `${PAYMENTS}?`],
      ...['resource://payments.shop/.', 'resource://user@payments.shop', 'resource://payments%2eshop'],
    ];
    for (const identifier of alike)
      expect([identifier, errorOf(await ask({ resource: identifier }))]).toEqual([
        identifier,
        '404 resource_not_found',
      ]);
  });

  it('X-10 of another zone’s resource is that of an unknown one', async () => {
    expect(errorOf(await ask({ resource: 'resource://payments.bank' }))).toBe('404 resource_not_found');
  });

  it('of an unknown zone to a holder of a good assertion says so', async () => {
    const answer = await sts.token({ ...byAssertion(podToken(sts, { aud: [`${ISSUER}/zones/no.zone`] })), ...READ });
    expect(['401 invalid_client', '403 zone_invalid']).toContain(errorOf(answer));
    const elsewhere = await sts.token({ ...byAssertion(podToken(sts)), ...READ, zone_id: 'no.zone' });
    expect(errorOf(elsewhere)).toBe('403 zone_invalid');
  });
});

describe('the scopes of a mandate', () => {
  it('X-07 are always among those asked for and granted', async () => {
    for (let mask = 1; mask < 2 ** SCOPES.length; mask += 5) {
      const asked = SCOPES.filter((_, index) => mask & (1 << index));
      const answer = await ask({ scope: asked.join(' ') });
      const permitted = asked.every((scope) => ['read', 'write', 'brief'].includes(scope));
      expect([asked, answer.status === 200]).toEqual([asked, permitted]);
      if (permitted) expect(decode(mandateOf(answer)).claims['scope']).toBe(asked.join(' '));
    }
  });
});

describe('a lifetime', () => {
  it('is what is asked for within the zone’s, and the zone’s where more is asked', async () => {
    expect(await lifetime({ ttl_seconds: '60' })).toBe(60);
    expect(await lifetime({ ttl_seconds: '1' })).toBe(1);
    expect(await lifetime({ ttl_seconds: '900' })).toBe(300);
  });

  it('is lowered by policy', async () => {
    expect(await lifetime({ scope: 'brief' })).toBe(30);
    expect(await lifetime({ scope: 'read brief' })).toBe(30);
  });

  it('is lowered by the Resource, the Grant and the Application, whichever ends first', async () => {
    const before = sts.world();
    const [payments, ...resources] = before.resources;
    const end = (seconds: number) => new Date((sts.seconds() + seconds) * 1000).toISOString().replace(/\.\d+Z/, 'Z');
    const short = resource({ ...payments!.spec, mandate: { ttl: '90s' } } as Parameters<typeof resource>[0]);
    await sts.apply((world) => ({ ...world, resources: [short, ...resources] }));
    expect(await lifetime()).toBe(90);
    const ending = grant({ ...before.grants[0]!.spec, expiresAt: end(40) });
    await sts.apply((world) => ({ ...world, grants: [ending, ...before.grants.slice(1)] }));
    expect(await lifetime()).toBeLessThanOrEqual(40);
    const [cart, ...others] = before.applications;
    const leaving = { ...cart!, spec: { ...cart!.spec, expiresAt: end(20) } };
    await sts.apply((world) => ({ ...world, applications: [leaving, ...others] }));
    expect(await lifetime()).toBeLessThanOrEqual(20);
    await sts.apply(() => before);
    expect(await lifetime()).toBe(300);
  });

  it('X-20 with less than a second left is no lifetime', async () => {
    const before = sts.world();
    const soon = new Date((sts.seconds() + 2) * 1000).toISOString().replace(/\.\d+Z/, 'Z');
    await sts.apply((world) => ({
      ...world,
      grants: [grant({ ...before.grants[0]!.spec, expiresAt: soon }), ...before.grants.slice(1)],
    }));
    sts.advance(2);
    const answer = await ask();
    expect(answer.status).toBe(403);
    expect(['LifetimeExhausted', 'ScopeNotGranted']).toContain(answer.body['reason']);
    await sts.apply(() => before);
  });
});

describe('a change of the configuration', () => {
  it('X-19 holds for the next exchange, whose mandate has the new epoch and digest', async () => {
    const before = sts.world();
    const first = await claimsOf();
    await sts.apply((world) => ({ ...world, grants: before.grants.slice(1) }));
    expect(errorOf(await ask())).toBe('403 scope_insufficient');
    await sts.apply(() => before);
    const second = await claimsOf();
    expect(second['epoch']).toBeGreaterThan(first['epoch'] as number);
    expect(second['pol']).toBe(first['pol']);
  });

  it('that freezes the zone denies everything, with the reason, and lifting it gives everything back', async () => {
    const before = sts.world();
    const [shop, bank] = before.zones;
    const frozen = zone({ ...shop!.spec, freeze: { reason: 'incident 7' } });
    await sts.apply((world) => ({ ...world, zones: [frozen, bank!] }));
    const answer = await ask();
    expect([errorOf(answer), answer.body['reason']]).toEqual(['403 access_denied', 'ZoneFrozen']);
    expect(answer.body['error_description']).toContain('incident 7');
    const teller = { zone_id: 'bank.main', application_id: 'bank.teller', client_secret: BANK_SECRET };
    expect((await sts.token({ ...teller, resource: 'resource://payments.bank', scope: 'read' })).status).toBe(200);
    await sts.apply(() => before);
    expect((await ask()).status).toBe(200);
  });

  it('that takes the policy set away denies everything', async () => {
    const before = sts.world();
    const { policySetRef: _, ...spec } = before.zones[0]!.spec;
    const open = { ...before.zones[0]!, spec };
    await sts.apply((world) => ({ ...world, zones: [open, before.zones[1]!] }));
    const answer = await ask();
    expect([errorOf(answer), answer.body['reason']]).toEqual(['403 access_denied', 'NoActivePolicy']);
    await sts.apply(() => before);
  });

  it('that takes the zone away ends it', async () => {
    const before = sts.world();
    await sts.apply((world) => ({ ...world, zones: world.zones.slice(1) }));
    expect(errorOf(await ask())).toBe('401 access_denied');
    await sts.apply(() => before);
    expect((await ask()).status).toBe(200);
  });

  it('that takes the signing keys away stops issuing', async () => {
    const kept = sts.keys.get(ZONE_UID)!;
    sts.keys.set(ZONE_UID, []);
    expect(errorOf(await ask())).toBe('503 sts_unavailable');
    sts.keys.set(ZONE_UID, kept);
    expect((await ask()).status).toBe(200);
  });
});

describe('limits', () => {
  it('of a zone hold for the zone alone, with the time to wait', async () => {
    const before = sts.world();
    const [shop, bank] = before.zones;
    await sts.apply((world) => ({
      ...world,
      zones: [zone({ ...shop!.spec, limits: { ...shop!.spec.limits, mintsPerMinute: 6 } }), bank!],
    }));
    const answers = [];
    for (let round = 0; round < 4; round += 1) answers.push(await ask());
    const limited = answers.filter(({ status }) => status === 429);
    expect(limited.length).toBeGreaterThanOrEqual(3);
    expect(errorOf(limited[0]!)).toBe('429 rate_limited');
    expect(Number(limited[0]!.headers['retry-after'])).toBeGreaterThan(0);
    const teller = { zone_id: 'bank.main', application_id: 'bank.teller', client_secret: BANK_SECRET };
    expect((await sts.token({ ...teller, resource: 'resource://payments.bank', scope: 'read' })).status).toBe(200);
    await sts.apply(() => before);
  });

  it('X-35 of assertions that fail hold for the address, whatever headers say, and leave others alone', async () => {
    const wrong = { ...byAssertion(`${podToken(sts).slice(0, -8)}AAAAAAAA`), ...READ };
    const thousand = () =>
      Promise.all(
        Array.from({ length: 1000 }, (_, index) =>
          sts.token(wrong, {
            localAddress: '127.0.0.9',
            headers: { 'x-forwarded-for': `10.0.0.${index % 250}`, forwarded: `for=10.1.0.${index % 250}` },
          }),
        ),
      );
    const statuses = await sts.standingStill(async () => {
      const rounds = [];
      for (let round = 0; round < 6; round += 1) rounds.push(new Set((await thousand()).map(({ status }) => status)));
      return rounds.map((seen) => [...seen]);
    });
    expect(statuses.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => [401]));
    expect(statuses[5]).toContain(429);
    const others = await Promise.all(Array.from({ length: 50 }, () => ask()));
    expect(others.every(({ status }) => status === 200)).toBe(true);
  });

  it('X-13 do not count secrets: a thousand wrong ones from an address leave its good client alone', async () => {
    const wrong = { ...BY_SECRET, ...READ, client_secret: 'x'.repeat(43) };
    const answers = await Promise.all(Array.from({ length: 1000 }, () => sts.token(wrong)));
    expect(new Set(answers.map(errorOf))).toEqual(new Set(['401 access_denied']));
    expect((await ask()).status).toBe(200);
  });
});

describe('secrets and tokens', () => {
  it('X-29 are in no log line, no answer to another, no metric and no record', async () => {
    const assertion = podToken(sts);
    const mandate = mandateOf(await sts.token({ ...byAssertion(assertion), ...READ }));
    await ask({ client_secret: `${SECRET}-wrong` });
    await ask({ application_id: 'shop.till', client_secret: TILL_SECRET, scope: 'sealed' });
    const metrics = await sts.send({ path: '/metrics' });
    const records = JSON.stringify(await sts.store().decisions(ZONE_UID, 1000));
    const seen = JSON.stringify(sts.log) + metrics.text + records;
    const signatures = [assertion, mandate].map((token) => token.split('.')[2]!);
    for (const secret of [SECRET, TILL_SECRET, assertion, mandate, ...signatures]) expect(seen).not.toContain(secret);
  });
});

describe('an outage of the store', () => {
  it('X-34 that is closed answers 503 to every exchange, with no token', async () => {
    await sts.store().close();
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask()));
    for (const answer of answers) {
      expect([errorOf(answer), answer.headers['retry-after']]).toEqual(['503 sts_unavailable', '1']);
      expect(answer.body['access_token']).toBeUndefined();
    }
    await sts.restart();
    expect((await ask()).status).toBe(200);
  });
});
