/** Minted mandates, the cache of verified ones, thumbprints. */
import { createPublicKey } from 'node:crypto';
import * as fc from 'fast-check';
import { calculateJwkThumbprint, decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { generateZoneKey } from '../../src/tokens/generate.ts';
import { createLRU } from '../../src/tokens/lru.ts';
import { importSigningKey, mintMandate, UnmintableMandate } from '../../src/tokens/mint.ts';
import { thumbprint } from '../../src/tokens/thumbprint.ts';
import { createVerifiedCache } from '../../src/tokens/verifiedCache.ts';
import {
  CLAIMS,
  CONFIG,
  GOOD,
  ISSUER,
  NOW,
  RESOURCE,
  USER_CLAIMS,
  makeSigner,
  otherKey,
  problemOf,
  signingKey,
  zoneKey,
} from './signing.ts';

describe('mintMandate', () => {
  it('makes what another implementation verifies', async () => {
    const key = await importJWK({ kty: 'EC', crv: 'P-256', x: zoneKey.x, y: zoneKey.y }, 'ES256');
    const verified = await jwtVerify(GOOD, key, { issuer: ISSUER, audience: RESOURCE, currentDate: new Date(NOW) });
    expect(verified.payload).toEqual(CLAIMS);
    expect(decodeProtectedHeader(GOOD)).toEqual({ alg: 'ES256', kid: zoneKey.kid, typ: 'at+jwt' });
  });

  it('makes what our verifier accepts, for any key', () => {
    for (let round = 0; round < 20; round++) {
      const key = generateZoneKey(NOW, NOW);
      expect(problemOf(mintMandate(USER_CLAIMS, importSigningKey(key)), { keys: () => [key] })).toBe('accepted');
    }
  });

  it('never makes one longer than 4096 bytes', () => {
    const target = Array.from({ length: 40 }, (_, index) => `resource://payments/${'x'.repeat(60)}/${index}`);
    expect(() => mintMandate({ ...CLAIMS, target }, signingKey)).toThrow('longer than 4096 bytes');
  });

  it('never makes one that verifiers refuse', () => {
    const wrong = [{ exp: CLAIMS.iat + 901 }, { scope: '' }, { jti: 'x' }, { aud: [] }, { sub_type: 'user' as const }];
    for (const change of wrong)
      expect(() => mintMandate({ ...CLAIMS, ...change }, signingKey)).toThrow(UnmintableMandate);
    expect(() => mintMandate({ ...CLAIMS, nbf: 1 } as typeof CLAIMS, signingKey)).toThrow('mandates do not have');
  });

  it('leaves out what is undefined', () => {
    const { scope: _, ...claims } = CLAIMS;
    expect(problemOf(mintMandate({ ...CLAIMS, ...{ scope: undefined } } as unknown as typeof CLAIMS, signingKey))).toBe(
      'accepted',
    );
    expect(problemOf(mintMandate(claims, signingKey))).toBe('accepted');
  });
});

describe('createVerifiedCache', () => {
  it('gives back the very claims until exp', () => {
    const cache = createVerifiedCache({ maxEntries: 10 });
    cache.set(GOOD, CLAIMS, NOW);
    expect(cache.get(GOOD, NOW)).toBe(CLAIMS);
    expect(cache.get(GOOD, CLAIMS.exp * 1000 - 1)).toBe(CLAIMS);
    expect(cache.get(GOOD, CLAIMS.exp * 1000)).toBeUndefined();
    expect(cache.size()).toBe(0);
  });

  it('keeps nothing that is over or not yet good', () => {
    const cache = createVerifiedCache({ maxEntries: 10 });
    cache.set(GOOD, CLAIMS, CLAIMS.exp * 1000);
    cache.set(GOOD, CLAIMS, NOW - 60_000);
    expect(cache.size()).toBe(0);
    cache.set(GOOD, CLAIMS, NOW);
    expect(cache.get(GOOD, NOW - 60_000)).toBeUndefined();
  });

  it('J-38 knows only the very bytes', () => {
    const cache = createVerifiedCache({ maxEntries: 10 });
    cache.set(GOOD, CLAIMS, NOW);
    for (const other of [`${GOOD} `, GOOD.slice(0, -1), `${GOOD}=`, '']) expect(cache.get(other, NOW)).toBeUndefined();
  });

  it('J-38 J-39 no two verifiers and tokens share a key', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.nat(20), (issuer, audience, token, cut) => {
        const first = createVerifiedCache({ maxEntries: 2, verifier: { ...CONFIG, issuer, audience } });
        first.set(token, CLAIMS, NOW);
        const moved = audience.slice(cut) + token;
        expect(first.get(moved, NOW)).toBe(moved === token ? CLAIMS : undefined);
      }),
    );
  });

  it('is bounded, and forgets what was not used for longest', () => {
    const cache = createVerifiedCache({ maxEntries: 2 });
    cache.set('a', CLAIMS, NOW);
    cache.set('b', CLAIMS, NOW);
    cache.get('a', NOW);
    cache.set('c', CLAIMS, NOW);
    expect(['a', 'b', 'c'].map((token) => cache.get(token, NOW) !== undefined)).toEqual([true, false, true]);
  });

  it('J-08 forgets all when a key of its verifier is taken away', () => {
    let keys = [zoneKey, otherKey];
    const cache = createVerifiedCache({ maxEntries: 10, verifier: { ...CONFIG, keys: () => keys } });
    cache.set(GOOD, CLAIMS, NOW);
    keys = [...keys];
    expect(cache.get(GOOD, NOW)).toBe(CLAIMS);
    keys = [otherKey];
    expect(cache.get(GOOD, NOW)).toBeUndefined();
  });

  it('can be emptied', () => {
    const cache = createVerifiedCache({ maxEntries: 10 });
    cache.set(GOOD, CLAIMS, NOW);
    cache.clear();
    expect(cache.get(GOOD, NOW)).toBeUndefined();
  });
});

describe('createLRU', () => {
  it('never holds more than its bound', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), fc.boolean())),
        (max, steps) => {
          const lru = createLRU<string>(max);
          for (const [key, isSet] of steps) {
            if (isSet) lru.set(key, key);
            else lru.get(key);
            expect(lru.size()).toBeLessThanOrEqual(max);
            if (isSet) expect(lru.get(key)).toBe(key);
          }
        },
      ),
    );
    expect(() => createLRU(0)).toThrow('positive integer');
  });
});

describe('thumbprint', () => {
  it('is that of RFC 7638 for EC, RSA and OKP', async () => {
    for (const kind of ['ec', 'rsa', 'ed25519'] as const) {
      const { jwk } = makeSigner(kind, { kid: 'ignored', use: 'sig' });
      expect(thumbprint(jwk)).toBe(await calculateJwkThumbprint({ ...jwk }));
    }
  });

  it('is that of the example in RFC 7638 §3.1', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    expect(thumbprint({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' })).toBe(
      'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    );
  });

  it('needs a known kty and its members', () => {
    expect(() => thumbprint({ kty: 'oct' })).toThrow('kty must be EC, RSA or OKP');
    expect(() => thumbprint({ kty: 'toString' })).toThrow('kty must be EC, RSA or OKP');
    expect(() => thumbprint({ kty: 'EC', crv: 'P-256', x: 'a' })).toThrow('needs the member y');
  });

  it('of a new key belongs to a key on the curve', () => {
    const { x, y } = generateZoneKey(NOW);
    expect(createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' }).asymmetricKeyType).toBe('ec');
  });
});
