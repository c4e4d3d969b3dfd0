/** Client assertions that are altered, and credentials of one zone shown at another. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAYMENTS, ZONE } from './shop.ts';
import { byAssertion, errorOf, podToken, READ, startSTS, type Form, type TestSTS } from './service.ts';
import {
  cartKey,
  cluster,
  ISSUER,
  keyAssertionClaims,
  podOf,
  serviceAccountClaims,
  signAs,
  signToken,
  toSpecKey,
  type Claims,
} from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const exchange = (credentials: Form, extra: Form = READ) => sts.token({ ...credentials, ...extra });
const byPod = (claims: Claims = {}) => byAssertion(podToken(sts, claims));
const byKey = (claims: Claims = {}) => byAssertion(signAs(cartKey, keyAssertionClaims(sts.seconds(), claims)));

describe('an assertion under attack', () => {
  const good = () => serviceAccountClaims(sts.seconds());
  const header = { alg: 'ES256', kid: 'cluster' };
  const signed = (head: string | object, payload: string | object = good()) =>
    signToken(cluster.privateKey, head, payload);
  const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });

  const cases: readonly (readonly [string, () => string])[] = [
    ['J-01 alg none', () => `${signed({ alg: 'none', kid: 'cluster' }).split('.').slice(0, 2).join('.')}.`],
    ['J-01 alg nOnE with a signature', () => signed({ alg: 'nOnE', kid: 'cluster' })],
    ['J-01 no alg', () => signed({ kid: 'cluster' })],
    ['J-02 alg HS256', () => signed({ alg: 'HS256', kid: 'cluster' })],
    ['J-03 alg RS256 with an EC key', () => signed({ alg: 'RS256', kid: 'cluster' })],
    ['J-03 alg ES512', () => signed({ alg: 'ES512', kid: 'cluster' })],
    ['J-04 alg twice', () => signed('{"alg":"none","alg":"ES256","kid":"cluster"}')],
    ['J-05 an embedded jwk', () => signed({ ...header, jwk: rsa() })],
    ['J-05 a jku', () => signed({ ...header, jku: 'http://127.0.0.1:1/keys' })],
    ['J-05 an x5u', () => signed({ ...header, x5u: 'http://169.254.169.254/' })],
    ['J-05 an x5c', () => signed({ ...header, x5c: ['MII'] })],
    ['J-09 an unknown crit', () => signed({ ...header, crit: ['x'], x: 1 })],
    ['J-09 an empty crit', () => signed({ ...header, crit: [] })],
    ['J-10 b64 false', () => signed({ ...header, b64: false })],
    ['J-11 a zip header', () => signed({ ...header, zip: 'DEF' })],
    ['J-13 JSON serialisation', () => JSON.stringify({ payload: 'x', signatures: [] })],
    ['J-14 two parts', () => signed(header).split('.').slice(0, 2).join('.')],
    ['J-14 four parts', () => `${signed(header)}.x`],
    ['J-14 a dot before', () => `.${signed(header)}`],
    ['J-14 two tokens', () => `${signed(header)},${signed(header)}`],
    ['J-15 thousands of dots', () => '.'.repeat(16_000)],
    ['J-16 an empty signature', () => `${signed(header).split('.').slice(0, 2).join('.')}.`],
    ['J-16 a zero signature', () => `${signed(header).split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`],
    ['J-19 padding', () => `${signed(header)}=`],
    ['J-19 a space at the end', () => `${signed(header)} `],
    ['J-19 a line feed inside', () => signed(header).replace('.', '.\n')],
    ['J-21 a claim twice', () => signed(header, JSON.stringify(good()).replace('{', '{"sub":"x",'))],
    [
      'J-21 a claim twice, once escaped',
      () => signed(header, JSON.stringify(good()).replace('{', '{"s\\u0075b":"x",')),
    ],
    [
      'J-23 a __proto__ claim in place of sub',
      () =>
        signed(
          header,
          JSON.stringify({ ...good(), sub: undefined }).replace(
            '{',
            '{"__proto__":{"sub":"system:serviceaccount:shop:cart"},',
          ),
        ),
    ],
    ['J-29 the typ of a mandate', () => signed({ ...header, typ: 'caracal-session+jwt' })],
    ['J-34 more than 16 KiB', () => signed(header, { ...good(), pad: 'x'.repeat(16_384) })],
    ['J-35 a BOM', () => signed(header, `\ufeff${JSON.stringify(good())}`)],
    [
      'J-35 a payload in UTF-16',
      () => signToken(cluster.privateKey, header, Buffer.from(JSON.stringify(good()), 'utf16le')),
    ],
    ['an array as claims', () => signed(header, '[]')],
    ['no JSON at all', () => signed(header, 'x')],
  ];
  it.each(cases)('%s is refused', async (_, token) => {
    expect(errorOf(await exchange(byAssertion(token())))).toBe('401 invalid_client');
  });

  it('the same claims in good form are taken, so that each row above fails for its own reason', async () => {
    expect((await exchange(byAssertion(signed(header)))).status).toBe(200);
    expect(Object.hasOwn(Object.prototype, 'sub')).toBe(false);
  });
});

describe('two zones', () => {
  it('X-10 an assertion, a form zone and a client of different zones never make a mandate', async () => {
    const zones = ['shop.main', 'bank.main'];
    const holders = [podOf('shop', 'cart'), podOf('bank', 'teller')];
    const taken: string[] = [];
    for (const form of zones) {
      for (const audience of zones) {
        for (const [index, holder] of holders.entries()) {
          const sub = `system:serviceaccount:${holder.namespace}:${holder.serviceaccount.name}`;
          const claims = { aud: [`${ISSUER}/zones/${audience}`], sub, 'kubernetes.io': holder };
          const resource = form === 'shop.main' ? PAYMENTS : 'resource://payments.bank';
          const answer = await sts.token({ ...byPod(claims), zone_id: form, resource, scope: 'read' });
          if (answer.status === 200) taken.push(`${form} ${audience} ${zones[index]}`);
          else expect([401, 403]).toContain(answer.status);
        }
      }
    }
    expect(taken).toEqual(['shop.main shop.main shop.main', 'bank.main bank.main bank.main']);
  });

  it('never share a private key’s jti, and a key is of one application', async () => {
    const keys = [{ privateKeyJWT: { jwks: { keys: [toSpecKey(cartKey.jwk)] } } }];
    const [first, ...others] = sts.world().applications;
    const teller = others.find(({ metadata }) => metadata.name === 'teller')!;
    const twin = { ...teller, spec: { ...teller.spec, identities: [...teller.spec.identities, ...keys] } };
    const rest = others.filter((one) => one !== teller);
    await sts.apply((world) => ({ ...world, applications: [first!, ...rest, twin as typeof teller] }));
    const jti = 'one-jti-for-both-zones';
    expect((await exchange(byKey({ jti }))).status).toBe(200);
    const asTeller = byKey({ jti, iss: 'bank.teller', sub: 'bank.teller' });
    const answer = await sts.token({
      ...asTeller,
      zone_id: 'bank.main',
      resource: 'resource://payments.bank',
      scope: 'read',
    });
    expect(errorOf(answer)).toBe('401 invalid_client');
    await sts.apply((world) => ({ ...world, applications: [first!, ...others] }));
  });
});

describe.runIf(process.platform === 'linux')('a wrong secret', () => {
  it('X-28 takes as long for an unknown application or zone as for one that exists', async () => {
    const wrong = { ...READ, zone_id: ZONE, application_id: 'shop.cart', client_secret: 'x'.repeat(43) };
    const forms = [wrong, { ...wrong, application_id: 'shop.none' }, { ...wrong, zone_id: 'no.zone' }];
    const times: number[][] = forms.map(() => []);
    for (let round = 0; round < 150; round += 1) {
      for (const [index, form] of forms.entries()) {
        const started = performance.now();
        const answer = await sts.token(form, { localAddress: '127.0.0.8' });
        times[index]!.push(performance.now() - started);
        expect(errorOf(answer)).toBe('401 access_denied');
      }
    }
    const medians = times.map((list) => list.sort((a, b) => a - b)[list.length / 2]!);
    expect(Math.max(...medians) - Math.min(...medians)).toBeLessThan(5);
  });
});
