/** Mandates that admit one request only. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorOf, header, openRaw } from './rawHTTP.ts';
import { ORDERS, startWorld, toBytes, until, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world.stop());

const once = (change: object = {}) => world.sts.mint({ once: true, ...change });
const use = async (token: string, line = 'GET /orders') => {
  const answer = await world.send(line, { token });
  return answer.status === 200 ? '200' : `${answer.status} ${errorOf(answer)}`;
};

describe('a mandate of single use', () => {
  it('X-16 admits one request, and says of the next that it was used before', async () => {
    const token = once();
    expect(await use(token)).toBe('200');
    const again = await world.send('GET /orders', { token });
    expect([again.status, errorOf(again)]).toEqual([401, 'invalid_token']);
    expect(again.body).toContain('used before');
    expect(header(again, 'www-authenticate')).toBe('Bearer error="invalid_token"');
    expect(world.upstream.received.length).toBe(1);
    expect(world.sts.consumed).toEqual([{ mandate: token, min_epoch: world.sts.state.epoch }]);
  });

  it('X-16 that comes 50 times together is asked about once', async () => {
    const token = once();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => use(token)));
    expect(outcomes.filter((outcome) => outcome === '200').length).toBe(1);
    expect(outcomes.filter((outcome) => outcome === '401 invalid_token').length).toBe(49);
    expect(world.sts.consumed.length).toBe(1);
  });

  it('is what every mandate is for a Resource that says so, and no other is asked about', async () => {
    const ordinary = world.sts.mint();
    expect([await use(ordinary), await use(ordinary)]).toEqual(['200', '200']);
    expect(world.sts.consumed).toEqual([]);
    world.sts.state.resources = [{ ...ORDERS, single_use: true }];
    world.sts.publish();
    await until(() => world.sts.acks.length > 1 && world.sts.acks.at(-1)!.digest !== world.sts.acks[0]!.digest);
    expect([await use(ordinary), await use(ordinary)]).toEqual(['200', '401 invalid_token']);
  });

  it('is not spent by an attempt that is refused', async () => {
    const token = once({ scope: 'orders:read' });
    expect(await use(token, 'GET /orders/all')).toBe('403 insufficient_scope');
    expect(await use(token, 'GET /unknown')).toBe('403 operation_not_permitted');
    expect(await use(token, 'GET /orders//1')).toBe('400 invalid_request');
    expect(world.sts.consumed).toEqual([]);
    expect(await use(token)).toBe('200');
  });

  it('with less than 35 s of life is refused and left', async () => {
    const now = Math.floor(world.clock.now() / 1000);
    expect(await use(once({ exp: now + 30 }))).toBe('401 credential_expired_not_renewable');
    expect(world.sts.consumed).toEqual([]);
    expect(await use(once({ exp: now + 45 }))).toBe('200');
  });

  it('that the STS would not issue any more is refused, and stays so', async () => {
    const token = once();
    world.sts.state.judge = () => ({ valid: false, reason: 'ScopeNotGranted' });
    expect([await use(token), await use(token)]).toEqual(['401 invalid_token', '401 invalid_token']);
    expect(world.sts.consumed.length).toBe(1);
  });

  it('is refused with 503 while the policy cannot be evaluated, and left', async () => {
    const token = once();
    world.sts.state.judge = () => ({ valid: false, reason: 'PolicyFailed' });
    expect(await use(token)).toBe('503 sts_unavailable');
    world.sts.state.judge = () => ({ valid: true });
    expect(await use(token)).toBe('200');
  });

  it.each([500, 503, 401, 404])(
    'is refused with 503 where the STS answers %d, and nothing is forwarded',
    async (status) => {
      world.sts.state.consumptionStatus = status;
      const token = once();
      expect(await use(token)).toBe('503 sts_unavailable');
      expect(world.upstream.received.length).toBe(0);
      expect(world.sts.consumed.length).toBe(1);
      world.sts.state.consumptionStatus = undefined;
      expect(await use(token)).toBe('200');
    },
  );

  it('waits for a replica of the STS that is behind, for as long as a request may wait', async () => {
    world.sts.state.consumptionStatus = 409;
    const token = once();
    const waiting = use(token);
    await until(() => world.sts.consumed.length > 1);
    world.sts.state.consumptionStatus = undefined;
    expect(await waiting).toBe('200');
    world.sts.state.consumptionStatus = 409;
    expect(await use(once())).toBe('503 sts_unavailable');
  });

  it('X-16 whose answer was lost is asked about once, admits nothing, and is spent', async () => {
    world.sts.state.consumptionStatus = 'lost';
    const token = once();
    expect(await use(token)).toBe('503 sts_unavailable');
    expect(world.sts.consumed.length).toBe(1);
    world.sts.state.consumptionStatus = undefined;
    expect(await use(token)).toBe('401 invalid_token');
    expect(world.upstream.received.length).toBe(0);
  });

  it('X-16 goes to the upstream once, also where the upstream breaks off', async () => {
    world.upstream.handler = (request) => request.socket.destroy();
    const token = once();
    expect(await use(token)).toBe('502 upstream_unavailable');
    expect(await use(token)).toBe('401 invalid_token');
    expect(world.upstream.received.length).toBe(1);
  });

  it('is spent by a stream, which goes on under it', async () => {
    world.upstream.handler = (_request, response) => void response.write('data: first\n\n');
    const token = once();
    const connection = await openRaw(world.port);
    connection.write(toBytes('GET /files/events', { token }, world.sts));
    await until(() => connection.pending().includes('data: first'));
    world.sts.change({ all: true });
    await until(() => world.sts.asked.length === 1);
    expect(await use(token)).toBe('401 invalid_token');
    world.sts.state.judge = () => ({ valid: false });
    world.sts.change({ all: true });
    await connection.closed();
  });
});
