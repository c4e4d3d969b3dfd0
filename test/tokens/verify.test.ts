/** What a mandate verifier accepts, and every way in which it must not. */
import { createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateZoneKey } from '../../src/tokens/generate.ts';
import { importSigningKey, mintMandate } from '../../src/tokens/mint.ts';
import { createMandateVerifier, mandateIdentity } from '../../src/tokens/verify.ts';
import {
  CLAIMS,
  CONFIG,
  GOOD,
  HEADER,
  ISSUER,
  NOW,
  RESOURCE,
  SECONDS,
  USER_CLAIMS,
  encode,
  otherKey,
  problemOf,
  signES256,
  signObjects,
  signTexts,
  signingKey,
  zoneKey,
  zonePrivateKey,
} from './signing.ts';

const [goodHeader = '', goodPayload = '', goodSignature = ''] = GOOD.split('.');
const goodInput = `${goodHeader}.${goodPayload}`;
const withHeader = (header: object) => signObjects(header, CLAIMS);
const withClaims = (change: Readonly<Record<string, unknown>>) => signObjects(HEADER, { ...CLAIMS, ...change });
const without = (name: string) => {
  const claims: Record<string, unknown> = { ...CLAIMS };
  delete claims[name];
  return signObjects(HEADER, claims);
};
/** The payload's text with `more` put before its first member. */
const withText = (more: string) => signTexts(JSON.stringify(HEADER), `{${more},${JSON.stringify(CLAIMS).slice(1)}`);

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const toBytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const r = BigInt(`0x${Buffer.from(goodSignature, 'base64url').subarray(0, 32).toString('hex')}`);
const s = BigInt(`0x${Buffer.from(goodSignature, 'base64url').subarray(32).toString('hex')}`);
const withSignature = (bytes: Uint8Array) => `${goodInput}.${encode(bytes)}`;
const withPair = (first: bigint, second: bigint) => withSignature(Buffer.concat([toBytes(first), toBytes(second)]));

describe('a good mandate', () => {
  it('is accepted with exactly its claims', () => {
    expect(createMandateVerifier(CONFIG).verify(GOOD, NOW)).toEqual({ ok: true, claims: CLAIMS });
  });

  it('of a user carries who acts for them', () => {
    const verdict = createMandateVerifier(CONFIG).verify(mintMandate(USER_CLAIMS, signingKey), NOW);
    expect(verdict).toEqual({ ok: true, claims: USER_CLAIMS });
  });

  it('of a session is for the issuer only', () => {
    const claims = { ...CLAIMS, use: 'session' as const, aud: [ISSUER], exp: SECONDS + 3600 };
    const token = mintMandate(claims, signingKey);
    expect(problemOf(token, { use: 'session', audience: ISSUER })).toBe('accepted');
    expect(problemOf(token)).toBe('use');
  });
});

describe('signatures and algorithms', () => {
  const publicKey = createPublicKey(zonePrivateKey);
  const secrets: Readonly<Record<string, string | Buffer>> = {
    PEM: publicKey.export({ type: 'spki', format: 'pem' }),
    'PEM with whitespace around': `\n ${publicKey.export({ type: 'spki', format: 'pem' }).toString()} \n`,
    'PEM trimmed': publicKey.export({ type: 'spki', format: 'pem' }).toString().trim(),
    DER: publicKey.export({ type: 'spki', format: 'der' }),
    'JWK JSON': JSON.stringify(publicKey.export({ format: 'jwk' })),
    'raw x and y': Buffer.concat([Buffer.from(zoneKey.x, 'base64url'), Buffer.from(zoneKey.y, 'base64url')]),
    thumbprint: zoneKey.kid,
  };
  it.each(Object.entries(secrets))('J-02 HS256 keyed with our public key as %s is refused', (_, secret) => {
    for (const alg of ['HS256', 'ES256']) {
      const input = `${encode(JSON.stringify({ ...HEADER, alg }))}.${goodPayload}`;
      const token = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      expect(problemOf(token)).not.toBe('accepted');
    }
  });

  it.each([
    'none',
    'None',
    'nOnE',
    '',
    'ES384',
    'ES512',
    'ES256K',
    'RS256',
    'PS256',
    'EdDSA',
    'HS256',
    'es256',
    null,
    1,
  ])('J-01 J-03 alg %s is refused though well signed', (alg) => {
    expect(problemOf(withHeader({ ...HEADER, alg }))).toBe('header');
  });

  it('J-01 alg missing, or a signature that is empty or random, is refused', () => {
    expect(problemOf(withHeader({ kid: zoneKey.kid, typ: 'at+jwt' }))).toBe('header');
    expect(problemOf(`${goodInput}.`)).toBe('malformed');
    expect(problemOf(withSignature(Buffer.alloc(64, 7)))).toBe('signature');
    const none = `${encode(JSON.stringify({ ...HEADER, alg: 'none' }))}.${goodPayload}.`;
    expect(problemOf(none)).toBe('malformed');
  });

  const attackers: Readonly<Record<string, () => KeyObject>> = {
    ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    ES256K: () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    EdDSA: () => generateKeyPairSync('ed25519').privateKey,
  };
  it.each(Object.entries(attackers))('J-03 J-05 %s with the attacker key in jwk is refused', (alg, generate) => {
    const key = generate();
    const jwk = createPublicKey(key).export({ format: 'jwk' });
    for (const header of [
      { ...HEADER, alg, jwk },
      { ...HEADER, alg: 'ES256', jwk },
      { ...HEADER, alg },
    ]) {
      const input = `${encode(JSON.stringify(header))}.${goodPayload}`;
      const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(input), key);
      expect(problemOf(`${input}.${encode(signature)}`)).not.toBe('accepted');
    }
  });

  const signatures: Readonly<Record<string, string>> = {
    '63 bytes': withSignature(Buffer.from(goodSignature, 'base64url').subarray(0, 63)),
    '65 bytes': withSignature(Buffer.concat([Buffer.from(goodSignature, 'base64url'), Buffer.of(0)])),
    '128 bytes': withSignature(Buffer.alloc(128, 1)),
    'all zero': withSignature(Buffer.alloc(64)),
    'r = 0': withPair(0n, s),
    's = 0': withPair(r, 0n),
    'r = n': withPair(ORDER, s),
    's = n': withPair(r, ORDER),
    'r > n': withPair((1n << 256n) - 1n, s),
    's > n': withPair(r, (1n << 256n) - 1n),
    'r = s = 1': withPair(1n, 1n),
    'r and s swapped': withPair(s, r),
  };
  it.each(Object.entries(signatures))('J-16 a signature of %s is refused', (_, token) => {
    expect(problemOf(token)).toBe('signature');
  });

  it('J-17 a DER signature is refused', () => {
    const der = sign('sha256', Buffer.from(goodInput), zonePrivateKey);
    expect(der.length).toBeGreaterThan(64);
    expect(problemOf(withSignature(der))).toBe('signature');
    const longForm = Buffer.concat([Buffer.of(0x30, 0x81), der.subarray(1)]);
    expect(problemOf(withSignature(longForm))).toBe('signature');
  });

  it('J-20 the twin (r, n−s) verifies, and is the same mandate', () => {
    const twin = createMandateVerifier(CONFIG).verify(withPair(r, ORDER - s), NOW);
    expect(twin).toEqual({ ok: true, claims: CLAIMS });
    expect(twin.ok && mandateIdentity(twin.claims)).toBe(mandateIdentity(CLAIMS));
  });

  it('J-20 no token with one bit flipped is accepted', () => {
    const verifier = createMandateVerifier(CONFIG);
    const bytes = Buffer.from(GOOD);
    for (let index = 0; index < bytes.length; index++) {
      for (const bit of [0, 1, 2, 3, 4, 5, 6, 7]) {
        const altered = Buffer.from(bytes);
        altered[index] = bytes[index]! ^ (1 << bit);
        expect(verifier.verify(altered.toString('latin1'), NOW).ok).toBe(false);
      }
    }
  });

  it('J-20 no decoded header, payload or signature with one bit flipped is accepted', () => {
    const verifier = createMandateVerifier(CONFIG);
    const parts = [goodHeader, goodPayload, goodSignature];
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 2), fc.nat(), fc.nat(7), (part, at, bit) => {
        const bytes = Buffer.from(parts[part]!, 'base64url');
        bytes[at % bytes.length]! ^= 1 << bit;
        const altered = parts.map((text, index) => (index === part ? bytes.toString('base64url') : text)).join('.');
        expect(verifier.verify(altered, NOW).ok).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('headers', () => {
  const members: Readonly<Record<string, unknown>> = {
    'J-05 jku': { jku: 'http://127.0.0.1:1/' },
    'J-05 x5u': { x5u: 'http://169.254.169.254/' },
    'J-05 x5c': { x5c: ['AAAA'] },
    'J-05 x5t': { x5t: 'AAAA' },
    'J-05 jwk': { jwk: { kty: 'EC', crv: 'P-256', x: zoneKey.x, y: zoneKey.y } },
    'J-09 crit unknown': { crit: ['x'], x: 1 },
    'J-09 crit empty': { crit: [] },
    'J-09 crit twice the same': { crit: ['exp', 'exp'] },
    'J-09 crit naming a standard header': { crit: ['alg'] },
    'J-09 crit no array': { crit: 'b64' },
    'J-09 crit naming a missing header': { crit: ['nowhere'] },
    'J-10 b64 false': { b64: false },
    'J-10 b64 false with crit': { b64: false, crit: ['b64'] },
    'J-11 zip': { zip: 'DEF' },
    'J-29 cty': { cty: 'JWT' },
    'J-22 Alg': { Alg: 'none' },
    'J-23 constructor': { constructor: 1 },
  };
  it.each(Object.entries(members))('%s in the header is refused', (_, member) => {
    expect(problemOf(withHeader({ ...HEADER, ...(member as object) }))).toBe('header');
  });

  it('a missing kid or typ is refused', () => {
    expect(problemOf(withHeader({ alg: 'ES256', typ: 'at+jwt' }))).toBe('header');
    expect(problemOf(withHeader({ alg: 'ES256', kid: zoneKey.kid }))).toBe('header');
    expect(problemOf(withHeader({ alg: 'ES256', kid: [zoneKey.kid], typ: 'at+jwt' }))).toBe('header');
    expect(problemOf(withHeader({ alg: 'ES256', typ: 'at+jwt', x: 1 }))).toBe('header');
  });

  it.each(['JWT', 'AT+JWT', 'application/at+jwt', 'caracal-session+jwt', 'caracal-gateway+jwt', 'at+jwt ', ''])(
    'J-29 typ "%s" is refused',
    (typ) => {
      expect(problemOf(withHeader({ ...HEADER, typ }))).toBe('use');
    },
  );

  it('J-21 kid twice is refused, also by Unicode escape', () => {
    const { kid } = HEADER;
    expect(
      problemOf(signTexts(`{"alg":"ES256","kid":"x","kid":"${kid}","typ":"at+jwt"}`, JSON.stringify(CLAIMS))),
    ).toBe('malformed');
    expect(
      problemOf(signTexts(`{"alg":"ES256","k\\u0069d":"x","kid":"${kid}","typ":"at+jwt"}`, JSON.stringify(CLAIMS))),
    ).toBe('malformed');
  });
});

describe('keys', () => {
  it('J-07 a key of another zone is unknown, and under the same kid does not verify', () => {
    const token = mintMandate(CLAIMS, importSigningKey(otherKey));
    expect(problemOf(token)).toBe('unknown_key');
    expect(problemOf(token, { keys: () => [{ kid: otherKey.kid, x: zoneKey.x, y: zoneKey.y }] })).toBe('signature');
  });

  it('J-08 a retired key is good while it is published and not after', () => {
    let keys = [zoneKey, otherKey];
    const verifier = createMandateVerifier({ ...CONFIG, keys: () => keys });
    expect(verifier.verify(GOOD, NOW).ok).toBe(true);
    keys = [otherKey];
    expect(verifier.verify(GOOD, NOW)).toMatchObject({ problem: 'unknown_key' });
    keys = [otherKey, zoneKey];
    expect(verifier.verify(GOOD, NOW).ok).toBe(true);
  });

  it('another key under the same kid takes effect at once', () => {
    let keys = [{ kid: zoneKey.kid, x: zoneKey.x, y: zoneKey.y }];
    const verifier = createMandateVerifier({ ...CONFIG, keys: () => keys });
    expect(verifier.verify(GOOD, NOW).ok).toBe(true);
    keys = [{ kid: zoneKey.kid, x: otherKey.x, y: otherKey.y }];
    expect(verifier.verify(GOOD, NOW)).toMatchObject({ problem: 'signature' });
  });

  it('two keys under one kid make that kid unknown until one is gone', () => {
    const imposter = { kid: zoneKey.kid, x: otherKey.x, y: otherKey.y };
    let keys = [zoneKey, imposter];
    const verifier = createMandateVerifier({ ...CONFIG, keys: () => keys });
    expect(verifier.verify(GOOD, NOW)).toMatchObject({ problem: 'unknown_key' });
    keys = [zoneKey];
    expect(verifier.verify(GOOD, NOW).ok).toBe(true);
  });

  it('J-40 a key that cannot be imported refuses and throws nothing', () => {
    const broken = [
      { kid: zoneKey.kid, x: 'AAAA', y: 'AAAA' },
      { kid: zoneKey.kid, x: zoneKey.x, y: zoneKey.x },
    ];
    for (const key of broken) expect(problemOf(GOOD, { keys: () => [key] })).toBe('unknown_key');
    expect(problemOf(GOOD, { keys: () => [] })).toBe('unknown_key');
  });

  it('J-23 a kid such as __proto__ finds nothing', () => {
    for (const kid of ['__proto__', 'constructor', 'toString', '']) {
      expect(problemOf(withHeader({ ...HEADER, kid }))).toBe('unknown_key');
    }
  });
});

describe('claims', () => {
  it.each([
    'iss',
    'aud',
    'exp',
    'iat',
    'jti',
    'sub',
    'sub_type',
    'zone_id',
    'client_id',
    'use',
    'sid',
    'root_sid',
    'pol',
    'epoch',
  ])('%s is required', (name) => {
    expect(problemOf(without(name))).toBe('claims');
    expect(problemOf(withClaims({ [name]: null }))).toBe('claims');
  });

  it('scope and target may be absent, not empty', () => {
    expect(problemOf(without('scope'))).toBe('accepted');
    expect(problemOf(without('target'))).toBe('accepted');
    for (const scope of ['', ' ', 'a  b', ' a', 'a ', 'a\tb', 'a"b', 'a\\b', 'ä', ['a']]) {
      expect(problemOf(withClaims({ scope }))).toBe('claims');
    }
    expect(problemOf(withClaims({ target: [] }))).toBe('claims');
  });

  it.each(['sub', 'aud', 'scope', 'zone_id', 'exp', 'use', 'act', 'jti'])('J-21 %s twice is refused', (name) => {
    const value = JSON.stringify((USER_CLAIMS as unknown as Record<string, unknown>)[name]);
    const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`;
    const body = JSON.stringify(USER_CLAIMS).slice(1);
    for (const first of [name, escaped]) {
      expect(problemOf(signTexts(JSON.stringify(HEADER), `{"${first}":${value},${body}`))).toBe('malformed');
    }
  });

  const names = [
    'Scope',
    'AUD',
    'aud ',
    'scope\u200d',
    'sub\0',
    'nbf',
    'azp',
    'cnf',
    'once',
    'admin',
    'toString',
    'constructor',
    'hasOwnProperty',
  ];
  it.each(names)('J-22 J-23 an unknown claim %j is refused', (name) => {
    expect(problemOf(withClaims({ [name]: 1 }))).toBe('claims');
  });

  it('J-23 __proto__ is refused at any depth, and nothing gains a property', () => {
    expect(problemOf(withText('"__proto__":{"admin":true}'))).toBe('malformed');
    expect(problemOf(withText('"act":{"__proto__":{"sub":"x"}}'))).toBe('malformed');
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('J-25 exp at or before iat, or too far after it, is refused', () => {
    expect(problemOf(withClaims({ exp: SECONDS }))).toBe('claims');
    expect(problemOf(withClaims({ exp: SECONDS - 1 }))).toBe('claims');
    expect(problemOf(withClaims({ exp: SECONDS + 900 }))).toBe('accepted');
    expect(problemOf(withClaims({ exp: SECONDS + 901 }))).toBe('claims');
    const session = { ...CLAIMS, use: 'session', aud: [ISSUER], exp: SECONDS + 3601 };
    const token = signObjects({ ...HEADER, typ: 'caracal-session+jwt' }, session);
    expect(problemOf(token, { use: 'session', audience: ISSUER })).toBe('claims');
  });

  it('J-25 iat beyond now and skew is not yet good', () => {
    expect(problemOf(GOOD, {}, NOW - 5000)).toBe('accepted');
    expect(problemOf(GOOD, {}, NOW - 5001)).toBe('not_yet');
  });

  it('J-26 it is accepted exactly from iat − skew until before exp + skew', () => {
    const expiry = CLAIMS.exp * 1000;
    const accepted = [-1000, 0, 4999].map((offset) => problemOf(GOOD, {}, expiry + offset));
    expect(accepted).toEqual(['accepted', 'accepted', 'accepted']);
    expect([5000, 6000, 600_000].map((offset) => problemOf(GOOD, {}, expiry + offset))).toEqual([
      'expired',
      'expired',
      'expired',
    ]);
    expect(problemOf(GOOD, {}, NaN)).toBe('expired');
  });

  it.each([1.5, -1, '1800000300', 1e21, null, [1_800_000_300], true])('an exp of %j is refused', (exp) => {
    expect(problemOf(withClaims({ exp }))).toBe('claims');
  });

  it.each([`${ISSUER}/`, 'https://STS.example', `${ISSUER}.evil`, 'https://sts', 'http://sts.example'])(
    'J-27 iss %s is refused',
    (iss) => {
      expect(problemOf(withClaims({ iss }))).toBe('issuer');
    },
  );

  it('J-27 an array holding the right iss is refused', () => {
    expect(problemOf(withClaims({ iss: [ISSUER] }))).toBe('claims');
  });

  const audiences: readonly (readonly [unknown, string])[] = [
    [RESOURCE, 'claims'],
    [[], 'claims'],
    [[''], 'claims'],
    [[[RESOURCE]], 'claims'],
    [[RESOURCE, 'resource://other'], 'audience'],
    [[RESOURCE, RESOURCE], 'audience'],
    [['resource://other'], 'audience'],
    [[`${RESOURCE}/v2`], 'audience'],
    [[RESOURCE.slice(0, -1)], 'audience'],
    [[ISSUER], 'audience'],
  ];
  it.each(audiences)('J-28 aud %j is refused', (aud, problem) => {
    expect(problemOf(withClaims({ aud }))).toBe(problem);
  });

  it.each(['issuer', 'zoneID', 'audience', 'use'])('J-28 a verifier without %s does not start', (name) => {
    expect(() => createMandateVerifier({ ...CONFIG, [name]: '' })).toThrow(`needs ${name}`);
  });

  it('J-07 J-28 the same resource name in another zone is refused', () => {
    expect(problemOf(withClaims({ zone_id: 'payments.dev' }))).toBe('zone');
    expect(problemOf(GOOD, { zoneID: 'payments.dev' })).toBe('zone');
  });

  it('J-29 a mandate of another use is refused by claim and by typ', () => {
    expect(problemOf(withClaims({ use: 'session' }))).toBe('use');
    expect(problemOf(withClaims({ use: 'gateway' }))).toBe('use');
    expect(problemOf(withClaims({ use: 'any' }))).toBe('claims');
    expect(problemOf(GOOD, { use: 'session' })).toBe('use');
    expect(problemOf(signObjects({ ...HEADER, typ: 'caracal-session+jwt' }, CLAIMS), { use: 'session' })).toBe('use');
  });

  it('J-37 a jti that is no UUIDv7 in lower case is refused', () => {
    for (const jti of [
      CLAIMS.jti.slice(0, -1),
      CLAIMS.jti.toUpperCase(),
      '0193a5f0-0000-4000-8000-000000000001',
      `${CLAIMS.jti}\n`,
      '',
    ]) {
      expect(problemOf(withClaims({ jti }))).toBe('claims');
    }
  });

  const subjects: Readonly<Record<string, object>> = {
    'a user without sub_iss': { sub_type: 'user', sub: 'corp:alice', sub_id: 'alice' },
    'a user without sub_id': { sub_type: 'user', sub: 'corp:alice', sub_iss: 'corp' },
    'a user whose sub is another': { sub_type: 'user', sub: 'corp:bob', sub_iss: 'corp', sub_id: 'alice' },
    'an application with sub_id': { sub_id: 'alice' },
    'act where the application acts for itself': { act: { sub: 'payments.agent' } },
    'act of another application': { ...USER_CLAIMS, act: { sub: 'payments.other' } },
    'act of two levels': { ...USER_CLAIMS, act: { sub: 'payments.agent', act: { sub: 'x' } } },
    'act without sub': { ...USER_CLAIMS, act: {} },
    'a sub with a line break': { sub: 'a\nb' },
  };
  it.each(Object.entries(subjects))('%s is refused', (_, change) => {
    expect(problemOf(withClaims(change as Record<string, unknown>))).toBe('claims');
  });
});

describe('the verifier', () => {
  it('checks what is cheap first: without a key that can verify, the claims are judged', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = (claims: object) => {
      const input = `${goodHeader}.${encode(JSON.stringify(claims))}`;
      return `${input}.${encode(signES256(input, privateKey))}`;
    };
    expect(problemOf(forged({ ...CLAIMS, zone_id: 'x.y' }))).toBe('zone');
    expect(problemOf(forged({ ...CLAIMS, aud: ['x'] }))).toBe('audience');
    expect(problemOf(forged({ ...CLAIMS, iat: SECONDS - 900, exp: SECONDS - 600 }))).toBe('expired');
    expect(problemOf(forged(CLAIMS))).toBe('signature');
  });

  it('J-34 takes 8,192 bytes at most', () => {
    expect(problemOf(GOOD.padEnd(8193, 'A'))).toBe('malformed');
  });

  it('J-40 never throws and never accepts what was not signed, whatever the claims', () => {
    const verifier = createMandateVerifier(CONFIG);
    const value = fc.jsonValue({ maxDepth: 3 });
    const name = fc.constantFrom(...Object.keys(USER_CLAIMS));
    fc.assert(
      fc.property(name, value, (claim, altered) => {
        const claims = { ...CLAIMS, [claim]: altered };
        const input = `${goodHeader}.${encode(JSON.stringify(claims))}`;
        const verdict = verifier.verify(`${input}.${goodSignature}`, NOW);
        const isTheSame = JSON.stringify(claims) === JSON.stringify(CLAIMS);
        expect(verdict.ok).toBe(isTheSame);
      }),
      { numRuns: 2000 },
    );
  });

  it('says nothing of the token in its messages', () => {
    const secret = 'zz-secret-zz';
    for (const token of [
      withClaims({ iss: secret }),
      withClaims({ [secret]: secret }),
      withHeader({ ...HEADER, kid: secret }),
      secret,
    ]) {
      const verdict = createMandateVerifier(CONFIG).verify(token, NOW);
      expect(JSON.stringify(verdict)).not.toContain(secret);
    }
  });
});

describe('keys of zones', () => {
  it('are named by their thumbprint', () => {
    const key = generateZoneKey(NOW);
    expect(key).toMatchObject({ createdAt: NOW, activeAt: undefined });
    expect(key.kid).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});
