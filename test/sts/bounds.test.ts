/** What somebody who is nobody yet, or has only little, can make the STS spend. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bearer, gatewayOf, gatewayToken, openFeed, type Feed } from './gateway.ts';
import { startSTS, WAIT, type TestSTS } from './service.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

/** The status that a head alone is answered with; its body never comes. */
function headOnly(line: string, headers: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(sts.url()).port), '127.0.0.1', () => {
      socket.write([line, 'Host: sts', ...headers, '', ''].join('\r\n'));
    });
    socket.once('data', (chunk: Buffer) => {
      socket.destroy();
      resolve(Number(chunk.toString('latin1', 9, 12)));
    });
    socket.once('error', reject);
  });
}

describe('a body that nobody vouches for', () => {
  const json = ['Content-Type: application/json', 'Content-Length: 60000'];

  it('of an endpoint of gateways is refused by its head', async () => {
    for (const path of ['/v1/mandates/revalidate?zone_id=shop.main', '/v1/feed/ack?zone_id=shop.main']) {
      expect(await headOnly(`POST ${path} HTTP/1.1`, json)).toBe(401);
      expect(await headOnly(`POST ${path} HTTP/1.1`, [...json, 'Authorization: Bearer e30.e30.e30'])).toBe(401);
    }
  });

  it('X-01 of the token endpoint in another media type, or with a query, is refused by its head', async () => {
    expect(await headOnly('POST /oauth/2/token HTTP/1.1', json)).toBe(415);
    const form = ['Content-Type: application/x-www-form-urlencoded', 'Content-Length: 60000'];
    expect(await headOnly('POST /oauth/2/token?a=b HTTP/1.1', form)).toBe(400);
  });

  it('is never more than 64 KiB, wherever it goes', async () => {
    const body = Buffer.alloc(64 * 1024 + 1, ' ');
    for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
      for (const path of ['/oauth/2/token', '/nowhere', '/v1/mandates/revalidate?zone_id=shop.main']) {
        const answer = await sts.send({ method: 'POST', path, headers: { 'content-type': type }, body });
        expect([401, 404, 413, 415]).toContain(answer.status);
      }
    }
    const headers = { ...bearer(gatewayToken(sts)), 'content-type': 'application/json' };
    const large = { method: 'POST', path: '/v1/mandates/revalidate?zone_id=shop.main', headers, body };
    expect((await sts.send(large)).status).toBe(400);
  });
});

describe('streams of one pod', () => {
  it('are eight at most: the oldest end, and those of others stay', async () => {
    const other = await openFeed(sts, { token: gatewayOf(sts, 'shop', 'gateway', 'other-pod') });
    await other.wait('config');
    const feeds: Feed[] = [];
    for (let count = 0; count < 10; count += 1) {
      const feed = await openFeed(sts);
      await feed.wait('config');
      feeds.push(feed);
    }
    await vi.waitFor(() => expect(feeds.map((feed) => feed.isOver()).slice(0, 3)).toEqual([true, true, false]), WAIT);
    expect(other.isOver()).toBe(false);
    expect((await sts.send({ path: '/metrics' })).text).toMatch(/feed_streams\S* 9\n/);
  });
});

describe('X-35 wrong bearers at the endpoints of gateways', () => {
  it('use up the budget of their address, and of nobody else', async () => {
    const wrong = bearer(`${gatewayToken(sts).slice(0, -8)}AAAAAAAA`);
    const ask = (localAddress: string, headers: Readonly<Record<string, string>>) =>
      sts.send({ path: '/v1/programmed', headers, localAddress });
    const asked = async (): Promise<readonly number[]> =>
      Promise.all(Array.from({ length: 1000 }, async () => (await ask('127.0.0.8', wrong)).status));
    const rounds = await sts.standingStill(async () => {
      const seen = [];
      for (let round = 0; round < 6; round += 1) seen.push(...new Set(await asked()));
      return seen;
    });
    expect(rounds.slice(0, 5)).toEqual([401, 401, 401, 401, 401]);
    expect(rounds).toContain(429);
    expect((await ask('127.0.0.7', wrong)).status).toBe(401);
    expect((await sts.send({ path: '/health', localAddress: '127.0.0.8' })).status).toBe(200);
  });
});
