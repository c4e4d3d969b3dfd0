/** Tokens of other issuers, of every accepted algorithm, and what must not pass. */
import { constants, createHmac, createPublicKey, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { verifyForeignToken, type ForeignExpectations } from '../../src/tokens/foreign.ts';
import { GOOD, NOW, SECONDS, encode, makeSigner, zoneKey, type ForeignSigner } from './signing.ts';

const IDP = 'https://idp.example';
const rsa = makeSigner('rsa', { kid: 'rsa' });
const ec = makeSigner('ec', { kid: 'ec' });
const ed = makeSigner('ed25519', { kid: 'ed' });
const KEYS = [rsa.jwk, ec.jwk, ed.jwk];
const CLAIMS = {
  iss: IDP,
  aud: 'caracal',
  sub: 'alice',
  exp: SECONDS + 300,
  iat: SECONDS,
  name: 'unknown claims are ignored',
};
const EXPECTED: ForeignExpectations = { keys: KEYS, issuer: IDP, audiences: ['caracal'], nowMs: NOW };

const SIGN: Readonly<Record<string, (input: Buffer, signer: ForeignSigner) => Uint8Array>> = {
  RS256: (input, { privateKey: key }) => sign('sha256', input, { key, padding: constants.RSA_PKCS1_PADDING }),
  PS256: (input, { privateKey: key }) =>
    sign('sha256', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  ES256: (input, { privateKey: key }) => sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' }),
  EdDSA: (input, { privateKey: key }) => sign(null, input, key),
  Ed25519: (input, { privateKey: key }) => sign(null, input, key),
};

function token(
  header: Readonly<Record<string, unknown>>,
  claims: object,
  signer: ForeignSigner,
  by = header['alg'] as string,
): string {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`;
  return `${input}.${encode(SIGN[by]!(Buffer.from(input), signer))}`;
}
const es256 = (claims: object = {}, header: object = {}) =>
  token({ alg: 'ES256', kid: 'ec', ...header }, { ...CLAIMS, ...claims }, ec, 'ES256');
function problemOf(text: string, expected: Partial<ForeignExpectations> = {}): string {
  const verdict = verifyForeignToken(text, { ...EXPECTED, ...expected });
  return verdict.ok ? 'accepted' : verdict.problem;
}

describe('a token that was good before', () => {
  const seen = es256({ sub: 'seen' });

  it.each([
    ['the time', { nowMs: NOW + 600_000 }, 'expired'],
    ['the issuer', { issuer: 'https://other.example' }, 'issuer'],
    ['the audience', { audiences: ['other'] }, 'audience'],
    ['the keys', { keys: [rsa.jwk, ed.jwk] }, 'unknown_key'],
    ['another key under its kid', { keys: [makeSigner('ec', { kid: 'ec' }).jwk] }, 'signature'],
    ['its size', { maxBytes: seen.length - 1 }, 'malformed'],
  ] as const)('is judged again by %s', (_what, expected, problem) => {
    expect(problemOf(seen)).toBe('accepted');
    expect(problemOf(seen, expected)).toBe(problem);
    expect(problemOf(seen)).toBe('accepted');
  });

  it('says the same, and what it says cannot be changed', () => {
    const [first, second] = [verifyForeignToken(seen, EXPECTED), verifyForeignToken(seen, EXPECTED)];
    expect(second).toEqual(first);
    expect(second.ok && Object.isFrozen(second.claims) && Object.isFrozen(second.header)).toBe(true);
  });
});

describe('a good token of another issuer', () => {
  it.each([
    ['RS256', rsa],
    ['PS256', rsa],
    ['ES256', ec],
    ['EdDSA', ed],
    ['Ed25519', ed],
  ] as const)('signed with %s is accepted, unknown claims and all', (alg, signer) => {
    const header = { alg, kid: signer.jwk.kid, typ: 'JWT' };
    const verdict = verifyForeignToken(token(header, CLAIMS, signer), EXPECTED);
    expect(verdict).toEqual({ ok: true, header, claims: CLAIMS, key: signer.jwk });
  });

  it('made by jose is accepted', async () => {
    const made = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'PS256', kid: 'rsa' }).sign(rsa.privateKey);
    expect(problemOf(made)).toBe('accepted');
  });

  it('needs no typ and no kid when one key suits', () => {
    expect(problemOf(token({ alg: 'ES256' }, CLAIMS, ec))).toBe('accepted');
    expect(
      problemOf(token({ alg: 'ES256', kid: 'any' }, CLAIMS, ec), { keys: [{ ...ec.jwk, kid: undefined } as never] }),
    ).toBe('accepted');
  });
});

describe('the key pins the algorithm', () => {
  it('its own alg is the only one it verifies', () => {
    const pinned = { ...rsa.jwk, alg: 'PS256' };
    expect(problemOf(token({ alg: 'PS256', kid: 'rsa' }, CLAIMS, rsa), { keys: [pinned] })).toBe('accepted');
    expect(problemOf(token({ alg: 'RS256', kid: 'rsa' }, CLAIMS, rsa), { keys: [pinned] })).toBe('unknown_key');
  });

  it('J-03 a token of another algorithm than its key is refused', () => {
    expect(problemOf(token({ alg: 'RS256', kid: 'ec' }, CLAIMS, rsa))).toBe('unknown_key');
    expect(problemOf(token({ alg: 'RS256', kid: 'rsa' }, CLAIMS, rsa, 'PS256'))).toBe('signature');
    expect(problemOf(token({ alg: 'PS256', kid: 'rsa' }, CLAIMS, rsa, 'RS256'))).toBe('signature');
  });

  it('PS256 takes a salt of 32 bytes only', () => {
    const input = `${encode('{"alg":"PS256","kid":"rsa"}')}.${encode(JSON.stringify(CLAIMS))}`;
    const options = { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 20 };
    expect(problemOf(`${input}.${encode(sign('sha256', Buffer.from(input), options))}`)).toBe('signature');
  });

  it('a weak RSA key verifies nothing', () => {
    const weak = makeSigner('weakRSA', { kid: 'weak' });
    expect(problemOf(token({ alg: 'RS256', kid: 'weak' }, CLAIMS, weak), { keys: [weak.jwk] })).toBe('weak_key');
  });

  it('J-40 a broken key verifies nothing and throws nothing', () => {
    for (const broken of [{ x: 'AAAA' }, { y: undefined }, { x: ec.jwk.y }]) {
      expect(problemOf(es256(), { keys: [{ ...ec.jwk, ...broken } as never] })).toBe('weak_key');
    }
  });

  it('a key for encryption verifies nothing', () => {
    expect(problemOf(es256(), { keys: [{ ...ec.jwk, use: 'enc' }] })).toBe('unknown_key');
  });

  it('J-01 J-02 none and HMAC are refused', () => {
    const pem = createPublicKey(rsa.privateKey).export({ type: 'spki', format: 'pem' });
    for (const alg of ['none', 'None', '', 'HS256', undefined, 'ES384', 'RS512', 'es256']) {
      const input = `${encode(JSON.stringify({ alg, kid: 'rsa' }))}.${encode(JSON.stringify(CLAIMS))}`;
      expect(problemOf(`${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`)).toBe('algorithm');
    }
  });
});

describe('choosing the key', () => {
  it('an unknown kid is told apart, so that keys may be fetched once more', () => {
    expect(problemOf(es256({}, { kid: 'new' }))).toBe('unknown_key');
    expect(problemOf(es256(), { keys: [] })).toBe('unknown_key');
  });

  it('without kid several suitable keys are ambiguous', () => {
    const second = makeSigner('ec', { kid: 'ec2' });
    expect(problemOf(token({ alg: 'ES256' }, CLAIMS, ec), { keys: [ec.jwk, second.jwk] })).toBe('ambiguous_key');
    expect(problemOf(es256(), { keys: [ec.jwk, { ...second.jwk, kid: 'ec' }] })).toBe('ambiguous_key');
  });

  it('J-07 a key under the same kid of another issuer does not verify', () => {
    const imposter = makeSigner('ec', { kid: 'ec' });
    expect(problemOf(es256(), { keys: [imposter.jwk] })).toBe('signature');
  });

  it('J-05 keys that the token brings are refused', () => {
    for (const member of [{ jwk: ec.jwk }, { jku: 'http://127.0.0.1/' }, { x5u: 'http://[::1]/' }, { x5c: ['AAAA'] }]) {
      expect(problemOf(es256({}, member))).toBe('header');
    }
  });
});

describe('headers of other issuers', () => {
  it.each([
    ['J-09', { crit: [] }],
    ['J-09', { crit: ['exp'] }],
    ['J-10', { b64: false }],
    ['J-10', { b64: true }],
    ['J-11', { zip: 'DEF' }],
    ['J-22', { kid: 1 }],
    ['J-29', { typ: 1 }],
    ['J-29', { typ: 'caracal-session+jwt' }],
    ['J-29', { typ: 'application/logout+jwt' }],
    ['J-29', { typ: 'DPoP+jwt' }],
  ] as const)('%s %j is refused', (_, member) => {
    expect(problemOf(es256({}, member))).toBe('header');
  });

  it('J-29 a mandate is no token of another issuer', () => {
    const key = { kty: 'EC', crv: 'P-256', kid: zoneKey.kid, x: zoneKey.x, y: zoneKey.y };
    expect(problemOf(GOOD, { keys: [key] })).toBe('issuer');
  });
});

describe('claims of other issuers', () => {
  it.each([`${IDP}/`, 'https://IDP.example', [IDP], `${IDP}.evil`, null, ''])('J-27 iss %j is refused', (iss) => {
    expect(problemOf(es256({ iss }))).toBe('issuer');
  });

  it('J-27 an issuer that is not configured matches nothing', () => {
    expect(problemOf(es256({ iss: '' }), { issuer: '' })).toBe('issuer');
  });

  it('J-28 aud is a text or an array that holds one of ours', () => {
    expect(problemOf(es256({ aud: ['x', 'caracal'] }))).toBe('accepted');
    expect(problemOf(es256({ aud: 'second' }), { audiences: ['first', 'second'] })).toBe('accepted');
    for (const aud of [
      undefined,
      '',
      [],
      ['x'],
      'caracal2',
      'caraca',
      [['caracal']],
      ['caracal', 1],
      { caracal: 1 },
      null,
    ]) {
      expect(problemOf(es256({ aud }))).toBe('audience');
    }
  });

  it('J-28 without a configured audience nothing is accepted', () => {
    expect(problemOf(es256(), { audiences: [] })).toBe('audience');
    expect(problemOf(es256({ aud: '' }), { audiences: [''] })).toBe('audience');
  });

  it('J-28 an exact audience is nothing but that one', () => {
    expect(problemOf(es256({ aud: 'caracal' }), { exactAudience: true })).toBe('accepted');
    expect(problemOf(es256({ aud: ['caracal'] }), { exactAudience: true })).toBe('accepted');
    for (const aud of [
      ['caracal', 'https://kubernetes.default.svc'],
      ['caracal', 'caracal'],
    ]) {
      expect(problemOf(es256({ aud }), { exactAudience: true })).toBe('audience');
    }
  });

  it.each([undefined, null, '1800000300', -1, [SECONDS + 300], {}])('exp %j is refused', (exp) => {
    expect(problemOf(es256({ exp }))).toBe('claims');
  });

  it('an exp beyond all dates is refused', () => {
    expect(problemOf(es256({ exp: 1e300 }))).toBe('claims');
  });

  it('J-26 it is good exactly from nbf − skew until before exp + skew', () => {
    const claims = es256({ nbf: SECONDS + 100, iat: SECONDS + 50 });
    const at = (seconds: number) => problemOf(claims, { nowMs: (SECONDS + seconds) * 1000 });
    expect([94.999, 95, 299, 304.999, 305].map(at)).toEqual(['not_yet', 'accepted', 'accepted', 'accepted', 'expired']);
  });

  it('J-25 iat in the future is not yet good, and nbf or iat of another type is refused', () => {
    expect(problemOf(es256({ iat: SECONDS + 6 }))).toBe('not_yet');
    expect(problemOf(es256({ iat: '1' }))).toBe('claims');
    expect(problemOf(es256({ nbf: null }))).toBe('claims');
    expect(problemOf(es256({ iat: undefined }))).toBe('accepted');
  });

  it('a largest age requires iat and bounds it', () => {
    const aged = (seconds: number) => problemOf(es256({ iat: SECONDS - seconds }), { maxAgeSeconds: 300 });
    expect([0, 300, 304, 305, 3600].map(aged)).toEqual(['accepted', 'accepted', 'accepted', 'too_old', 'too_old']);
    expect(problemOf(es256({ iat: undefined }), { maxAgeSeconds: 300 })).toBe('claims');
  });
});

describe('bytes of other issuers', () => {
  it('J-15 J-34 a token beyond the limit is refused before anything else', () => {
    expect(problemOf('.'.repeat(5_000_000))).toBe('malformed');
    expect(problemOf(es256({ groups: 'x'.repeat(20_000) }))).toBe('malformed');
    expect(problemOf(es256({ groups: 'x'.repeat(20_000) }), { maxBytes: 40_000 })).toBe('accepted');
    expect(problemOf(es256(), { maxBytes: 100 })).toBe('malformed');
  });

  it('J-16 J-17 signatures of another form are refused', () => {
    const input = es256().split('.').slice(0, 2).join('.');
    const der = sign('sha256', Buffer.from(input), ec.privateKey);
    for (const bytes of [der, Buffer.alloc(64), Buffer.alloc(63, 1), Buffer.alloc(65, 1)]) {
      expect(problemOf(`${input}.${encode(bytes)}`)).toBe('signature');
    }
  });

  it('J-20 no token with one bit flipped is accepted', () => {
    const tokens = [
      es256(),
      token({ alg: 'RS256', kid: 'rsa' }, CLAIMS, rsa),
      token({ alg: 'EdDSA', kid: 'ed' }, CLAIMS, ed),
    ];
    fc.assert(
      fc.property(fc.constantFrom(...tokens), fc.nat(), fc.nat(7), (good, at, bit) => {
        const bytes = Buffer.from(good);
        bytes[at % bytes.length]! ^= 1 << bit;
        expect(problemOf(bytes.toString('latin1'))).not.toBe('accepted');
      }),
      { numRuns: 2000 },
    );
  });

  it('J-21 J-23 members twice and __proto__ are refused', () => {
    for (const more of ['"sub":"a"', '"s\\u0075b":"a"', '"__proto__":{}', '"x":{"a":1,"a":2}']) {
      const input = `${encode('{"alg":"ES256","kid":"ec"}')}.${encode(`{${more},${JSON.stringify(CLAIMS).slice(1)}`)}`;
      expect(problemOf(`${input}.${encode(SIGN['ES256']!(Buffer.from(input), ec))}`)).toBe('malformed');
    }
  });

  it('never throws, and its messages say nothing of the token', () => {
    const secret = 'zz-secret-zz';
    const altered = [
      es256({ iss: secret }),
      es256({ aud: secret }),
      es256({}, { kid: secret }),
      es256({}, { alg: secret }),
      `${secret}.a.b`,
    ];
    for (const text of altered) expect(JSON.stringify(verifyForeignToken(text, EXPECTED))).not.toContain(secret);
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'x'), fc.jsonValue()),
        fc.dictionary(fc.constantFrom('iss', 'aud', 'exp', 'iat', 'nbf'), fc.jsonValue()),
        (header, claims) => {
          const text = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}.AAAA`;
          expect(verifyForeignToken(text, EXPECTED).ok).toBe(false);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('a token that was accepted before', () => {
  it('is judged anew in everything but its signature', () => {
    const text = es256();
    expect(problemOf(text)).toBe('accepted');
    expect(problemOf(text)).toBe('accepted');
    expect(problemOf(text, { nowMs: NOW + 3_600_000 })).toBe('expired');
    expect(problemOf(text, { audiences: ['other'] })).toBe('audience');
    expect(problemOf(text, { issuer: 'https://other.example' })).toBe('issuer');
    expect(problemOf(text, { keys: [{ ...makeSigner('ec', { kid: 'ec' }).jwk }] })).toBe('signature');
    expect(problemOf(`${text.slice(0, -10)}${encode('another')}`)).not.toBe('accepted');
  });
});
