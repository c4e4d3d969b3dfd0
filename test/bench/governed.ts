/** Rows 2 and 3: a governed request, from exchange to the answer through the gateway, each with a mandate of its own. */
import { cpuMilliseconds, pin } from './cpu.ts';
import { print, quantile, say } from './figure.ts';
import { startProtected, startUpstream } from './gateway.ts';
import type { LoadRequest } from './load.ts';
import { FORM, ZONE, exchangeForm, startWorld } from './world.ts';

const REQUESTS = 4000;
const CONCURRENCY = 16;
const OPEN_SECONDS = 8;
const MUST_PER_CORE = 1500;
const MUST_P50_MS = 3;
const MUST_P95_MS = 8;

interface Governed {
  readonly milliseconds: number;
  readonly ok: boolean;
}

export async function benchGoverned(): Promise<void> {
  const world = await startWorld();
  const upstream = await startUpstream();
  const gateway = await startProtected(world, upstream.host);
  try {
    // Both on one core, so that what they use together is what one core gives.
    for (const pid of [gateway.pid, world.pid]) pin(pid, 0);
    pin(process.pid, 1);
    const assertion = await world.serviceAccountToken('agent', `${world.issuer}/zones/${ZONE}`);
    const exchange: LoadRequest = {
      path: '/oauth/2/token',
      method: 'POST',
      headers: FORM,
      body: exchangeForm(assertion),
    };
    const once = () => governed(world.issuer, gateway.origin, exchange);
    say('warming up');
    await closed(once, REQUESTS);
    const cpu = () => cpuMilliseconds(gateway.pid) + cpuMilliseconds(world.pid);
    const before = cpu();
    const perSecond = await closed(once, REQUESTS);
    const us = ((cpu() - before) * 1000) / REQUESTS;
    const perCore = Math.round(1e6 / us);
    print({
      row: 2,
      figure: 'governed requests per core',
      unit: '1/s',
      per_core: perCore,
      cpu_us: Math.round(us),
      closed_loop_per_second: Math.round(perSecond),
      must: `>= ${MUST_PER_CORE}`,
      met: perCore >= MUST_PER_CORE,
    });
    const latencies = await open(once, perSecond / 2);
    const [p50, p95] = [quantile(latencies, 0.5), quantile(latencies, 0.95)];
    print({
      row: 3,
      figure: 'governed latency at half load',
      unit: 'ms',
      rate: Math.round(perSecond / 2),
      p50,
      p95,
      samples: latencies.length,
      must: `p50 <= ${MUST_P50_MS}, p95 <= ${MUST_P95_MS}`,
      met: p50 <= MUST_P50_MS && p95 <= MUST_P95_MS,
    });
  } finally {
    await gateway.stop();
    await upstream.terminate();
    await world.close();
  }
}

async function governed(issuer: string, origin: string, exchange: LoadRequest): Promise<Governed> {
  const started = performance.now();
  const minted = await fetch(`${issuer}${exchange.path}`, { method: 'POST', headers: FORM, body: exchange.body! });
  const { access_token: mandate } = (await minted.json()) as { readonly access_token?: string };
  const answer = await fetch(`${origin}/orders/1`, { headers: { authorization: `Bearer ${mandate}` } });
  await answer.arrayBuffer();
  return { milliseconds: performance.now() - started, ok: answer.ok };
}

/** Requests per second with so many in flight. */
async function closed(once: () => Promise<Governed>, requests: number): Promise<number> {
  let left = requests;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      if (!(await once()).ok) throw new Error('a governed request was not answered with 2xx');
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return (requests * 1000) / (performance.now() - started);
}

/** Latencies from the moment each was due, so that a server that stalls is not measured less often. */
async function open(once: () => Promise<Governed>, rate: number): Promise<readonly number[]> {
  const total = Math.floor(rate * OPEN_SECONDS);
  const begin = performance.now() + 50;
  const latencies: number[] = [];
  const pending: Promise<void>[] = [];
  for (let index = 0; index < total; index += 1) {
    const due = begin + (index * 1000) / rate;
    while (performance.now() < due) await new Promise((resolve) => setImmediate(resolve));
    pending.push(
      once().then(({ ok }) => {
        if (!ok) throw new Error('a governed request was not answered with 2xx');
        latencies.push(performance.now() - due);
        return undefined;
      }),
    );
  }
  await Promise.all(pending);
  return latencies.sort((a, b) => a - b);
}
