/** Issuers whose keys are fetched: rotated, flooded with unknown kids, unreachable, and at addresses nobody may ask us to call. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublicJWK } from '../../src/authority/snapshot.ts';
import { zone } from '../compiler/world.ts';
import { makeSigner } from '../tokens/signing.ts';
import { BY_SECRET, errorOf, READ, startSTS, withSubject, type TestSTS } from './service.ts';
import { IDP_ISSUER, idTokenClaims, idp, signAs } from './tokens.ts';

let sts: TestSTS;
let server: Server;
let served: readonly PublicJWK[] = [idp.jwk];
let fetched = 0;
const heads: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    fetched += 1;
    heads.push(JSON.stringify(request.rawHeaders));
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: served }));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  sts = await startSTS({ allowJWKSRanges: ['127.0.0.1/32'] });
});
afterAll(async () => {
  await sts.close();
  server.close();
});

async function fetchKeysFrom(jwksURL: string): Promise<void> {
  const [shop, bank] = sts.world().zones;
  const subjectIssuers = [{ name: 'corp', issuer: IDP_ISSUER, jwksURL, claims: [] }];
  const spec = { ...shop!.spec, subjectIssuers } as Parameters<typeof zone>[0];
  await sts.apply((world) => ({ ...world, zones: [zone(spec), bank!] }));
}

const ours = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
const login = (signer = idp, header = {}) =>
  sts.token({ ...BY_SECRET, ...withSubject(signAs(signer, idTokenClaims(sts.seconds()), header)) });

describe('keys that are fetched', () => {
  it('are fetched once for many logins', async () => {
    await fetchKeysFrom(ours('/once'));
    const before = fetched;
    const answers = await Promise.all(Array.from({ length: 20 }, () => login()));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(fetched - before).toBe(1);
  });

  it('E-22 are fetched without a credential of ours or of the caller, and without cookies', async () => {
    await fetchKeysFrom(ours('/bare'));
    expect((await login()).status).toBe(200);
    const head = heads.at(-1)!;
    expect(head.toLowerCase()).not.toMatch(/authorization|cookie|bearer|eyj/);
    expect(head).not.toContain(BY_SECRET.client_secret);
  });

  it('J-33 are fetched again for a token of a new key, which then is taken', async () => {
    await fetchKeysFrom(ours('/rotated'));
    expect((await login()).status).toBe(200);
    const next = makeSigner('ec', { kid: 'next' });
    served = [idp.jwk, next.jwk];
    const before = fetched;
    expect((await login(next)).status).toBe(200);
    expect(fetched - before).toBe(1);
    served = [idp.jwk];
  });

  it('J-32 are fetched at most once more for a flood of unknown kids', async () => {
    await fetchKeysFrom(ours('/flooded'));
    expect((await login()).status).toBe(200);
    const before = fetched;
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => login(idp, { kid: `unknown-${index}` })),
    );
    expect(new Set(answers.map(errorOf))).toEqual(new Set(['401 invalid_token']));
    expect(fetched - before).toBeLessThanOrEqual(1);
    expect((await login()).status).toBe(200);
  });

  it('that cannot be had are an outage, not a wrong token, and others go on', async () => {
    await fetchKeysFrom('http://127.0.0.1:1/closed');
    const answer = await login();
    expect([errorOf(answer), answer.headers['retry-after']]).toEqual(['503 sts_unavailable', '1']);
    expect((await sts.token({ ...BY_SECRET, ...READ })).status).toBe(200);
  });

  it('J-05 at addresses that are not allowed are never asked for', async () => {
    for (const url of [
      ours('/').replace('127.0.0.1', '127.0.0.2'),
      'http://169.254.169.254/keys',
      'http://[::1]:1/keys',
    ]) {
      await fetchKeysFrom(url);
      const before = fetched;
      expect(errorOf(await login())).toBe('503 sts_unavailable');
      expect(fetched).toBe(before);
    }
  });
});
