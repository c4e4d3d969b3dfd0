/** An edge: Resources by their upstream, chosen by header, over one zone or several, with addresses judged when dialled. */
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { FeedResource } from '../../src/authority/feed.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import { errorOf, header, sendRaw, toRequest } from './rawHTTP.ts';
import { startFakeSTS, ZONE, type FakeSTS } from './sts.ts';
import {
  createMovableClock,
  ORDERS,
  startUpstream,
  startWorld,
  until,
  valuesOf,
  type Upstream,
  type World,
} from './world.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };
const LOOPBACK = ['127.0.0.0/8'];
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startEdge(upstreamURL: (upstream: Upstream) => string, allowUpstreamRanges = LOOPBACK): Promise<World> {
  const world = await startWorld({
    resourcesOf: (upstream) => [
      { ...ORDERS, upstream: upstreamURL(upstream) },
      { ...ORDERS, identifier: 'resource://inside', name: 'inside' },
    ],
    config: () => ({ protect: [], edge: LISTEN, allowUpstreamRanges }),
  });
  stops.push(() => world.stop());
  return world;
}

const byHeader = (identifier = 'resource://orders') => ({ headers: [`X-Caracal-Resource: ${identifier}`] });
const local = ({ port }: Upstream) => `http://127.0.0.1:${port}`;

describe('an edge', () => {
  it('forwards to the upstream of the Resource that the header names, below its path', async () => {
    const world = await startEdge((upstream) => `${local(upstream)}/base/`);
    const answer = await world.send('GET /orders/42?a=1', byHeader());
    expect(answer.status).toBe(200);
    const received = world.upstream.received.at(-1);
    expect(received).toMatchObject({ method: 'GET', url: '/base/orders/42?a=1' });
    expect(valuesOf(received, 'host')).toEqual([`127.0.0.1:${world.upstream.port}`]);
  });

  it('E-09 sends no credential of the caller and nothing of ours to third parties', async () => {
    const world = await startEdge(local);
    await world.send('GET /orders', {
      headers: [
        'X-Caracal-Resource: resource://orders',
        'X-Caracal-Zone: team.main',
        'Proxy-Authorization: Basic YTpi',
        'DPoP: proof',
      ],
    });
    const { rawHeaders } = world.upstream.received.at(-1)!;
    const names = rawHeaders.filter((_name, index) => index % 2 === 0).map((name) => name.toLowerCase());
    expect(
      names.filter((name) => name.startsWith('x-caracal-') || name.includes('authorization') || name === 'dpop'),
    ).toEqual([]);
  });

  it.each([
    ['no X-Caracal-Resource', [], 400, 'invalid_request'],
    [
      'two of them',
      ['X-Caracal-Resource: resource://orders', 'X-Caracal-Resource: resource://orders'],
      400,
      'invalid_request',
    ],
    [
      'two zones',
      ['X-Caracal-Resource: resource://orders', 'X-Caracal-Zone: team.main', 'X-Caracal-Zone: team.main'],
      400,
      'invalid_request',
    ],
    ['a disguised one', ['X_Caracal_Resource: resource://orders'], 400, 'invalid_request'],
    ['a Resource that nobody knows', ['X-Caracal-Resource: resource://nothing'], 404, 'resource_not_found'],
    ['one that has no upstream', ['X-Caracal-Resource: resource://inside'], 404, 'resource_not_found'],
    [
      'another zone',
      ['X-Caracal-Resource: resource://orders', 'X-Caracal-Zone: team.other'],
      404,
      'resource_not_found',
    ],
  ] as const)('refuses %s', async (_name, headers, status, error) => {
    const world = await startEdge(local);
    const answer = await world.send('GET /orders', { headers });
    expect([answer.status, errorOf(answer)]).toEqual([status, error]);
    expect(world.upstream.received).toEqual([]);
  });

  it('E-05 passes redirects back and follows none', async () => {
    const world = await startEdge(local);
    for (const status of [301, 302, 303, 307, 308]) {
      world.upstream.handler = (_request, response) =>
        void response.writeHead(status, { Location: `${local(world.upstream)}/secret` }).end();
      const answer = await world.send('GET /orders', byHeader());
      expect([answer.status, header(answer, 'location')]).toEqual([status, `${local(world.upstream)}/secret`]);
    }
    expect(world.upstream.received.map(({ url }) => url)).toEqual(Array(5).fill('/orders'));
  });

  it('enforces as a protecting gateway does', async () => {
    const world = await startEdge(local);
    expect((await world.send('GET /orders', { ...byHeader(), token: null })).status).toBe(401);
    expect((await world.send('GET /orders/all', byHeader())).status).toBe(403);
    expect(
      (await world.send('GET /orders', { ...byHeader(), token: world.sts.mint({ aud: ['resource://inside'] }) }))
        .status,
    ).toBe(401);
  });
});

describe('addresses', () => {
  const HOSTS = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '0.0.0.0',
    'localhost',
    '169.254.169.254',
    '[fd00:ec2::254]',
    '10.0.0.1',
    '100.64.0.1',
    '192.168.0.1',
    '[fe80::1]',
    '224.0.0.1',
  ];

  it.each(HOSTS)('E-01 E-02 E-04 %s is not dialled', async (host) => {
    const world = await startEdge(({ port }) => `http://${host}:${port}`, []);
    const answer = await world.send('GET /orders', byHeader());
    expect([answer.status, errorOf(answer)]).toEqual([502, 'upstream_unavailable']);
    expect(world.upstream.received).toEqual([]);
  });

  it('E-02 the metadata address is not dialled, whatever is allowed', async () => {
    const world = await startEdge(() => 'http://169.254.169.254/', ['0.0.0.0/0']);
    expect((await world.send('GET /orders', byHeader())).status).toBe(502);
  });

  it('a name is resolved, judged and dialled where its range is allowed', async () => {
    const world = await startEdge(({ port }) => `http://localhost:${port}`, ['127.0.0.0/8', '::1/128']);
    expect((await world.send('GET /orders', byHeader())).status).toBe(200);
  });

  it('E-14 TLS of an upstream is verified', async () => {
    const world = await startEdge(({ port }) => `https://127.0.0.1:${port}`);
    expect((await world.send('GET /orders', byHeader())).status).toBe(502);
  });
});

describe('several zones', () => {
  async function startTwo(): Promise<{ port: number; first: FakeSTS; second: FakeSTS; upstream: Upstream }> {
    const upstream = await startUpstream();
    const clock = createMovableClock();
    const orders: FeedResource = { ...ORDERS, upstream: local(upstream) };
    const first = await startFakeSTS([orders], clock.truth);
    const second = await startFakeSTS(
      [orders, { ...orders, identifier: 'resource://only', name: 'only' }],
      clock.truth,
      'other.zone',
    );
    const zone = (sts: FakeSTS, zoneID: string) => ({
      issuer: sts.url,
      url: sts.url,
      zoneID,
      token: async () => 'a.b.c',
    });
    const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const gateway = createGateway(
      {
        zones: [zone(first, ZONE), zone(second, 'other.zone')],
        protect: [],
        edge: LISTEN,
        allowUpstreamRanges: LOOPBACK,
        drainMs: 0,
      },
      { clock, randomBytes: (size) => randomBytes(size), log: silent },
    );
    const { edge } = await gateway.start();
    stops.push(async () => {
      await gateway.close();
      await Promise.all([first.close(), second.close(), upstream.close()]);
    });
    await until(() => gateway.ready().ready);
    return { port: edge!, first, second, upstream };
  }

  it('with one identifier need X-Caracal-Zone, and one zone’s mandate is nothing in the other', async () => {
    const { port, first, second } = await startTwo();
    const send = (sts: FakeSTS, ...headers: readonly string[]) =>
      sendRaw(
        port,
        toRequest([
          'GET /orders HTTP/1.1',
          'Host: edge',
          `Authorization: Bearer ${sts.mint()}`,
          'X-Caracal-Resource: resource://orders',
          ...headers,
        ]),
      );
    const ambiguous = await send(first);
    expect([ambiguous.status, ambiguous.body]).toEqual([400, expect.stringContaining('X-Caracal-Zone')]);
    expect((await send(first, `X-Caracal-Zone: ${ZONE}`)).status).toBe(200);
    expect((await send(second, 'X-Caracal-Zone: other.zone')).status).toBe(200);
    expect((await send(first, 'X-Caracal-Zone: other.zone')).status).toBe(401);
    const only = [
      'GET /orders HTTP/1.1',
      'Host: edge',
      `Authorization: Bearer ${second.mint({ aud: ['resource://only'] })}`,
    ];
    expect((await sendRaw(port, toRequest([...only, 'X-Caracal-Resource: resource://only']))).status).toBe(200);
  });
});

describe('RFC 9728 metadata', () => {
  it('is served for https identifiers without a mandate, and named by every challenge', async () => {
    const identifier = 'https://api.test/orders';
    const world = await startWorld({ resources: [{ ...ORDERS, identifier }] });
    stops.push(() => world.stop());
    const url = 'https://api.test/.well-known/oauth-protected-resource/orders';
    const bare = await world.send('GET /orders', { token: null });
    expect(header(bare, 'www-authenticate')).toBe(`Bearer resource_metadata="${url}"`);
    const forged = await world.send('GET /orders', { token: 'a.b.c' });
    expect(header(forged, 'www-authenticate')).toBe(`Bearer resource_metadata="${url}", error="invalid_token"`);
    for (const path of ['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/orders']) {
      const answer = await world.send(`GET ${path}`, { token: null });
      expect([answer.status, JSON.parse(answer.body)]).toEqual([
        200,
        {
          resource: identifier,
          authorization_servers: [world.sts.url],
          scopes_supported: ORDERS.scopes,
          bearer_methods_supported: ['header'],
          dpop_signing_alg_values_supported: ['ES256'],
        },
      ]);
    }
    expect((await world.send('GET /.well-known/oauth-protected-resource/other', { token: null })).status).toBe(401);
  });

  it('is not there for other identifiers', async () => {
    const world = await startWorld();
    stops.push(() => world.stop());
    expect((await world.send('GET /.well-known/oauth-protected-resource', { token: null })).status).toBe(401);
  });
});
