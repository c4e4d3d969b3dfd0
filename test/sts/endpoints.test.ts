/** The public endpoints: keys, metadata, health, readiness, metrics, and TLS. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { localhostCertificate, localhostKey, renewedCertificate, renewedKey } from '../tokens/localhostCertificate.ts';
import { BANK_UID, ZONE_UID } from './shop.ts';
import { BY_SECRET, errorOf, READ, startSTS, WAIT, type TestSTS } from './service.ts';
import { ISSUER } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

describe('the keys of a zone', () => {
  const get = (query: string) => sts.send({ path: `/.well-known/jwks.json${query}` });

  it('are its own, public members only, and may be cached for five minutes', async () => {
    const answer = await get('?zone_id=shop.main');
    const keys = sts.keys
      .get(ZONE_UID)!
      .map(({ kid, x, y }) => ({ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256', kid, x, y }));
    expect(answer.body).toEqual({ keys });
    expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'public, max-age=300']);
  });

  it('are never a union: each zone has others', async () => {
    const other = await get('?zone_id=bank.main');
    const kids = (other.body['keys'] as readonly { readonly kid: string }[]).map(({ kid }) => kid);
    expect(kids).toEqual(sts.keys.get(BANK_UID)!.map(({ kid }) => kid));
  });

  it('of no zone are 400, and of an unknown one 404', async () => {
    for (const query of ['', '?zone_id=', '?zone_id=shop.main&zone_id=bank.main', '?zone=shop.main'])
      expect(errorOf(await get(query))).toBe('400 invalid_request');
    expect(errorOf(await get('?zone_id=no.zone'))).toBe('404 zone_not_found');
  });
});

describe('the metadata', () => {
  it('names issuer and token endpoint, and no jwks_uri since keys are per zone', async () => {
    const { status, body } = await sts.send({ path: '/.well-known/oauth-authorization-server' });
    expect([status, body['issuer'], body['token_endpoint']]).toEqual([200, ISSUER, `${ISSUER}/oauth/2/token`]);
    expect(body['grant_types_supported']).toEqual(['urn:ietf:params:oauth:grant-type:token-exchange']);
    expect(body['jwks_uri']).toBeUndefined();
  });
});

describe('operations', () => {
  it('are healthy and ready, and not ready while the store cannot be read', async () => {
    expect((await sts.send({ path: '/health' })).body).toEqual({ ok: true });
    expect((await sts.send({ path: '/ready' })).body).toEqual({ ok: true, ready: true });
    await sts.store().close();
    await vi.waitFor(async () => expect((await sts.send({ path: '/ready' })).status).toBe(503), WAIT);
    const { body } = await sts.send({ path: '/ready' });
    expect(body).toEqual({ ok: false, ready: false, reason: 'the store cannot be read' });
    expect((await sts.send({ path: '/health' })).status).toBe(200);
    await sts.restart();
    expect((await sts.send({ path: '/ready' })).status).toBe(200);
  });

  it('count exchanges by outcome', async () => {
    await sts.token({ ...BY_SECRET, ...READ });
    await sts.token({ ...BY_SECRET, ...READ, scope: 'sealed' });
    await sts.token({ ...BY_SECRET, ...READ, client_secret: 'wrong' });
    const { text, headers } = await sts.send({ path: '/metrics' });
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    for (const outcome of ['issued', 'scope_insufficient', 'access_denied'])
      expect(text).toMatch(new RegExp(`caracal_sts_exchanges_total\\{outcome="${outcome}"\\} [1-9]`));
    for (const name of ['caracal_sts_zones 2', 'caracal_sts_feed_streams 0', 'caracal_sts_exchange_seconds_count'])
      expect(text).toContain(name);
  });

  it('that do not exist are 404, in the form of every error', async () => {
    for (const path of ['/', '/oauth/2/token/', '/oauth/2', '//oauth/2/token', '/v1/nothing', '/oauth/2/introspect']) {
      const answer = await sts.send({ path });
      expect([path, errorOf(answer)]).toEqual([path, '404 invalid_request']);
      expect(Object.keys(answer.body).sort()).toEqual(['error', 'error_description', 'requestId']);
    }
  });
});

describe('a configuration that would not be safe', () => {
  it.each([
    ['an issuer with a slash at its end', { issuer: `${ISSUER}/` }],
    ['an issuer with a query', { issuer: `${ISSUER}?x=1` }],
    ['an issuer with a user', { issuer: 'https://u:p@sts.example' }],
    ['an issuer that is no URL', { issuer: 'sts' }],
    ['plain HTTP beyond loopback', { listen: { host: '0.0.0.0', port: 0 } }],
  ])('is refused: %s', async (_, config) => {
    await expect(startSTS(config)).rejects.toThrow(/issuer|plain HTTP/);
  });
});

describe('TLS', () => {
  it('serves the certificate it was given, keeps it when the files turn bad, and takes up a renewed one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'caracal-tls-'));
    const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
    writeFileSync(certFile, localhostCertificate);
    writeFileSync(keyFile, localhostKey);
    const secure = await startSTS({ tls: { certFile, keyFile } });
    onTestFinished(async () => {
      await secure.close();
      rmSync(folder, { recursive: true });
    });
    /** Answers over a connection of its own, where the client trusts exactly this certificate. */
    const status = (ca: string) =>
      new Promise<number>((resolve, reject) => {
        const { port } = new URL(secure.url());
        const options = {
          host: '127.0.0.1',
          port,
          path: '/health',
          ca,
          servername: 'localhost',
          agent: false as const,
        };
        httpsRequest(options, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
          .on('error', reject)
          .end();
      });
    expect(secure.url()).toMatch(/^https:/);
    expect(await status(localhostCertificate)).toBe(200);
    writeFileSync(certFile, 'no certificate');
    await vi.waitFor(() => expect(secure.log.map(({ message }) => message).join()).toContain('not reloaded'), WAIT);
    expect(await status(localhostCertificate)).toBe(200);
    writeFileSync(keyFile, renewedKey);
    writeFileSync(certFile, renewedCertificate);
    await vi.waitFor(async () => expect(await status(renewedCertificate)).toBe(200), WAIT);
    await expect(status(localhostCertificate)).rejects.toThrow(/certificate/);
  });
});
