/** Two replicas over one PostgreSQL: the database crashes and stops, a replica is killed or stands still. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { until } from '../support/processes.ts';
import { claimsOf, expectStatus, mandateOf } from './client.ts';
import { count, howOften } from './counts.ts';
import { newLedger, startLoad, type Ledger, type Load } from './load.ts';
import { nothingKnown, reconcile } from './reconcile.ts';
import { startReplicas, type Replica, type Replicas } from './replicas.ts';
import { by, kill, READ, ZONE } from './world.ts';

const CRASHES = howOften(30, 1);
const KILLS = howOften(60, 2);
const PAUSES = howOften(30, 2);
const STOPS = howOften(10, 1);
/** Within which a caller is told that the database is gone (security.md). */
const GONE_MS = 2000;
/** What a replica knew so long ago proves nothing any more (wire.md: a peer may be ahead by a second). */
const FRESH_MS = 1000;

const manyMore = (ledger: Ledger, answers: number) => {
  const wanted = ledger.acknowledged + answers;
  return until(
    () => ledger.acknowledged >= wanted,
    () => `only ${ledger.acknowledged} answers, ${ledger.wrong.join('; ')}`,
    60_000,
    5,
  );
};
const anyMoment = () => 1 + Math.floor(Math.random() * 60);

/** Between two looks: a lost reply may be asked for again for two minutes, and alice's logins last five. */
const BATCH = 5;

/** `disturb` happens at any moment of a load on both replicas; then what both say, and what the database holds, is compared. */
async function underLoad(
  replicas: Replicas,
  rounds: number,
  disturb: (round: number, ledger: Ledger, loads: Load[]) => Promise<void>,
) {
  const ledger = newLedger();
  const known = nothingKnown();
  for (let first = 0; first < rounds; first += BATCH) {
    const loads = replicas.all.map(({ client }) => startLoad(ledger, client));
    for (let round = first; round < Math.min(first + BATCH, rounds); round += 1) {
      await manyMore(ledger, anyMoment());
      await disturb(round, ledger, loads);
    }
    await manyMore(ledger, 20);
    await Promise.all(loads.map((load) => load.stop()));
    expect(ledger.wrong).toEqual([]);
    await reconcile(ledger, replicas.all[0].client, known);
  }
  await reconcile(ledger, replicas.all[1].client, { ...nothingKnown(), approvals: known.approvals });
  const held = await replicas.held(ledger);
  const alarms = await replicas.alarms();
  expect([held, ledger.wrong, alarms]).toEqual([{ lost: [], doubled: [] }, [], []]);
  const { lost, doubled } = { lost: held.lost.length, doubled: held.doubled.length };
  const { sessions, approvals, jtis, acknowledged } = ledger;
  const sizes = { sessions: sessions.size, approvals: approvals.size, mandates: jtis.size };
  return { acknowledged, ...sizes, lost, doubled, alarms: alarms.length };
}

const timeFor = (rounds: number, each: number) => ({ timeout: 90_000 + rounds * each });

describe('a database that crashes under load', () => {
  it(
    'R-13 S-08 X-16 has lost nothing that either replica answered, and nothing happened twice',
    timeFor(CRASHES, 20_000),
    async (context) => {
      const replicas = await startReplicas();
      const counts = await underLoad(replicas, CRASHES, async () => {
        await replicas.database.server.stop('SIGQUIT');
        await replicas.database.server.start();
      });
      count(context, { fault: 'immediate stop of PostgreSQL', runs: CRASHES, ...counts });
    },
  );
});

describe('a replica that is killed under load', () => {
  it(
    'R-13 S-08 A-05 takes nothing with it that it answered, and the other goes on',
    timeFor(KILLS, 20_000),
    async (context) => {
      const replicas = await startReplicas();
      const counts = await underLoad(replicas, KILLS, async (round, ledger, loads) => {
        const index = round % 2;
        const replica = replicas.all[index]!;
        await kill(replica.running());
        await loads[index]!.stop();
        await manyMore(ledger, 5);
        await replica.start();
        loads[index] = startLoad(ledger, replica.client);
      });
      count(context, { fault: 'SIGKILL of one replica of two', runs: KILLS, ...counts });
    },
  );
});

interface Heartbeat {
  readonly nonce: string | null;
  readonly epoch: number;
}

/** The heartbeats of a feed, as they come, and a way to ask for more as a gateway does; ends with `stop`. */
async function follow({ url }: Replica, token: string, stop: AbortSignal) {
  const heartbeats: Heartbeat[] = [];
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/feed?zone_id=${ZONE}`, { headers, signal: stop });
  expect(response.status).toBe(200);
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop()!;
      for (const block of blocks)
        if (block.includes('event: heartbeat'))
          heartbeats.push(JSON.parse(block.slice(block.indexOf('data: ') + 6)) as Heartbeat);
    }
  };
  read().catch(() => undefined);
  const acknowledge = async (): Promise<void> => {
    const body = JSON.stringify({ cursor: '', digest: '', nonce: randomUUID() });
    const answer = await fetch(`${url}/v1/feed/ack?zone_id=${ZONE}`, { method: 'POST', headers, body });
    expect(answer.status).toBe(204);
  };
  return { heartbeats, acknowledge };
}

function askUntil(acknowledge: () => Promise<void>, enough: () => boolean): Promise<void> {
  const ask = async () => {
    await acknowledge();
    return enough();
  };
  return until(ask, () => 'no heartbeat comes any more', 30_000, 1);
}

describe('a replica that stands still while the other ends a session', () => {
  it(
    'R-10 R-02 D-08 mints nothing for it and proves nothing, from its first moment on until it has caught up',
    timeFor(PAUSES, 20_000),
    async (context) => {
      const replicas = await startReplicas();
      const [one, two] = replicas.all;
      const token = await replicas.place.gatewayToken();
      const stop = new AbortController();
      const { heartbeats, acknowledge } = await follow(two, token, stop.signal);
      let minted = 0;
      let proved = 0;
      for (let round = 0; round < PAUSES; round += 1) {
        const lifecycle = await one.client.lifecycleOf('cart');
        const started = await one.client.call(lifecycle, 'POST', '/agents', { application_id: 'shop.cart' });
        const session = String(expectStatus(started, 201).body['agent_session_id']);
        const within = () => two.client.token({ ...by('cart'), ...READ, agent_session_id: session });
        mandateOf(await within());
        process.kill(two.pid(), 'SIGSTOP');
        const stoppedAt = performance.now();
        expectStatus(await one.client.call(lifecycle, 'DELETE', `/agents/${session}`), 204);
        const after = mandateOf(await one.client.token({ ...by('cart'), ...READ }));
        const epoch = Number(claimsOf(after)['epoch']);
        const seen = heartbeats.length;
        await until(
          () => performance.now() > stoppedAt + FRESH_MS,
          () => 'unreachable',
        );
        // They wait for it from before it goes on, and gateways ask for proof all the time.
        const waiting = Array.from({ length: 10 }, within);
        const asking = askUntil(acknowledge, () => heartbeats.length > seen + 5);
        process.kill(two.pid(), 'SIGCONT');
        for (const { status } of await Promise.all(waiting)) {
          if (status === 200) minted += 1;
          else expect([403, 503]).toContain(status);
        }
        await asking;
        proved += heartbeats.slice(seen).filter((heartbeat) => heartbeat.epoch < epoch).length;
        await until(two.ready, () => 'it does not come back');
        expect((await within()).status).toBe(403);
      }
      stop.abort();
      expect([minted, proved]).toEqual([0, 0]);
      count(context, { fault: 'SIGSTOP of one replica of two', runs: PAUSES, minted, proved });
    },
  );
});

describe('a database that is stopped', () => {
  it(
    'X-34 A-08 is told with 503 within 2 s to whoever mints, starts or ends a session, and none of it happened',
    timeFor(STOPS, 40_000),
    async (context) => {
      const replicas = await startReplicas();
      let slowest = 0;
      let acknowledged = 0;
      for (let round = 0; round < STOPS; round += 1) {
        const lifecycle = await replicas.all[0].client.lifecycleOf('cart');
        const start = (client: Replica['client']) =>
          client.call(lifecycle, 'POST', '/agents', { application_id: 'shop.cart' });
        const session = String(expectStatus(await start(replicas.all[0].client), 201).body['agent_session_id']);
        await replicas.database.server.stop('SIGINT');
        for (const { client } of replicas.all)
          for (const ask of [
            () => client.token({ ...by('cart'), ...READ }),
            () => client.token({ ...by('cart'), ...READ, agent_session_id: session }),
            () => start(client),
            () => client.call(lifecycle, 'DELETE', `/agents/${session}`),
            () => client.call(lifecycle, 'PATCH', `/agents/${session}/suspend`),
          ]) {
            const began = performance.now();
            const { status } = await ask();
            slowest = Math.max(slowest, performance.now() - began);
            if (status !== 503) acknowledged += 1;
          }
        await replicas.database.server.start();
        for (const { client, ready } of replicas.all) {
          await until(ready, () => 'a replica does not come back');
          expect((await client.call(lifecycle, 'GET', `/agents/${session}`)).body['status']).toBe('active');
          mandateOf(await client.token({ ...by('cart'), ...READ, agent_session_id: session }));
        }
      }
      expect(acknowledged).toBe(0);
      expect(slowest).toBeLessThan(GONE_MS);
      count(context, { fault: 'PostgreSQL stopped', runs: STOPS, acknowledged, slowestMs: Math.round(slowest) });
    },
  );
});
