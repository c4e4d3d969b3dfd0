/** Key sets fetched from a real server on loopback. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import type { PublicJWK } from '../../src/authority/snapshot.ts';
import { parseKeySet } from '../../src/tokens/keySetDocument.ts';
import { createKeySets, KeySetUnavailable, type KeySets } from '../../src/tokens/keysets.ts';
import { localhostCertificate, localhostKey } from './localhostCertificate.ts';
import { makeSigner } from './signing.ts';

const LOOPBACK = ['127.0.0.0/8', '::1/128'];
const { jwk } = makeSigner('ec', { kid: 'first' });
const second = makeSigner('ec', { kid: 'second' }).jwk;
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener, make: (listener: RequestListener) => Server = createServer) {
  let requests = 0;
  let connections = 0;
  const server = make((request, response) => {
    requests++;
    listener(request, response);
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${port}/jwks`, port, requests: () => requests, connections: () => connections };
}

const answering =
  (document: () => unknown): RequestListener =>
  (_, response) =>
    response.end(JSON.stringify(document()));

/** Time stands still unless it is set. */
function createTime() {
  let now = 1_800_000_000_000;
  return { now: () => now, monotonic: () => now, pass: (milliseconds: number) => (now += milliseconds) };
}

function open(options: { allowRanges?: readonly string[]; fetchTimeoutMs?: number } = {}) {
  const clock = createTime();
  const sets: KeySets = createKeySets({ clock, allowRanges: LOOPBACK, ...options });
  closing.push(() => sets.close());
  const kidsOf = async (keys: Promise<readonly PublicJWK[]>) => (await keys).map(({ kid }) => kid);
  return {
    clock,
    get: (jwksURL: string) => kidsOf(sets.get({ jwksURL }, clock.now())),
    refresh: (jwksURL: string) => kidsOf(sets.refresh({ jwksURL }, clock.now())),
    sets,
  };
}
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fetched',
    (error: unknown) => (error instanceof KeySetUnavailable ? error.message : `wrong error ${String(error)}`),
  );

describe('key sets in a spec', () => {
  it('are what they are', async () => {
    const { sets } = open();
    const keys = [jwk];
    expect(await sets.get({ jwks: { keys } }, 0)).toBe(keys);
    expect(await sets.refresh({ jwks: { keys } }, 0)).toBe(keys);
    expect(await failure(sets.get({}, 0))).toContain('neither jwks nor jwksURL');
  });
});

describe('key sets from a URL', () => {
  it('are fetched once for five minutes and for all who ask', async () => {
    const server = await serve(answering(() => ({ keys: [jwk] })));
    const { get, clock } = open();
    expect(await Promise.all([get(server.url), get(server.url), get(server.url)])).toEqual([
      ['first'],
      ['first'],
      ['first'],
    ]);
    clock.pass(5 * 60_000 - 1);
    await get(server.url);
    expect(server.requests()).toBe(1);
    clock.pass(1);
    await Promise.all([get(server.url), get(server.url)]);
    expect(server.requests()).toBe(2);
  });

  it('J-31 are served for an hour while they cannot be fetched again, then no more', async () => {
    let up = true;
    const server = await serve((_, response) =>
      response.writeHead(up ? 200 : 500).end(JSON.stringify({ keys: [jwk] })),
    );
    const { get, clock } = open();
    await get(server.url);
    up = false;
    clock.pass(60 * 60_000 - 1);
    expect(await get(server.url)).toEqual(['first']);
    clock.pass(1);
    expect(await failure(get(server.url))).toContain('answered 500');
    clock.pass(10_000);
    up = true;
    expect(await get(server.url)).toEqual(['first']);
  });

  it('a failure is remembered for ten seconds', async () => {
    const server = await serve((_, response) => response.writeHead(503).end());
    const { get, clock } = open();
    for (let count = 0; count < 5; count++) expect(await failure(get(server.url))).toContain('answered 503');
    expect(server.requests()).toBe(1);
    clock.pass(10_000);
    await failure(get(server.url));
    expect(server.requests()).toBe(2);
  });

  it('J-33 an unknown kid fetches them at once', async () => {
    let keys = [jwk];
    const server = await serve(answering(() => ({ keys })));
    const { get, refresh } = open();
    expect(await get(server.url)).toEqual(['first']);
    keys = [jwk, second];
    expect(await get(server.url)).toEqual(['first']);
    expect(await refresh(server.url)).toEqual(['first', 'second']);
    expect(await get(server.url)).toEqual(['first', 'second']);
  });

  it('J-32 a flood of unknown kids fetches them once in thirty seconds', async () => {
    const server = await serve(answering(() => ({ keys: [jwk] })));
    const { refresh, clock } = open();
    for (let count = 0; count < 1000; count++) expect(await refresh(server.url)).toEqual(['first']);
    expect(server.requests()).toBe(1);
    clock.pass(29_999);
    await refresh(server.url);
    expect(server.requests()).toBe(1);
    clock.pass(1);
    await refresh(server.url);
    expect(server.requests()).toBe(2);
  });

  it('a refresh that fails leaves what was there', async () => {
    let up = true;
    const server = await serve((_, response) =>
      up ? response.end(JSON.stringify({ keys: [jwk] })) : response.destroy(),
    );
    const { get, refresh } = open();
    await get(server.url);
    up = false;
    expect(await refresh(server.url)).toEqual(['first']);
    expect(await get(server.url)).toEqual(['first']);
  });
});

describe('where key sets are fetched from', () => {
  it('J-05 loopback is refused unless its range is allowed, and sees no connection', async () => {
    const server = await serve(answering(() => ({ keys: [jwk] })));
    const { get } = open({ allowRanges: [] });
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', '0.0.0.0']) {
      for (const scheme of ['http', 'https']) {
        expect(await failure(get(`${scheme}://${host}:${server.port}/jwks`))).toContain(
          'its address is private, local',
        );
      }
    }
    expect(server.connections()).toBe(0);
  });

  it('a name is resolved and judged, and dialled where its range is allowed', async () => {
    const server = await serve(answering(() => ({ keys: [jwk] })));
    expect(await open().get(`http://localhost:${server.port}/jwks`)).toEqual(['first']);
  });

  it('metadata and link-local addresses are refused whatever is allowed', async () => {
    const { get } = open({ allowRanges: ['0.0.0.0/0', '::/0'] });
    for (const host of ['169.254.169.254', '[fe80::1]', '[fd00:ec2::254]', '0.0.0.0']) {
      expect(await failure(get(`http://${host}/jwks`))).toContain('its address is private, local');
    }
  });

  it('plain http to a public address is refused', async () => {
    expect(await failure(open({ allowRanges: [] }).get('http://8.8.8.8/jwks'))).toContain(
      'plain http is only for ranges',
    );
  });

  it('every fetch has its own connection', async () => {
    const server = await serve(answering(() => ({ keys: [jwk] })));
    const { get, clock } = open();
    await get(server.url);
    clock.pass(5 * 60_000);
    await get(server.url);
    expect(server.connections()).toBe(2);
  });

  it('J-31 a certificate that is not trusted, or is for another name, is refused', async () => {
    const tls = { key: localhostKey, cert: localhostCertificate };
    const { port, requests } = await serve(
      answering(() => ({ keys: [jwk] })),
      (listener) => createTLSServer(tls, listener),
    );
    expect(await failure(open().get(`https://localhost:${port}/jwks`))).toContain('DEPTH_ZERO_SELF_SIGNED_CERT');
    const trusted = getCACertificates('default');
    closing.push(() => setDefaultCACertificates(trusted));
    setDefaultCACertificates([localhostCertificate]);
    expect(await failure(open().get(`https://127.0.0.1:${port}/jwks`))).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(requests()).toBe(0);
    expect(await open().get(`https://localhost:${port}/jwks`)).toEqual(['first']);
  });

  it.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'data:application/json,{}', 'nonsense', ''])(
    '%j is refused',
    async (url) => {
      expect(await failure(open().get(url))).toContain('not an https URL');
    },
  );

  it('a URL with a password is refused and not repeated', async () => {
    const message = await failure(open().get('https://user:hunter2@127.0.0.1/'));
    expect(message).toContain('must not hold a user name or password');
    expect(message).not.toContain('hunter2');
  });

  it('a range that is none stops the start', () => {
    expect(() => createKeySets({ clock: createTime(), allowRanges: ['private'] })).toThrow(
      '"private" is not an address range',
    );
  });
});

describe('what a server may answer', () => {
  const answers: Readonly<Record<string, readonly [RequestListener, RegExp]>> = {
    'J-31 a page of HTML': [(_, response) => response.end('<html></html>'), /is not JSON/],
    'J-31 an error': [(_, response) => response.writeHead(404).end('{"keys":[]}'), /answered 404/],
    'no content': [(_, response) => response.writeHead(204).end(), /answered 204/],
    'J-31 too much': [(_, response) => response.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`), /larger than 256 KiB/],
    'J-31 compressed bytes': [(_, response) => response.end(Buffer.of(0x1f, 0x8b, 8, 0)), /is not UTF-8/],
    'a byte order mark': [(_, response) => response.end('\ufeff{"keys":[]}'), /is not JSON/],
    'keys twice': [(_, response) => response.end('{"keys":[],"keys":[]}'), /has a member twice/],
    'an array': [answering(() => [jwk]), /not a JWK set/],
    'too many keys': [answering(() => ({ keys: Array(65).fill(jwk) })), /more than 64 keys/],
    'a private key': [
      answering(() => ({ keys: [jwk, { ...second, d: 'AAAA' }] })),
      /publishes a private or symmetric key/,
    ],
    'a symmetric key': [
      answering(() => ({ keys: [jwk, { kty: 'oct', k: 'AAAA' }] })),
      /publishes a private or symmetric key/,
    ],
    'half an answer': [
      (_, response) => response.writeHead(200, { 'content-length': '100' }).end('{"keys":[]}'),
      /the request failed/,
    ],
  };
  it.each(Object.entries(answers))('%s is refused', async (_, [listener, message]) => {
    const server = await serve(listener);
    expect(await failure(open().get(server.url))).toMatch(message);
  });

  it('J-31 a redirect is not followed', async () => {
    const target = await serve(answering(() => ({ keys: [jwk] })));
    const server = await serve((_, response) => response.writeHead(302, { location: target.url }).end());
    expect(await failure(open().get(server.url))).toContain('answered 302');
    expect(target.connections()).toBe(0);
  });

  it('J-31 a body without end is cut at its size', async () => {
    let sent = 0;
    const server = await serve((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    });
    expect(await failure(open().get(server.url))).toContain('larger than 256 KiB');
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('J-31 a slow header and a slow body are given up at the deadline', async () => {
    const silent = await serve(() => {});
    const slow = await serve((_, response) => response.writeHead(200).write('{'));
    for (const { url } of [silent, slow]) {
      expect(await failure(open({ fetchTimeoutMs: 100 }).get(url))).toMatch(
        /no answer within 100 ms|request failed \(UND_ERR_/,
      );
    }
  });

  it('a server that is not there is an outage', async () => {
    expect(await failure(open().get('http://127.0.0.1:9/jwks'))).toContain('ECONNREFUSED');
  });
});

describe('parseKeySet', () => {
  it('keeps public members of keys that verify and leaves out the rest', () => {
    const document = {
      keys: [
        { ...jwk, x5c: ['AAAA'], extra: 1 },
        { ...second, key_ops: ['verify'] },
        { ...second, key_ops: ['encrypt'] },
        { ...second, kid: 7 },
        { kid: 'no kty' },
        'text',
        null,
      ],
    };
    expect(parseKeySet(JSON.stringify(document))).toEqual({ ok: true, keys: [jwk, second] });
  });

  it('takes an empty set: its issuer has no keys', () => {
    expect(parseKeySet('{"keys":[]}')).toEqual({ ok: true, keys: [] });
  });
});
