/** Requests with two readings, smuggled seconds and disguised headers: refused over bare sockets, with no upstream contact. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, header, openRaw, sendRaw, toRequest } from './rawHTTP.ts';
import { startWorld, valuesOf, type World } from './world.ts';

let world: World;
let bearer = '';
beforeAll(async () => {
  world = await startWorld();
  bearer = `Authorization: Bearer ${world.sts.mint()}`;
});
afterAll(() => world.stop());

const HOST = 'Host: orders.test';
const get =
  (target: string, version = 'HTTP/1.1') =>
  () =>
    toRequest([`GET ${target} ${version}`, HOST, bearer]);
const post =
  (headers: readonly string[], body = '', version = 'HTTP/1.1') =>
  () =>
    toRequest([`POST /orders ${version}`, HOST, bearer, ...headers], body);
const withHeaders =
  (...headers: readonly string[]) =>
  () =>
    toRequest(['GET /orders HTTP/1.1', HOST, bearer, ...headers]);

interface Attack {
  readonly bytes: () => Buffer;
  readonly status: number;
}
const refused = (bytes: () => Buffer, status = 400): Attack => ({ bytes, status });

const TARGETS: Readonly<Record<string, string>> = {
  'H-10 absolute-form': 'http://evil.test/orders',
  'H-10 two slashes': '//evil.test/orders',
  'H-10 slash and backslash': '/\\evil.test/orders',
  'H-10 asterisk-form': '*',
  'H-10 no leading slash': '@orders',
  'H-11 a fragment': '/orders#all',
  'H-12 a dot segment': '/files/../orders',
  'H-12 an encoded dot segment': '/files/%2e%2e/orders',
  'H-12 a half encoded dot segment': '/files/.%2E/orders',
  'H-12 a last dot segment': '/files/..',
  'H-12 a single dot': '/files/./a',
  'H-12 an encoded slash': '/files%2f..%2forders',
  'H-12 an encoded backslash': '/files/..%5corders',
  'H-12 an overlong encoded slash': '/files/..%c0%afetc',
  'H-12 an encoded NUL': '/files/a%00.txt',
  'H-12 an encoded line end': '/files/a%0d%0aX: 1',
  'H-12 twice encoded': '/files/%252e%252e/orders',
  'H-12 a bad escape': '/files/%zz',
  'H-12 a cut escape': '/files/%2',
  'H-12 an escape that is needless': '/%66iles/a',
  'H-12 path parameters': '/files;v=1/a',
  'H-12 an encoded semicolon': '/files%3b/a',
  'H-12 an empty segment': '/files//a',
  'H-12 not UTF-8': '/files/%ff%fe',
  'H-12 a quote': '/files/"a"',
  'P-14 two slashes that a policy would not see': '/orders//42',
};

const ATTACKS: Readonly<Record<string, Attack>> = {
  ...Object.fromEntries(Object.entries(TARGETS).map(([name, target]) => [name, refused(get(target))])),
  'H-01 Content-Length and Transfer-Encoding': refused(
    post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  ),
  'H-01 Transfer-Encoding and Content-Length': refused(
    post(['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'),
  ),
  'H-02 Content-Length twice, the same': refused(post(['Content-Length: 2', 'Content-Length: 2'], '{}')),
  'H-02 Content-Length twice, different': refused(post(['Content-Length: 2', 'Content-Length: 3'], '{}')),
  'H-02 Content-Length as a list': refused(post(['Content-Length: 2, 2'], '{}')),
  'H-02 Content-Length with a sign': refused(post(['Content-Length: +2'], '{}')),
  'H-02 Content-Length in hex': refused(post(['Content-Length: 0x2'], '{}')),
  'H-02 Content-Length with an underscore': refused(post(['Content-Length: 2_0'], '{}')),
  'H-02 Content-Length with a leading zero': refused(post(['Content-Length: 02'], '{}')),
  'H-02 a space before the colon': refused(post(['Content-Length : 2'], '{}')),
  'H-03 xchunked': refused(post(['Transfer-Encoding: xchunked'], '0\r\n\r\n')),
  'H-03 chunked, identity': refused(post(['Transfer-Encoding: chunked, identity'], '0\r\n\r\n')),
  'H-03 Transfer-Encoding twice': refused(
    post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  ),
  'H-03 a vertical tab before chunked': refused(post(['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n')),
  'H-03 a folded line': refused(post(['Transfer-Encoding:\r\n chunked'], '0\r\n\r\n')),
  'H-03 a folded header': refused(withHeaders('X-A: b', ' c')),
  'H-04 identity, chunked': refused(post(['Transfer-Encoding: identity, chunked'], '0\r\n\r\n')),
  'H-04 gzip, chunked': refused(post(['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n')),
  'H-04 ChUnKeD': refused(post(['Transfer-Encoding: ChUnKeD'], '0\r\n\r\n')),
  'H-05 Transfer-Encoding on HTTP/1.0': refused(post(['Transfer-Encoding: chunked'], '0\r\n\r\n', 'HTTP/1.0')),
  'H-07 a chunk size in hex notation': refused(post(['Transfer-Encoding: chunked'], '0x1\r\na\r\n0\r\n\r\n'), 0),
  'H-07 a chunk size that overflows': refused(
    post(['Transfer-Encoding: chunked'], 'fffffffffffffffff\r\na\r\n0\r\n\r\n'),
    0,
  ),
  'H-09 no Host': refused(() => toRequest(['GET /orders HTTP/1.1', bearer])),
  'H-09 Host twice': refused(withHeaders('Host: evil.test')),
  'H-09 an empty Host': refused(() => toRequest(['GET /orders HTTP/1.1', 'Host:', bearer])),
  'H-09 userinfo in Host': refused(() => toRequest(['GET /orders HTTP/1.1', 'Host: a@evil.test', bearer])),
  'H-09 a path in Host': refused(() => toRequest(['GET /orders HTTP/1.1', 'Host: a/b', bearer])),
  'H-09 Host as a list': refused(() => toRequest(['GET /orders HTTP/1.1', 'Host: a, b', bearer])),
  'H-10 authority-form by CONNECT': refused(() => toRequest(['CONNECT evil.test:443 HTTP/1.1', HOST, bearer]), 405),
  'H-14 TRACE': refused(() => toRequest(['TRACE /orders HTTP/1.1', HOST, bearer]), 405),
  'H-14 a method in lower case': refused(() => toRequest(['get /orders HTTP/1.1', HOST, bearer])),
  'H-14 a method that nobody knows': refused(() => toRequest(['GETT /orders HTTP/1.1', HOST, bearer])),
  'H-15 an upgrade to websocket': refused(withHeaders('Connection: Upgrade', 'Upgrade: websocket'), 501),
  'H-15 an upgrade with a body and a second request': refused(
    post(
      ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 40'],
      'GET /orders HTTP/1.1\r\nHost: a\r\n\r\n',
    ),
    501,
  ),
  'H-16 the preface of HTTP/2': refused(() => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')),
  'H-16 HTTP/0.9': refused(() => Buffer.from('GET /orders\r\n\r\n')),
  'H-16 HTTP/2.0 in text': refused(get('/orders', 'HTTP/2.0')),
  'H-16 HTTP/1.2': refused(get('/orders', 'HTTP/1.2')),
  'H-17 X-Caracal-Client-ID': refused(withHeaders('X-Caracal-Client-ID: team.root')),
  'H-17 x_caracal_client_id': refused(withHeaders('x_caracal_client_id: team.root')),
  'H-17 a trailing space in the name': refused(withHeaders('X-Caracal-Subject : team.root')),
  'H-19 Authorization twice': refused(withHeaders('Authorization: Bearer x')),
  'H-19 Authorization twice, one disguised': refused(withHeaders('authorization: Basic YTpi')),
  'H-20 more than 100 header fields': refused(
    withHeaders(...Array.from({ length: 120 }, (_, index) => `X-${index}: a`)),
    431,
  ),
  'H-20 a line of 20 KB': refused(withHeaders(`X-Long: ${'a'.repeat(20_000)}`), 431),
  'H-20 16 KB altogether': refused(
    withHeaders(...Array.from({ length: 90 }, (_, index) => `X-${index}: ${'a'.repeat(200)}`)),
    431,
  ),
  'H-21 GET with a body': refused(withHeaders('Content-Length: 2')),
  'H-27 a control character in a value': refused(withHeaders('X-A: \x01')),
  'an expectation that nobody knows': refused(withHeaders('Expect: the-unexpected'), 417),
  'a bare line feed': refused(() => Buffer.from(`GET /orders HTTP/1.1\nHost: a\n${bearer}\n\n`)),
};

describe('refused without touching the upstream', () => {
  it.each(Object.entries(ATTACKS))('%s', async (name, { bytes, status }) => {
    const before = world.upstream.received.length;
    const answer = await sendRaw(world.port, bytes());
    if (status !== 0) {
      // Unknown versions are refused as such where the parser lets them through.
      const statuses = name.startsWith('H-16') ? [400, 505] : [status];
      expect(statuses).toContain(answer.status);
      expect(errorOf(answer)).toMatch(/^[a-z_]+$/);
      expect(answer.body).toContain('requestId');
      expect(world.upstream.received.length).toBe(before);
      return;
    }
    // The head was good, so it was forwarded; the body breaks off with the connection.
    expect([400, 502]).toContain(answer.status);
  });

  it('and the gateway goes on', async () => {
    expect((await world.send('GET /orders')).status).toBe(200);
  });
});

describe('H-19 Authorization has exactly one grammar', () => {
  const VALUES: Readonly<Record<string, () => string>> = {
    'two spaces': () => bearer.replace('Bearer ', 'Bearer  '),
    'a tab': () => bearer.replace('Bearer ', 'Bearer\t'),
    'two tokens': () => `${bearer}, ${bearer.slice(22)}`,
    'another scheme': () => 'Authorization: Basic YTpi',
    'DPoP with a mandate that is not bound': () => bearer.replace('Bearer', 'DPoP'),
    'no token': () => 'Authorization: Bearer',
    empty: () => 'Authorization:',
  };
  it.each(Object.entries(VALUES))('%s', async (_name, line) => {
    const before = world.upstream.received.length;
    const answer = await sendRaw(world.port, toRequest(['GET /orders HTTP/1.1', HOST, line()]));
    expect(answer.status).toBe(401);
    expect(world.upstream.received.length).toBe(before);
  });

  it('a cookie, a query parameter and Proxy-Authorization are no credentials', async () => {
    const token = bearer.slice('Authorization: Bearer '.length);
    const headers = [`Cookie: access_token=${token}`, `Proxy-Authorization: Bearer ${token}`];
    const answer = await world.send(`GET /orders?access_token=${token}`, { token: null, headers });
    expect(answer.status).toBe(401);
    expect(errorOf(answer)).toBe('missing_token');
  });
});

describe('H-17 names that only the gateway sets', () => {
  const SPOOFED: readonly string[] = [
    'X-Caracal-Subject: team.root',
    'x-caracal-scope: everything',
    'X_Caracal_Subject: team.root',
    'X-Caracal_Decision: 1',
    'X-Forwarded-For: 10.0.0.1',
    'X_Forwarded_Host: evil.test',
    'Forwarded: for=10.0.0.1',
    'X-Real-IP: 10.0.0.1',
    'X-Remote-User: root',
    'X-Envoy-Original-Path: /admin',
    'X-Middleware-Subrequest: middleware',
    'X-HTTP-Method-Override: DELETE',
    'X-Original-URL: /admin',
    'X-Rewrite-URL: /admin',
    'X-Request-Id: mine',
    'Proxy-Authorization: Basic YTpi',
    'DPoP: proof',
    'Proxy-Connection: keep',
    'TE: trailers',
    'Keep-Alive: timeout=5',
  ];

  it.each(SPOOFED)('%s does not pass', async (line) => {
    const value = line.slice(line.indexOf(': ') + 2);
    expect((await world.send('GET /orders', { headers: [line] })).status).toBe(200);
    const raw = world.upstream.received.at(-1)!.rawHeaders;
    expect(raw.filter((_one, index) => index % 2 === 1)).not.toContain(value);
  });

  it('stay ours when Connection names them', async () => {
    const headers = ['Connection: close, X-Caracal-Subject, X-Mine, X-Forwarded-For, Authorization', 'X-Mine: 1'];
    expect((await world.send('GET /orders', { headers })).status).toBe(200);
    const received = world.upstream.received.at(-1);
    expect(valuesOf(received, 'x-mine')).toEqual([]);
    expect(valuesOf(received, 'x-caracal-subject')).toEqual(['team.agent']);
    expect(valuesOf(received, 'x-forwarded-for')).toEqual(['127.0.0.1']);
  });

  it('H-27 names of Object.prototype are ordinary names', async () => {
    const headers = ['__proto__: a', 'constructor: b', 'toString: c', 'hasOwnProperty: d'];
    expect((await world.send('GET /orders', { headers })).status).toBe(200);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });
});

describe('bodies and connections', () => {
  it('H-08 trailers do not pass', async () => {
    const body = '2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\nX-Caracal-Subject: root\r\n\r\n';
    const answer = await world.send('POST /orders', { headers: ['Transfer-Encoding: chunked'], body });
    expect(answer.status).toBe(200);
    const received = world.upstream.received.at(-1)!;
    expect(received.body).toBe('{}');
    expect(JSON.stringify(received.rawHeaders)).not.toContain('root');
  });

  it('H-07 chunk extensions do not pass', async () => {
    const body = '2;name=value\r\n{}\r\n0\r\n\r\n';
    const answer = await world.send('POST /orders', { headers: ['Transfer-Encoding: chunked'], body });
    expect([200, 400]).toContain(answer.status);
  });

  it('H-15 h2c that is offered in passing is not taken up, and does not pass', async () => {
    const headers = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
    expect((await world.send('GET /orders', { headers })).status).toBe(200);
    const received = world.upstream.received.at(-1);
    expect([...valuesOf(received, 'upgrade'), ...valuesOf(received, 'http2-settings')]).toEqual([]);
  });

  it('H-21 a refused upload gets its answer before the connection ends', async () => {
    const size = 512 * 1024;
    const headers = [`Content-Length: ${size}`];
    const answer = await world.send('POST /orders', { token: null, headers, body: Buffer.alloc(size) });
    expect(answer.status).toBe(401);
    expect(header(answer, 'connection')).toBe('close');
  });

  it('H-23 each of 100 pipelined requests is judged by itself', async () => {
    const connection = await openRaw(world.port);
    const good = toRequest(['GET /orders HTTP/1.1', HOST, bearer]);
    const bare = toRequest(['GET /orders HTTP/1.1', HOST]);
    connection.write(Buffer.concat(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? good : bare))));
    const statuses: number[] = [];
    for (let index = 0; index < 100; index += 1) statuses.push((await connection.answer()).status);
    connection.destroy();
    expect(statuses).toEqual(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 200 : 401)));
  });

  it('H-29 the gateway’s own endpoints are not on the data port', async () => {
    for (const path of ['/health', '/ready', '/metrics']) {
      expect((await world.send(`GET ${path}`, { token: null })).status).toBe(401);
      expect((await world.send(`GET ${path}`)).status).toBe(403);
    }
  });

  it('E-20 the connection breaks before an answer: one try, 502', async () => {
    const before = world.upstream.received.length;
    world.upstream.handler = (request) => request.socket.destroy();
    const answer = await world.send('POST /orders', { headers: ['Content-Length: 2'], body: '{}' });
    const read = await world.send('GET /orders');
    world.upstream.handler = undefined;
    expect([answer.status, read.status]).toEqual([502, 502]);
    expect(errorOf(answer)).toBe('upstream_unavailable');
    expect(world.upstream.received.length).toBe(before + 2);
  });
});
