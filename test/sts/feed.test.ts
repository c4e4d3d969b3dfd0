/** The feed of gateways: who may read it, what each gets, and that freshness is proved by a round trip. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { grant, resource, zone } from '../compiler/world.ts';
import { acknowledge, bearer, gatewayOf, gatewayToken, openFeed, type Feed } from './gateway.ts';
import { LEDGER, PAYMENTS, ZONE_UID } from './shop.ts';
import { errorOf, podToken, startSTS, WAIT, type TestSTS } from './service.ts';
import { cluster, ISSUER, podOf, serviceAccountClaims, signAs, stranger, type Claims } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const names = (feed: Feed) => feed.events.map(({ event }) => event);
const identifiers = (data: Readonly<Record<string, unknown>>) =>
  (data['resources'] as readonly { readonly identifier: string }[]).map(({ identifier }) => identifier);

async function ackOf(feed: Feed, nonce: string) {
  const [hello, config] = await Promise.all([feed.wait('hello'), feed.wait('config')]);
  return { stream_id: hello.data['stream_id'], cursor: config.id, digest: config.data['digest'], nonce };
}

/** Without the first Grant, and with everything again. */
async function flip(): Promise<void> {
  const before = sts.world();
  await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
  await sts.apply(() => before);
}

describe('the feed', () => {
  const refused: readonly (readonly [string, Claims, string])[] = [
    ['for the clients of the zone', { aud: [`${ISSUER}/zones/shop.main`] }, '401 invalid_token'],
    ['X-10 for the gateways of another zone', { aud: [`${ISSUER}/zones/bank.main/gateways`] }, '401 invalid_token'],
    ['for two audiences', { aud: [`${ISSUER}/zones/shop.main/gateways`, ISSUER] }, '401 invalid_token'],
    ['of a dead pod', { 'kubernetes.io': podOf('shop', 'gateway', 'dead') }, '401 invalid_token'],
    ['of a pod nobody has heard of', { 'kubernetes.io': podOf('shop', 'gateway', 'unheard') }, '503 sts_unavailable'],
    ['without a pod', { 'kubernetes.io': { namespace: 'shop' } }, '401 invalid_token'],
  ];
  it.each(refused)('with a token %s is refused', async (_, claims, expected) => {
    sts.pods.set('dead', 'gone').set('unheard', 'unknown');
    const headers = bearer(gatewayToken(sts, claims));
    expect(errorOf(await sts.send({ path: '/v1/feed?zone_id=shop.main', headers }))).toBe(expected);
  });

  it('without a token of the cluster is refused', async () => {
    const forged = signAs(
      stranger,
      serviceAccountClaims(sts.seconds(), { aud: [`${ISSUER}/zones/shop.main/gateways`] }),
    );
    for (const headers of [{}, bearer(''), bearer('x'), bearer(forged), { authorization: 'Basic YTpi' }]) {
      const answer = await sts.send({ path: '/v1/feed?zone_id=shop.main', headers });
      expect([errorOf(answer), answer.headers['www-authenticate']]).toEqual(['401 invalid_token', 'Bearer']);
    }
  });

  it('needs one zone that exists', async () => {
    const headers = bearer(gatewayToken(sts));
    for (const path of ['/v1/feed', '/v1/feed?zone_id=', '/v1/feed?zone_id=shop.main&zone_id=shop.main'])
      expect(errorOf(await sts.send({ path, headers }))).toBe('400 invalid_request');
    const elsewhere = bearer(gatewayToken(sts, { aud: [`${ISSUER}/zones/no.zone/gateways`] }));
    expect(errorOf(await sts.send({ path: '/v1/feed?zone_id=no.zone', headers: elsewhere }))).toBe(
      '404 zone_not_found',
    );
  });

  it('begins with hello, keys, config and a heartbeat', async () => {
    const feed = await openFeed(sts);
    const heartbeat = await feed.wait('heartbeat');
    expect(names(feed)).toEqual(['hello', 'keys', 'config', 'heartbeat']);
    expect([feed.status, feed.headers['content-type']]).toEqual([200, 'text/event-stream']);
    const [hello, keys, config] = feed.events;
    expect(hello!.data['incarnation']).toBe(sts.store().incarnation);
    const published = sts.keys.get(ZONE_UID)!.map(({ kid, x, y }) => ({ kid, x, y }));
    expect(keys!.data).toEqual({ keys: published });
    expect(config!.data).toMatchObject({ zone_id: 'shop.main', zone_uid: ZONE_UID, issuer: ISSUER, frozen: false });
    expect(config!.data['stale_after_ms']).toBe(10_000);
    expect(identifiers(config!.data)).toEqual([LEDGER, PAYMENTS]);
    expect(heartbeat.data).toEqual({ nonce: null, epoch: config!.data['epoch'] });
  });

  it('shows a gateway only what its ServiceAccount may serve', async () => {
    const before = sts.world();
    const guarded = resource(
      { scopes: [{ name: 'read' }], protectedBy: [{ serviceAccount: 'vault' }] } as Parameters<typeof resource>[0],
      { name: 'ledger' },
    );
    await sts.apply((world) => ({ ...world, resources: [world.resources[0]!, guarded, world.resources[2]!] }));
    const seen = async (token: string) => identifiers((await (await openFeed(sts, { token })).wait('config')).data);
    expect(await seen(gatewayOf(sts, 'shop', 'gateway'))).toEqual([PAYMENTS]);
    expect(await seen(gatewayOf(sts, 'shop', 'vault'))).toEqual([LEDGER, PAYMENTS]);
    expect(await seen(gatewayOf(sts, 'bank', 'gateway'))).toEqual([]);
    await sts.apply(() => before);
  });

  it('tells an upstream to edge gateways only: those of the zone’s own namespace', async () => {
    const before = sts.world();
    const [payments, ...others] = before.resources;
    const upstream = { url: 'https://payments.example' };
    type Spec = Parameters<typeof resource>[0];
    const reached = resource({ ...payments!.spec, upstream } as Spec);
    const teamAPI = { identifier: 'resource://api.team', zoneRef: { name: 'main', namespace: 'shop' }, upstream };
    await sts.apply((world) => ({
      ...world,
      zones: world.zones.map((zone) =>
        zone.metadata.namespace === 'shop'
          ? { ...zone, spec: { ...zone.spec, allowedNamespaces: { from: 'All' } } }
          : zone,
      ),
      resources: [reached, resource(teamAPI as Spec, { name: 'api', namespace: 'team' }), ...others],
    }));
    const upstreams = async (namespace: string) => {
      const feed = await openFeed(sts, { token: gatewayOf(sts, namespace, 'gateway') });
      const resources = (await feed.wait('config')).data['resources'] as { identifier: string; upstream?: string }[];
      return Object.fromEntries(resources.map((one) => [one.identifier, one.upstream]));
    };
    expect(await upstreams('shop')).toEqual({
      ...{ 'resource://api.team': upstream.url, [PAYMENTS]: upstream.url, [LEDGER]: undefined },
    });
    expect(await upstreams('team')).toEqual({ 'resource://api.team': undefined });
    expect(await upstreams('bank')).toEqual({});
    await sts.apply(() => before);
  });

  it('tells how mandates are to be used on each Resource', async () => {
    const before = sts.world();
    const [payments, ...others] = before.resources;
    const spec = {
      ...payments!.spec,
      forwardMandate: true,
      mandate: { singleUse: true, proofOfPossession: 'Required' },
    } as const;
    const plain = await (await openFeed(sts)).wait('config');
    const asOf = (forward: boolean, single: boolean, proof: string) =>
      expect.objectContaining({ forward_mandate: forward, single_use: single, proof_of_possession: proof });
    expect(plain.data['resources']).toContainEqual(asOf(false, false, 'Optional'));
    await sts.apply((world) => ({ ...world, resources: [resource(spec), ...others] }));
    const strict = await (await openFeed(sts)).wait('config');
    expect(strict.data['resources']).toContainEqual(asOf(true, true, 'Required'));
    expect(strict.data['digest']).not.toBe(plain.data['digest']);
    await sts.apply(() => before);
  });

  it('sends a heartbeat every two seconds', async () => {
    const feed = await openFeed(sts);
    await vi.waitFor(() => expect(names(feed).filter((name) => name === 'heartbeat').length).toBeGreaterThan(2), WAIT);
  });
});

describe('an acknowledgement', () => {
  it('is answered by a heartbeat with its nonce at once', async () => {
    const feed = await openFeed(sts);
    expect((await acknowledge(sts, await ackOf(feed, 'nonce-1'))).status).toBe(204);
    await feed.wait('heartbeat', ({ nonce }) => nonce === 'nonce-1');
  });

  it('without a stream is for every stream of the gateway, and of nobody else’s', async () => {
    const feed = await openFeed(sts);
    const { stream_id: _stream, ...ack } = await ackOf(feed, 'all-of-mine');
    const other = gatewayOf(sts, 'shop', 'gateway', 'a-third-pod');
    expect((await acknowledge(sts, ack, other)).status).toBe(404);
    expect((await acknowledge(sts, ack)).status).toBe(204);
    await feed.wait('heartbeat', ({ nonce }) => nonce === 'all-of-mine');
  });

  it('of another gateway’s stream, or of none, is 404', async () => {
    const feed = await openFeed(sts);
    const ack = await ackOf(feed, 'stolen');
    const other = gatewayOf(sts, 'shop', 'gateway', 'another-pod');
    expect((await acknowledge(sts, ack, other)).status).toBe(404);
    expect((await acknowledge(sts, { ...ack, stream_id: 'none' })).status).toBe(404);
    expect((await acknowledge(sts, ack, podToken(sts))).status).toBe(401);
    await acknowledge(sts, { ...ack, nonce: 'own' });
    await feed.wait('heartbeat', ({ nonce }) => nonce === 'own');
    expect(JSON.stringify(feed.events)).not.toContain('stolen');
  });

  it('that is malformed is 400', async () => {
    const feed = await openFeed(sts);
    const ack = await ackOf(feed, 'n');
    for (const body of [
      '',
      'x',
      '[]',
      {},
      { ...ack, nonce: 7 },
      { ...ack, more: 1 },
      { ...ack, nonce: 'x'.repeat(129) },
    ])
      expect(errorOf(await acknowledge(sts, body as object))).toBe('400 invalid_request');
  });
});

describe('a change of authority', () => {
  it('is told at once as an epoch that names what it touches', async () => {
    const feed = await openFeed(sts);
    const config = await feed.wait('config');
    const before = sts.world();
    const applying = sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    const { data, id } = await feed.wait('epoch');
    expect(data).toEqual({
      epoch: (config.data['epoch'] as number) + 1,
      change: { all: false, applications: ['shop.cart'], resources: [] },
    });
    expect(id).toContain(sts.store().incarnation);
    await applying;
    await sts.apply(() => before);
  });

  it('that freezes the zone sends a frozen config and an epoch that touches everything', async () => {
    const feed = await openFeed(sts);
    await feed.wait('config');
    const before = sts.world();
    const frozen = zone({ ...before.zones[0]!.spec, freeze: { reason: 'incident' } });
    await sts.apply((world) => ({ ...world, zones: [frozen, world.zones[1]!] }));
    await feed.wait('config', (data) => data['frozen'] === true);
    const { data } = await feed.wait('epoch');
    expect(data['change']).toMatchObject({ all: true });
    await sts.apply(() => before);
  });

  it('that only adds a Resource sends a config and no epoch', async () => {
    const feed = await openFeed(sts);
    await feed.wait('config');
    const before = sts.world();
    const added = resource({ scopes: [{ name: 'read' }] }, { name: 'added' });
    await sts.apply((world) => ({ ...world, resources: [...world.resources, added] }));
    await feed.wait('config', (data) => identifiers(data).includes('resource://added.shop'));
    await sts.apply(() => before);
    await feed.wait('epoch');
    expect(names(feed).filter((name) => name === 'epoch')).toHaveLength(1);
  });

  it('of another zone is told to nobody here', async () => {
    const feed = await openFeed(sts);
    await feed.wait('heartbeat');
    const before = sts.world();
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(0, -1) }));
    await sts.apply(() => before);
    await flip();
    await feed.wait('epoch');
    const epochs = feed.events.filter(({ event }) => event === 'epoch');
    for (const { data } of epochs) expect(data['change']).toMatchObject({ applications: ['shop.cart'] });
  });

  it('that ends the zone closes the feed after a config in which nothing passes', async () => {
    const feed = await openFeed(sts);
    await feed.wait('config');
    const before = sts.world();
    await sts.apply((world) => ({ ...world, zones: world.zones.slice(1) }));
    const closed = await feed.wait('config', (data) => data['frozen'] === true);
    expect(identifiers(closed.data)).toEqual([]);
    await vi.waitFor(() => expect(feed.isOver()).toBe(true), WAIT);
    await sts.apply(() => before);
  });

  it('of the keys sends them, before any mandate that they sign', async () => {
    const feed = await openFeed(sts);
    await feed.wait('keys');
    const before = sts.world();
    const set = before.keySets.get(ZONE_UID)!;
    if (!set.ok) throw new Error('the zone has keys');
    const fewer = { ok: true as const, keys: set.keys.slice(0, 1) };
    await sts.apply((world) => ({ ...world, keySets: new Map([...world.keySets, [ZONE_UID, fewer]]) }));
    await feed.wait('keys', ({ keys }) => (keys as readonly unknown[]).length === 1);
    await sts.apply(() => before);
  });
});

describe('a stream', () => {
  it('that resumes gets the epochs it missed', async () => {
    const first = await openFeed(sts);
    const { id, data } = await first.wait('config');
    first.close();
    await flip();
    const again = await openFeed(sts, { lastEventID: id! });
    await again.wait('heartbeat');
    const missed = again.events.filter(({ event }) => event === 'epoch').map((event) => event.data['epoch']);
    expect(missed).toEqual([(data['epoch'] as number) + 1, (data['epoch'] as number) + 2]);
  });

  it('of another incarnation, or of none of ours, starts afresh', async () => {
    const first = await openFeed(sts);
    const { id } = await first.wait('config');
    await flip();
    for (const lastEventID of [id!.replace(/^[^.]+/, 'another'), 'x', '']) {
      const again = await openFeed(sts, { lastEventID });
      await again.wait('heartbeat');
      expect(names(again)).toEqual(['hello', 'keys', 'config', 'heartbeat']);
    }
  });

  it('that has seen more than this replica is refused', async () => {
    const first = await openFeed(sts);
    const { id } = await first.wait('config');
    const ahead = id!.replace(/\.(\d+)\./, (_, epoch: string) => `.${Number(epoch) + 100}.`);
    expect((await openFeed(sts, { lastEventID: ahead })).status).toBe(503);
  });

  it('ends when its token does, and when its pod is gone', async () => {
    const short = await openFeed(sts, { token: gatewayToken(sts, { exp: sts.seconds() + 2 }) });
    const pod = await openFeed(sts, { token: gatewayOf(sts, 'shop', 'gateway', 'leaving') });
    const kept = await openFeed(sts);
    await Promise.all([short, pod, kept].map((feed) => feed.wait('config')));
    sts.pods.set('leaving', 'gone');
    sts.advance(3);
    await vi.waitFor(() => expect([short.isOver(), pod.isOver()]).toEqual([true, true]), WAIT);
    expect(kept.isOver()).toBe(false);
  });

  it('gets no proof of freshness while the store cannot be read, and gets it again after', async () => {
    const feed = await openFeed(sts);
    await feed.wait('heartbeat');
    const ack = await ackOf(feed, 'while-away');
    await sts.store().close();
    await vi.waitFor(async () => expect((await sts.send({ path: '/ready' })).status).toBe(503), WAIT);
    expect((await acknowledge(sts, ack)).status).toBe(204);
    const before = sts.world();
    const set = before.keySets.get(ZONE_UID)!;
    if (!set.ok) throw new Error('the zone has keys');
    const fewer = { ok: true as const, keys: set.keys.slice(0, 1) };
    // In force, and not programmed: it cannot be recorded.
    const applied = sts.apply((world) => ({ ...world, keySets: new Map([...world.keySets, [ZONE_UID, fewer]]) }));
    void applied.catch(() => undefined);
    await feed.wait('keys', ({ keys }) => (keys as readonly unknown[]).length === 1);
    expect(JSON.stringify(feed.events)).not.toContain('while-away');
    await sts.restart();
    await sts.apply(() => before);
    const again = await openFeed(sts);
    await acknowledge(sts, await ackOf(again, 'back'));
    await again.wait('heartbeat', ({ nonce }) => nonce === 'back');
  });
});

describe('a gateway’s token', () => {
  it('X-02 is no client assertion, and a client’s is no gateway’s', async () => {
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    const form = { zone_id: 'shop.main', client_assertion: gatewayToken(sts), client_assertion_type: type };
    expect(errorOf(await sts.token({ ...form, resource: PAYMENTS, scope: 'read' }))).toBe('401 invalid_client');
    const headers = bearer(signAs(cluster, serviceAccountClaims(sts.seconds())));
    expect((await sts.send({ path: '/v1/feed?zone_id=shop.main', headers })).status).toBe(401);
  });
});

describe('an unrelated Grant', () => {
  it('that is added for an application and resource of the zone is told, since policies see it', async () => {
    const feed = await openFeed(sts);
    await feed.wait('config');
    const before = sts.world();
    const added = grant({ scopes: ['read'] }, { name: 'second' });
    await sts.apply((world) => ({ ...world, grants: [...world.grants, added] }));
    expect((await feed.wait('epoch')).data['change']).toMatchObject({ applications: ['shop.cart'] });
    await sts.apply(() => before);
  });
});
