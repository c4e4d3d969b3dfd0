/** Rows of the catalogue that are about the gateway as a whole: queries, protocols, lookups that fail, answers without end. */
import { randomBytes } from 'node:crypto';
import { connect as connectTLS } from 'node:tls';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createEventParser } from '../../src/gateway/feed/events.ts';
import { parseConfig, parseEpoch, parseHeartbeat, parseHello, parseKeys } from '../../src/gateway/feed/messages.ts';
import { createSTSClient } from '../../src/gateway/stsClient.ts';
import { createZoneState } from '../../src/gateway/zoneState.ts';
import { localhostCertificate as cert, localhostKey as key } from '../tokens/localhostCertificate.ts';
import { errorOf, header, openRaw } from './rawHTTP.ts';
import { ORDERS, startWorld, toBytes, until, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterEach(() => void (world.upstream.handler = undefined));
afterAll(() => world.stop());

const last = () => world.upstream.received.at(-1);

describe('H-13 a query', () => {
  it.each(['a=1&a=2', 'a=1;b=2', 'x=%0d%0aX-Caracal-Subject:%20root', `long=${'x'.repeat(8000)}`, '?', 'a=%2e%2e/'])(
    '%s goes on byte for byte, and judges nothing',
    async (query) => {
      expect((await world.send(`GET /orders?${query}`)).status).toBe(200);
      expect(last()?.url).toBe(`/orders?${query}`);
      expect((await world.send(`GET /orders?${query}`, { token: null })).status).toBe(401);
      expect((await world.send(`DELETE /orders?${query}`)).status).toBe(403);
    },
  );

  it.each(['a=\x01', 'a=\xff', 'a=\x7f', 'a#b'])('with %j is refused', async (query) => {
    expect((await world.send(`GET /orders?${query}`)).status).toBe(400);
  });

  it('is no place for a mandate', async () => {
    const answer = await world.send(`GET /orders?access_token=${world.sts.mint()}`, { token: null });
    expect([answer.status, errorOf(answer)]).toEqual([401, 'missing_token']);
  });
});

describe('H-31 a listener with a certificate', () => {
  it('offers no HTTP/2, also to who asks for nothing else', async () => {
    const secure = await startWorld({ config: () => ({ tls: { cert, key } }) });
    const spoken = (ALPNProtocols: string[]) =>
      new Promise<string | false | null>((resolve) => {
        const options = { port: secure.port, host: '127.0.0.1', servername: 'localhost', ca: cert, ALPNProtocols };
        const socket = connectTLS(options, () => {
          resolve(socket.alpnProtocol);
          socket.destroy();
        });
        socket.on('error', () => resolve(null));
      });
    expect([await spoken(['h2', 'http/1.1']), await spoken(['h2'])]).toEqual(['http/1.1', null]);
    await secure.stop();
  });
});

describe('H-33 what the STS answers', () => {
  it('is read up to 64 KiB, and beyond that nothing is admitted', async () => {
    const { state } = world.sts;
    state.judge = () => ({ valid: true, reason: 'x'.repeat(70_000) });
    const token = world.sts.mint();
    world.sts.change({ all: true });
    const answer = await world.send('GET /orders', { token });
    expect([answer.status, errorOf(answer)]).toEqual([503, 'sts_unavailable']);
    state.judge = () => ({ valid: true });
    expect((await world.send('GET /orders', { token })).status).toBe(200);
  });
});

describe('H-34 a lookup that fails', () => {
  it('denies: a Resource that is not in the configuration, and an STS that answers nonsense', async () => {
    const { state } = world.sts;
    const declared = state.resources;
    state.resources = [];
    world.sts.publish();
    await until(async () => (await world.send('GET /orders')).status === 503);
    state.resources = declared;
    world.sts.publish();
    await until(async () => (await world.send('GET /orders')).status === 200);
    for (const status of [200, 302, 500]) {
      const token = world.sts.mint();
      world.sts.change({ all: true });
      state.revalidationStatus = status;
      expect((await world.send('GET /orders', { token })).status).toBe(503);
    }
    state.revalidationStatus = undefined;
  });

  it('a token of the gateway goes over TLS or stays on the machine', () => {
    const client = (url: string) => () =>
      createSTSClient({ url, zoneID: 'team.main', token: () => Promise.resolve('t') }).close();
    for (const url of [
      'http://sts.example',
      'http://10.0.0.1',
      'http://127.0.0.1.evil.test',
      'http://[::2]',
      'http://localhost.evil',
    ])
      expect(client(url)).toThrow(/https/);
    for (const url of ['https://sts.example', 'http://127.0.0.1:1', 'http://localhost:1'])
      expect(client(url)).not.toThrow();
  });
});

describe('E-19 an answer without end', () => {
  it('is passed on as fast as the client reads: the gateway holds little of it', async () => {
    const chunk = randomBytes(64 * 1024);
    let sent = 0;
    let isOver = false;
    world.upstream.handler = (request, response) => {
      response.writeHead(200);
      const more = (): void => {
        for (;;) {
          if (isOver) return;
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
      };
      response.on('close', () => void (isOver = true));
      request.resume();
      more();
    };
    const before = process.memoryUsage().rss;
    const connection = await openRaw(world.port);
    connection.socket.pause();
    connection.write(toBytes('GET /orders', {}, world.sts));
    let [seen, times] = [0, 0];
    const isStill = (): boolean => {
      times = sent === seen && sent > 0 ? times + 1 : 0;
      seen = sent;
      return times > 30;
    };
    await until(isStill, 'back-pressure', 20_000);
    // What is under way sits in the sockets' buffers, not in the gateway.
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
    connection.destroy();
    await until(() => isOver, 'the upstream is let go');
  });
});

describe('R-11 a gateway whose event loop was held up', () => {
  it('looks at freshness again before it lets the request pass', async () => {
    expect((await world.send('GET /orders')).status).toBe(200);
    world.sts.state.echoes = false;
    world.clock.advance(11_000);
    const answer = await world.send('GET /orders');
    expect([answer.status, errorOf(answer)]).toEqual([503, 'sts_unavailable']);
    expect(header(answer, 'retry-after')).toBe('1');
    world.sts.state.echoes = true;
    await until(() => world.gateway.ready().ready);
  });

  it('R-10 also where it slept while the STS was asked, and the answer was yes', async () => {
    const { state } = world.sts;
    const token = world.sts.mint();
    const before = world.upstream.received.length;
    world.sts.change({ all: true });
    state.judge = () => {
      state.echoes = false;
      world.clock.advance(11_000);
      return { valid: true };
    };
    const answer = await world.send('GET /orders', { token });
    state.judge = () => ({ valid: true });
    state.echoes = true;
    expect([answer.status, errorOf(answer), world.upstream.received.length]).toEqual([503, 'sts_unavailable', before]);
    await until(() => world.gateway.ready().ready);
    expect((await world.send('GET /orders')).status).toBe(200);
  });
});

describe('a zone that is created anew under its name', () => {
  it('begins anew, though its epochs begin lower: what was known of the one before holds no more', () => {
    const state = createZoneState({ issuer: world.sts.url, zoneID: 'team.main' });
    const config = (zone_uid: string, epoch: number) => ({
      ...{ zone_id: 'team.main', zone_uid, issuer: world.sts.url, stale_after_ms: 10_000, frozen: false, epoch },
      ...{ resources: [], digest: `${zone_uid}.${epoch}` },
    });
    const claims = world.sts.claims({ epoch: 900 });
    state.listener.hello({ stream_id: 's', incarnation: 'i' });
    state.listener.config(config('uid-1', 900), true);
    state.remember(claims.jti, 950);
    state.listener.heartbeat({ nonce: null, epoch: 950 });
    expect(state.standing(claims)).toBe('in_force');
    state.listener.config(config('uid-2', 940), true);
    expect(state.standing(claims)).toBeUndefined();
    expect(() => state.listener.config(config('uid-2', 939), false)).toThrow(/older/);
  });
});

describe('the feed’s parsers', () => {
  it('take what is well formed, and throw on the rest, whatever it is', () => {
    const parsers = [parseHello, parseKeys, parseConfig, parseEpoch, parseHeartbeat];
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), fc.constantFrom('null', '[]', '{}', '{"__proto__":{}}')), (text) => {
        for (const parse of parsers) {
          try {
            parse(text);
          } catch (error) {
            expect(error instanceof TypeError || error instanceof SyntaxError).toBe(true);
            continue;
          }
          throw new Error(`${parse.name} took ${text}`);
        }
      }),
      { numRuns: 2000 },
    );
    expect(({} as Record<string, unknown>)['frozen']).toBeUndefined();
  });

  it('need every member of a heartbeat and an epoch, so that none is taken for nothing', () => {
    for (const wrong of [undefined, null, '7', -1, 1.5, true, {}]) {
      expect(() => parseHeartbeat(JSON.stringify({ nonce: null, epoch: wrong }))).toThrow(/epoch/);
      const change = { all: false, applications: [], resources: [] };
      expect(() => parseEpoch(JSON.stringify({ epoch: wrong, change }))).toThrow(/epoch/);
    }
    for (const missing of ['all', 'applications', 'resources']) {
      const change = { all: false, applications: [], resources: [], [missing]: undefined };
      expect(() => parseEpoch(JSON.stringify({ epoch: 7, change }))).toThrow(TypeError);
    }
  });

  it('need to be told how the mandates of a Resource are to be used, so that nothing strict is taken for lax', () => {
    const head = { zone_id: 'shop.main', zone_uid: 'u', issuer: 'https://sts', stale_after_ms: 10_000, frozen: false };
    const textOf = (resource: object) =>
      JSON.stringify({ ...head, epoch: 1, resources: [{ ...ORDERS, ...resource }], digest: 'd' });
    const strict = { forward_mandate: true, single_use: true, proof_of_possession: 'Required' };
    expect(parseConfig(textOf(strict)).resources).toEqual([{ ...ORDERS, ...strict }]);
    for (const member of Object.keys(strict))
      for (const wrong of [undefined, null, 'true', 'required', 1])
        expect(() => parseConfig(textOf({ ...strict, [member]: wrong }))).toThrow(member);
  });

  it('see the same events however the bytes are cut', () => {
    const block = fc.record({ event: fc.constantFrom('hello', 'epoch', 'x'), data: fc.jsonValue() });
    fc.assert(
      fc.property(fc.array(block, { maxLength: 5 }), fc.array(fc.nat(40)), (blocks, cuts) => {
        const text = blocks.map(({ event, data }) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('');
        const [whole, parts] = [createEventParser(), createEventParser()];
        const found = [];
        let at = 0;
        for (const cut of cuts) {
          found.push(...parts(text.slice(at, at + cut)));
          at += cut;
        }
        found.push(...parts(text.slice(at)));
        expect(found).toEqual(whole(text));
        expect(found).toHaveLength(blocks.length);
      }),
    );
  });
});
