/** Proof of possession (RFC 9449): which proofs are taken, once each, with a nonce of this instance. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { generateKeyPair, exportJWK, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { createDPoPVerifier, type DPoPExpectation } from '../../src/tokens/dpop.ts';
import { createMovableClock } from '../gateway/world.ts';
import { athOf, makeProof, newProofKey, proofClaims, proofHeader, signProof, type ProofRequest } from './dpop.ts';
import { encode } from './signing.ts';

const URL = 'https://orders.example/orders/1';
const TOKEN = 'a.b.c';
const key = newProofKey();
const EXPECTED: DPoPExpectation = { method: 'POST', urls: [URL], accessToken: TOKEN, jkt: key.jkt };

function startVerifier(maxProofs?: number) {
  const clock = createMovableClock();
  const verifier = createDPoPVerifier({ clock, randomBytes }, maxProofs);
  const request = (): ProofRequest => ({
    ...{ method: 'POST', url: URL, nonce: verifier.nonce(), accessToken: TOKEN, now: clock.now() },
  });
  const verify = (proof: string, expected: Partial<DPoPExpectation> = {}) => {
    const verdict = verifier.verify(proof, { ...EXPECTED, ...expected });
    return verdict.ok ? 'accepted' : verdict.problem;
  };
  const claims = (change: object = {}) => ({ ...proofClaims(request()), ...change });
  const withClaims = (change: object) => verify(signProof(proofHeader(key), claims(change), key));
  const withHeader = (change: object) => verify(signProof({ ...proofHeader(key), ...change }, claims(), key));
  return { clock, verifier, request, verify, claims, withClaims, withHeader };
}

describe('a proof', () => {
  it('is taken once', () => {
    const { request, verify } = startVerifier();
    const proof = makeProof(request(), key);
    expect([verify(proof), verify(proof)]).toEqual(['accepted', 'replayed']);
    expect(verify(makeProof(request(), key))).toBe('accepted');
  });

  it('is taken once for each key and jti, whatever else it says', () => {
    const { withClaims, verify, claims } = startVerifier();
    expect([withClaims({ jti: 'one' }), withClaims({ jti: 'one' })]).toEqual(['accepted', 'replayed']);
    const other = newProofKey();
    const proof = signProof(proofHeader(other), claims({ jti: 'one' }), other);
    expect(verify(proof, { jkt: other.jkt })).toBe('accepted');
  });

  it('of another implementation is taken', async () => {
    const { request, verify, verifier } = startVerifier();
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const { ath, htm, htu, nonce, jti } = proofClaims(request());
    const proof = await new SignJWT({ ath, htm, htu, nonce })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: await exportJWK(publicKey) })
      .setIssuedAt()
      .setJti(jti)
      .sign(privateKey);
    expect(verify(proof)).toBe('key');
    const { jkt: _jkt, ...unbound } = EXPECTED;
    const verdict = verifier.verify(proof, unbound);
    expect(verdict).toEqual({ ok: true, jkt: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) as string });
  });

  it('at a token endpoint needs no access token', () => {
    const { verifier, claims } = startVerifier();
    const proof = signProof(proofHeader(key), claims({ ath: undefined }), key);
    expect(verifier.verify(proof, { method: 'POST', urls: [URL] })).toEqual({ ok: true, jkt: key.jkt });
  });

  const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const HEADERS: Readonly<Record<string, object>> = {
    'another typ': { typ: 'JWT' },
    'the typ of a mandate': { typ: 'at+jwt' },
    'typ in another case': { typ: 'DPoP+JWT' },
    'no typ': { typ: undefined },
    'alg none': { alg: 'none' },
    'a symmetric alg': { alg: 'HS256' },
    'alg ES384': { alg: 'ES384' },
    'a kid': { kid: 'x' },
    crit: { crit: ['exp'] },
    jku: { jku: 'https://evil.example' },
    'no jwk': { jwk: undefined },
    'a jwk in text': { jwk: JSON.stringify(key.jwk) },
    'a private jwk': { jwk: key.privateKey.export({ format: 'jwk' }) },
    'a jwk with d': { jwk: { ...key.jwk, d: 'AA' } },
    'a jwk with more': { jwk: { ...key.jwk, use: 'sig' } },
    'a jwk without y': { jwk: { ...key.jwk, y: undefined } },
    'a padded jwk': { jwk: { ...key.jwk, x: `${key.jwk.x}=` } },
    'a symmetric jwk': { jwk: { kty: 'oct', k: 'AA' } },
    'an RSA jwk': { jwk: rsa.export({ format: 'jwk' }) },
    'another curve': { jwk: { ...key.jwk, crv: 'P-384' } },
  };
  it.each(Object.entries(HEADERS))('with %s is refused', (_name, change) => {
    expect(startVerifier().withHeader(change)).toBe('malformed');
  });

  it('of a key that is not the token’s, or of no key, is refused', () => {
    const { claims, verify } = startVerifier();
    const other = newProofKey();
    expect(verify(signProof(proofHeader(other), claims(), other))).toBe('key');
    expect(verify(signProof(proofHeader(key), claims(), other))).toBe('signature');
    const nowhere = { ...key.jwk, y: key.jwk.x };
    const proof = signProof({ ...proofHeader(key), jwk: nowhere }, claims(), key);
    expect(['key', 'malformed']).toContain(verify(proof));
    const { jkt: _jkt, ...unbound } = EXPECTED;
    expect(startVerifier().verifier.verify(proof, unbound)).toMatchObject({ ok: false });
  });

  it('whose coordinate has a twin is refused', () => {
    const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = key.jwk.x.slice(0, -1) + last[last.indexOf(key.jwk.x.at(-1)!) + 1]!;
    expect(startVerifier().withHeader({ jwk: { ...key.jwk, x: twin } })).toBe('malformed');
  });

  const CLAIMS: Readonly<Record<string, readonly [change: object, problem: string]>> = {
    'no jti': [{ jti: undefined }, 'malformed'],
    'an empty jti': [{ jti: '' }, 'malformed'],
    'a jti with a space': [{ jti: 'a b' }, 'malformed'],
    'a long jti': [{ jti: 'x'.repeat(129) }, 'malformed'],
    'a jti that is no text': [{ jti: 1 }, 'malformed'],
    'another method': [{ htm: 'GET' }, 'request'],
    'its method in lower case': [{ htm: 'post' }, 'request'],
    'no method': [{ htm: undefined }, 'request'],
    'another path': [{ htu: 'https://orders.example/orders/2' }, 'request'],
    'another host': [{ htu: 'https://evil.example/orders/1' }, 'request'],
    'another scheme': [{ htu: 'http://orders.example/orders/1' }, 'request'],
    'a trailing slash': [{ htu: `${URL}/` }, 'request'],
    'a query': [{ htu: `${URL}?a=1` }, 'request'],
    'a fragment': [{ htu: `${URL}#a` }, 'request'],
    'its URLs in a list': [{ htu: [URL] }, 'request'],
    'no URL': [{ htu: undefined }, 'request'],
    'no ath': [{ ath: undefined }, 'token'],
    'the ath of another token': [{ ath: athOf('a.b.d') }, 'token'],
    'no iat': [{ iat: undefined }, 'malformed'],
    'iat in text': [{ iat: '1' }, 'malformed'],
    'iat of 1970': [{ iat: 0 }, 'time'],
    'no nonce': [{ nonce: undefined }, 'nonce'],
    'another nonce': [{ nonce: 'x' }, 'nonce'],
    'nonces in a list': [{ nonce: [] }, 'nonce'],
  };
  it.each(Object.entries(CLAIMS))('with %s is refused', (_name, [change, problem]) => {
    expect(startVerifier().withClaims(change)).toBe(problem);
  });

  it('is good for a minute, and for the skew of clocks', () => {
    const { clock, withClaims } = startVerifier();
    const at = (offset: number) => ({ iat: Math.floor(clock.now() / 1000) + offset });
    expect([-70, -60, 0, 4, 10].map((offset) => withClaims(at(offset)))).toEqual([
      'time',
      'accepted',
      'accepted',
      'accepted',
      'time',
    ]);
  });

  it.each(['', 'x', 'a.b.c', '..', 'x'.repeat(5000)])('that is none is refused: %j', (text) => {
    expect(startVerifier().verify(text)).toBe('malformed');
  });

  it('with a DER signature, a member twice or a bit changed is refused', () => {
    const { claims, request, verify } = startVerifier();
    const [header, payload, signature] = makeProof(request(), key).split('.') as [string, string, string];
    const bytes = Buffer.from(signature, 'base64url');
    bytes[7]! ^= 1;
    expect(verify(`${header}.${payload}.${encode(bytes)}`)).toBe('signature');
    expect(verify(`${header}.${payload}.${encode(bytes.subarray(1))}`)).toBe('signature');
    const twice = JSON.stringify(claims()).replace('{', '{"htm":"POST",');
    expect(verify(`${header}.${encode(twice)}.${signature}`)).toBe('malformed');
  });

  it('never throws and never passes with claims that were not signed', () => {
    const { verify, request } = startVerifier();
    const [header, payload, signature] = makeProof(request(), key).split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(claims)), fc.jsonValue({ maxDepth: 2 }), (name, value) => {
        const altered = encode(JSON.stringify({ ...claims, [name]: value }));
        fc.pre(altered !== payload);
        expect(verify(`${header}.${altered}.${signature}`)).not.toBe('accepted');
      }),
      { numRuns: 500 },
    );
  });
});

describe('a nonce', () => {
  it('is good until the second one after it', () => {
    const { clock, verifier, withClaims } = startVerifier();
    const first = verifier.nonce();
    expect(verifier.nonce()).toBe(first);
    clock.advance(300_000);
    const second = verifier.nonce();
    expect(second).not.toBe(first);
    expect([withClaims({ nonce: first }), withClaims({ nonce: second })]).toEqual(['accepted', 'accepted']);
    clock.advance(300_000);
    expect([withClaims({ nonce: first }), withClaims({ nonce: second })]).toEqual(['nonce', 'accepted']);
  });

  it('that nobody asked for in a long time is not good', () => {
    const { clock, verifier, withClaims } = startVerifier();
    const first = verifier.nonce();
    clock.advance(700_000);
    expect(withClaims({ nonce: first })).toBe('nonce');
  });

  it('of another instance is not good', () => {
    expect(startVerifier().withClaims({ nonce: startVerifier().verifier.nonce() })).toBe('nonce');
  });
});

describe('the memory of proofs', () => {
  it('refuses what is new when it is full, and takes it when the oldest are too old to come again', () => {
    const { clock, withClaims } = startVerifier(3);
    expect(['a', 'b', 'c', 'd', 'a'].map((jti) => withClaims({ jti }))).toEqual([
      'accepted',
      'accepted',
      'accepted',
      'full',
      'replayed',
    ]);
    clock.advance(80_000);
    expect(['d', 'a'].map((jti) => withClaims({ jti }))).toEqual(['accepted', 'accepted']);
  });

  it('is not filled by proofs that are refused', () => {
    const { withClaims } = startVerifier(1);
    for (const change of [{ htm: 'GET' }, { nonce: 'x' }, { ath: 'x' }]) withClaims(change);
    expect(withClaims({})).toBe('accepted');
  });

  it('keeps a proof for as long as it could be used again', () => {
    const { clock, request, verify } = startVerifier();
    const ahead = makeProof({ ...request(), now: clock.now() + 4000 }, key);
    expect(verify(ahead)).toBe('accepted');
    const outcomes: string[] = [];
    for (let waited = 0; waited < 90; waited += 1) {
      clock.advance(1000);
      outcomes.push(verify(ahead));
    }
    expect(new Set(outcomes)).toEqual(new Set(['replayed', 'time']));
  });
});
