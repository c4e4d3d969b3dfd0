/** A gateway whose STS stands still, or whose feed goes one way only: it denies in time, and goes on when it knows again. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { createGateway } from '../../src/gateway/gateway.ts';
import { startUpstream } from '../gateway/world.ts';
import { until } from '../support/processes.ts';
import { clientOf, expectStatus, mandateOf, type Client } from './client.ts';
import { count, howOften } from './counts.ts';
import { startRelay, type Relay } from './relay.ts';
import { by, makePlace, READ, STALE_AFTER_MS, ZONE } from './world.ts';

const ROUNDS = howOften(10, 1);

interface Stage {
  readonly client: Client;
  readonly pid: number;
  readonly relay: Relay;
  /** The status of a request with this mandate. */
  ask(mandate: string): Promise<number>;
}

/** `caracal up`, and a gateway that reaches it through a relay only. */
async function setUp(): Promise<Stage> {
  const place = await makePlace();
  const up = await place.start();
  const relay = await startRelay(Number(new URL(place.issuer).port));
  const upstream = await startUpstream();
  onTestFinished(() => upstream.close());
  const token = await place.gatewayToken();
  const url = `http://127.0.0.1:${relay.port}`;
  const listen = { host: '127.0.0.1', port: 0 };
  const gateway = createGateway(
    {
      zones: [{ issuer: place.issuer, url, zoneID: ZONE, token: async () => token }],
      protect: [{ zoneID: ZONE, resource: 'shop/payments', listen, target: `127.0.0.1:${upstream.port}` }],
      allowUpstreamRanges: [],
      drainMs: 0,
    },
    {
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      randomBytes: (size) => randomBytes(size),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    },
  );
  const { protect } = await gateway.start();
  onTestFinished(() => gateway.close());
  const ask = async (mandate: string) => {
    const headers = { authorization: `Bearer ${mandate}` };
    const response = await fetch(`http://127.0.0.1:${protect[0]!}/invoices`, { headers });
    await response.body?.cancel();
    return response.status;
  };
  return { client: clientOf(place), pid: up.pid, relay, ask };
}

const mandateIn = async ({ client }: Stage, session?: string) =>
  mandateOf(
    await client.token({ ...by('cart'), ...READ, ...(session !== undefined && { agent_session_id: session }) }),
  );

async function newSession({ client }: Stage): Promise<{ readonly id: string; end(): Promise<void> }> {
  const lifecycle = await client.lifecycleOf('cart');
  const started = await client.call(lifecycle, 'POST', '/agents', { application_id: 'shop.cart' });
  const id = String(expectStatus(started, 201).body['agent_session_id']);
  const end = async () => void expectStatus(await client.call(lifecycle, 'DELETE', `/agents/${id}`), 204);
  return { id, end };
}

const untilIs = (stage: Stage, mandate: string, wanted: number) =>
  until(
    async () => (await stage.ask(mandate)) === wanted,
    () => `the gateway does not answer ${wanted}`,
    60_000,
    20,
  );

/** Asks until it is refused, and for a while after. How many were admitted though they were sent later than `staleAfter` after `since`. */
async function admittedLate(stage: Stage, mandate: string, since: number): Promise<number> {
  let late = 0;
  let refused = 0;
  await until(
    async () => {
      const sent = performance.now();
      const status = await stage.ask(mandate);
      if (status === 200 && sent > since + STALE_AFTER_MS) late += 1;
      if (status === 503) refused += 1;
      return refused > 20 && sent > since + STALE_AFTER_MS + 500;
    },
    () => 'the gateway goes on without its STS',
    60_000,
    20,
  );
  return late;
}

const TIMES = { timeout: 60_000 + ROUNDS * 40_000 };

describe('a gateway', () => {
  it(
    'R-08 R-10 denies once its STS has stood still for staleAfter, and admits again when that goes on',
    TIMES,
    async (context) => {
      const stage = await setUp();
      let late = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const mandate = await mandateIn(stage);
        await untilIs(stage, mandate, 200);
        process.kill(stage.pid, 'SIGSTOP');
        late += await admittedLate(stage, mandate, performance.now());
        process.kill(stage.pid, 'SIGCONT');
        await untilIs(stage, mandate, 200);
      }
      expect(late).toBe(0);
      count(context, { fault: 'SIGSTOP of the STS', runs: ROUNDS, admittedLate: late });
    },
  );

  for (const direction of ['toClient', 'toServer'] as const)
    it(
      `R-03 R-08 denies after staleAfter when its feed is cut ${direction}, and misses no end of a session`,
      TIMES,
      (context) => cutFeed(direction, context),
    );
});

async function cutFeed(direction: 'toClient' | 'toServer', context: TestContext): Promise<void> {
  const stage = await setUp();
  let late = 0;
  let revived = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const session = await newSession(stage);
    const [mandate, dying] = [await mandateIn(stage), await mandateIn(stage, session.id)];
    await untilIs(stage, mandate, 200);
    await untilIs(stage, dying, 200);
    stage.relay.cut(direction);
    const since = performance.now();
    // The feed only: the STS goes on, and what ends there has ended.
    await session.end();
    await mandateIn(stage);
    const both = [admittedLate(stage, mandate, since), admittedLate(stage, dying, since)];
    late += (await Promise.all(both)).reduce((sum, one) => sum + one, 0);
    stage.relay.heal();
    await until(
      async () => {
        if ((await stage.ask(dying)) === 200) revived += 1;
        return (await stage.ask(mandate)) === 200;
      },
      () => 'the gateway does not come back',
    );
    await untilIs(stage, dying, 401);
  }
  expect([late, revived]).toEqual([0, 0]);
  count(context, { fault: `feed cut ${direction}`, runs: ROUNDS, admittedLate: late, revived });
}
