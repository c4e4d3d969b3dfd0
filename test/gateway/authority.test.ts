/** Continuous authority: what a gateway does when authority changes, when the STS is silent, and when clocks jump. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGateway } from '../../src/gateway/gateway.ts';
import { errorOf, header, openRaw, sendRaw, toRequest } from './rawHTTP.ts';
import { createMovableClock, ORDERS, startWorld, toBytes, until, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world.stop());

const read = async (token: string) => (await world.send('GET /orders', { token })).status;
const changed = (epoch: number) => until(async () => (await read(world.sts.mint({ epoch }))) === 200);

describe('a change of authority', () => {
  it('R-01 asks about the mandates that it can touch, once, and refuses what is no longer in force', async () => {
    const { sts } = world;
    const token = sts.mint();
    expect(await read(token)).toBe(200);
    expect(sts.asked).toEqual([]);
    sts.state.judge = () => ({ valid: false, reason: 'ScopeNotGranted' });
    sts.change({ applications: ['team.agent'] });
    await changed(sts.state.epoch);
    const answer = await world.send('GET /orders', { token });
    expect([answer.status, errorOf(answer)]).toEqual([401, 'invalid_token']);
    expect(await read(token)).toBe(401);
    expect(sts.asked).toEqual([{ mandates: [token], min_epoch: sts.state.epoch }]);
  });

  it('leaves mandates alone that it cannot touch', async () => {
    const { sts } = world;
    const token = sts.mint();
    sts.change({ applications: ['team.other'], resources: ['resource://others'] });
    await changed(sts.state.epoch);
    expect(await read(token)).toBe(200);
    expect(sts.asked).toEqual([]);
  });

  it.each(['all', 'resources'] as const)('that names %s asks too, and a yes is kept until the next one', async (by) => {
    const { sts } = world;
    const token = sts.mint();
    const change = by === 'all' ? { all: true } : { resources: ['resource://orders'] };
    sts.change(change);
    await changed(sts.state.epoch);
    expect([await read(token), await read(token)]).toEqual([200, 200]);
    expect(sts.asked.length).toBe(1);
    sts.change(change);
    await changed(sts.state.epoch);
    expect(await read(token)).toBe(200);
    expect(sts.asked.length).toBe(2);
  });

  it('asks in one batch for requests that wait together', async () => {
    const { sts } = world;
    const tokens = Array.from({ length: 20 }, () => sts.mint());
    sts.change({ all: true });
    await changed(sts.state.epoch);
    const connection = await openRaw(world.port);
    connection.write(Buffer.concat(tokens.map((token) => toBytes('GET /orders', { token }, sts))));
    for (const _token of tokens) expect((await connection.answer()).status).toBe(200);
    connection.destroy();
    expect(sts.asked.flatMap(({ mandates }) => mandates).length).toBe(20);
    expect(sts.asked.length).toBeLessThan(3);
  });

  it('refuses while the policy cannot be evaluated, and asks again for the next request', async () => {
    const { sts } = world;
    const token = sts.mint();
    sts.state.judge = () => ({ valid: false, reason: 'PolicyFailed' });
    sts.change({ applications: ['team.agent'] });
    await changed(sts.state.epoch);
    expect(await read(token)).toBe(503);
    sts.state.judge = () => ({ valid: true });
    expect(await read(token)).toBe(200);
  });

  it('R-03 a gap in the epochs asks about everything older', async () => {
    const { sts } = world;
    const token = sts.mint();
    sts.state.epoch += 5;
    sts.change({ applications: ['team.other'] });
    await changed(sts.state.epoch);
    expect(await read(token)).toBe(200);
    expect(sts.asked.length).toBe(1);
  });

  it('R-03 an epoch that only a heartbeat tells asks as well', async () => {
    const { sts } = world;
    const token = sts.mint();
    sts.state.epoch += 1;
    sts.heartbeat();
    await changed(sts.state.epoch);
    expect(await read(token)).toBe(200);
    expect(sts.asked.length).toBe(1);
  });

  it('that the STS cannot be asked about denies with 503 after a second', async () => {
    const { sts } = world;
    const token = sts.mint();
    sts.change({ all: true });
    await changed(sts.state.epoch);
    sts.state.revalidationStatus = 500;
    const answer = await world.send('GET /orders', { token });
    expect([answer.status, errorOf(answer), header(answer, 'retry-after')]).toEqual([503, 'sts_unavailable', '1']);
    sts.state.revalidationStatus = undefined;
    expect(await read(token)).toBe(200);
  });

  it('that a mandate is ahead of waits for the feed, and denies with 503 when it does not come', async () => {
    const { sts } = world;
    const ahead = sts.mint({ epoch: sts.state.epoch + 1 });
    const waiting = read(ahead);
    sts.change({ applications: ['team.other'] });
    expect(await waiting).toBe(200);
    expect(await read(sts.mint({ epoch: sts.state.epoch + 1 }))).toBe(503);
  });

  it('R-19 a frozen zone refuses everything', async () => {
    const { sts } = world;
    const token = sts.mint();
    expect(await read(token)).toBe(200);
    sts.state.frozen = true;
    sts.publish();
    await until(async () => (await read(token)) === 401);
  });

  it('a Resource that is taken away is not served', async () => {
    const { sts } = world;
    const token = sts.mint();
    sts.state.resources = [];
    sts.publish();
    await until(async () => (await read(token)) === 503);
    expect(world.gateway.ready()).toEqual({ ready: false, reason: expect.stringContaining('team/orders') as string });
    sts.state.resources = [ORDERS];
    sts.publish();
    await until(async () => (await read(token)) === 200);
  });
});

describe('another life of the store', () => {
  it('R-20 drops what was remembered: every earlier mandate is asked about, also where epochs begin lower', async () => {
    const { sts } = world;
    const token = sts.mint();
    expect(await read(token)).toBe(200);
    sts.state.incarnation = 'second';
    sts.state.epoch = 500;
    sts.state.judge = ({ epoch }) => ({ valid: epoch === 500 });
    sts.dropStreams();
    await until(() => sts.lastEventIDs.length === 2 && sts.streams() === 1);
    await until(async () => (await read(sts.mint())) === 200);
    expect(await read(token)).not.toBe(200);
    const older = sts.mint({ epoch: 400 });
    expect(await read(older)).toBe(401);
  });

  it('resumes the feed where it was', async () => {
    const { sts } = world;
    sts.change({ all: true });
    await changed(sts.state.epoch);
    sts.dropStreams();
    await until(() => sts.lastEventIDs.length === 2);
    expect(sts.lastEventIDs[0]).toBeUndefined();
    expect(sts.lastEventIDs[1]).toMatch(/^first\.1001\.[0-9a-f]{64}$/);
    expect([...sts.authorizations]).toEqual(['Bearer gateway.projected.token']);
  });
});

describe('a Zone that is created anew under its name', () => {
  it('R-01 is served though its epochs begin lower, and what was remembered of the old one counts for nothing', async () => {
    const { sts } = world;
    const token = sts.mint();
    expect(await read(token)).toBe(200);
    sts.state.zoneUID = 'uid-2';
    sts.state.epoch = 500;
    sts.state.judge = ({ epoch }) => ({ valid: epoch === 500 });
    sts.publish();
    await until(async () => (await read(sts.mint())) === 200);
    expect(await read(token)).not.toBe(200);
    expect(await read(sts.mint({ epoch: 400 }))).toBe(401);
    expect(sts.lastEventIDs.length).toBe(1);
  });
});

describe('an event that is not whole', () => {
  const GOOD = {
    zone_id: 'team.main',
    zone_uid: 'uid-1',
    stale_after_ms: 10_000,
    frozen: false,
    resources: [],
    digest: 'd',
  };
  const BROKEN: readonly (readonly [name: string, event: string, data: (url: string) => unknown])[] = [
    ['a heartbeat without epoch', 'heartbeat', () => ({ nonce: null })],
    ['a heartbeat with an epoch in text', 'heartbeat', () => ({ nonce: null, epoch: '1000' })],
    ['an epoch without change', 'epoch', () => ({ epoch: 1001 })],
    ['a change without all', 'epoch', () => ({ epoch: 1001, change: { applications: [], resources: [] } })],
    ['keys that are none', 'keys', () => ({ keys: [{ kid: 1 }] })],
    [
      'R-07 the configuration of another zone',
      'config',
      (issuer) => ({ ...GOOD, issuer, zone_id: 'a.b', epoch: 1001 }),
    ],
    ['R-07 the configuration of another issuer', 'config', () => ({ ...GOOD, issuer: 'https://evil', epoch: 1001 })],
    ['R-07 a configuration older than what is known', 'config', (issuer) => ({ ...GOOD, issuer, epoch: 999 })],
    [
      'an operation that needs nothing',
      'config',
      (issuer) => ({
        ...{ ...GOOD, issuer, epoch: 1001 },
        resources: [{ ...ORDERS, operations: [{ methods: ['GET'], path: '/**', scopes: [] }] }],
      }),
    ],
  ];

  it.each(BROKEN)('%s ends the stream and changes nothing', async (_name, event, data) => {
    const { sts } = world;
    const token = sts.mint();
    expect(await read(token)).toBe(200);
    sts.say(event, data(sts.url));
    await until(() => sts.lastEventIDs.length === 2);
    expect(await read(token)).toBe(200);
    expect((await world.send('GET /anything', { token })).status).toBe(403);
  });
});

describe('freshness', () => {
  it('R-08 is a nonce’s round trip: heartbeats that bring none back do not keep it, and it returns with one', async () => {
    const { sts, clock } = world;
    const token = sts.mint();
    expect(await read(token)).toBe(200);
    sts.state.echoes = false;
    clock.advance(10_500);
    sts.heartbeat();
    const answer = await world.send('GET /orders', { token });
    expect([answer.status, errorOf(answer)]).toEqual([503, 'sts_unavailable']);
    expect(world.gateway.ready().ready).toBe(false);
    sts.state.echoes = true;
    await until(async () => (await read(sts.mint())) === 200);
  });

  it('R-10 a process that slept denies with the request in its hand', async () => {
    const { sts, clock } = world;
    sts.state.accepts = false;
    sts.dropStreams();
    clock.advance(60_000);
    expect(await read(sts.mint())).toBe(503);
    sts.state.accepts = true;
  });

  it.each([-600_000, 600_000])(
    'R-09 a wall clock that jumps by %d ms denies, also once the feed is heard again',
    async (jump) => {
      const { sts, clock } = world;
      const token = sts.mint();
      const acks = sts.acks.length;
      clock.setWall(jump);
      expect(await read(token)).toBe(503);
      await until(() => sts.acks.length > acks + 1);
      expect(await read(token)).toBe(503);
      clock.setWall(-jump);
      await until(async () => (await read(sts.mint())) === 200);
    },
  );

  it('a gateway that never reached its STS denies and is not ready', async () => {
    const own = await startWorldUnreached();
    expect(own.ready).toEqual({ ready: false, reason: expect.stringContaining('freshness') as string });
    expect(own.status).toBe(503);
  });

  it('what it enforces is acknowledged, with the cursor it has', async () => {
    const { sts } = world;
    sts.state.resources = [{ ...ORDERS, scopes: ['orders:read'] }];
    sts.publish();
    await until(() => new Set(sts.acks.map(({ digest }) => digest)).size === 2);
    const last = sts.acks.at(-1)!;
    expect(last.cursor.endsWith(last.digest)).toBe(true);
    expect(last.stream_id).toBe('stream-1');
  });
});

async function startWorldUnreached() {
  const listen = { host: '127.0.0.1', port: 0 };
  const zone = {
    issuer: 'http://127.0.0.1:1',
    url: 'http://127.0.0.1:1',
    zoneID: 'team.main',
    token: async () => 'a.b.c',
  };
  const gateway = createGateway(
    {
      zones: [zone],
      protect: [{ zoneID: 'team.main', resource: 'team/orders', listen, target: '127.0.0.1:1' }],
      allowUpstreamRanges: [],
      drainMs: 0,
    },
    {
      clock: createMovableClock(),
      randomBytes: (size) => randomBytes(size),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    },
  );
  const { protect } = await gateway.start();
  const answer = await sendRaw(
    protect[0]!,
    toRequest(['GET /orders HTTP/1.1', 'Host: a', `Authorization: Bearer ${world.sts.mint()}`]),
  );
  const ready = gateway.ready();
  await gateway.close();
  return { ready, status: answer.status };
}
