/** Row 1: CPU of one exchange (cached identity, Rego, signature, durable record) against oidc-provider's client credentials. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { watch } from '../../scripts/demo/processes.ts';
import { cpuMilliseconds, pin } from './cpu.ts';
import { abba, printRatio, quantile, print, say, warmUp } from './figure.ts';
import { load, type LoadRequest } from './load.ts';
import { FORM, ZONE, exchangeForm, startWorld } from './world.ts';

const REQUESTS = 4000;
const CONCURRENCY = 16;
const ROUNDS = 4;

export async function benchExchange(): Promise<void> {
  const world = await startWorld();
  const peer = startPeer();
  try {
    const port = (await peer.line((line) => line.startsWith('listening'))).split(' ')[1];
    pin(world.pid, 0);
    pin(peer.pid, 0);
    pin(process.pid, 1);
    const assertion = await world.serviceAccountToken('agent', `${world.issuer}/zones/${ZONE}`);
    const ours: LoadRequest = { path: '/oauth/2/token', method: 'POST', headers: FORM, body: exchangeForm(assertion) };
    const theirs: LoadRequest = { path: '/token', method: 'POST', headers: FORM, body: clientCredentials() };
    const measure = (pid: number, origin: string, request: LoadRequest) => () => cpuPerRequest(pid, origin, request);
    const oursNow = measure(world.pid, world.issuer, ours);
    const peerNow = measure(peer.pid, `http://127.0.0.1:${port}`, theirs);
    say('warming up');
    await warmUp(oursNow, peerNow);
    const ratio = { row: 1, figure: 'exchange CPU', peer: 'oidc-provider client_credentials', unit: 'us', must: 0.5 };
    printRatio(ratio, await abba(ROUNDS, oursNow, peerNow));
    await printLatency(world.issuer, ours);
  } finally {
    await peer.stop();
    await world.close();
  }
}

function startPeer() {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'peers/oidcProvider.ts')],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'production' },
    },
  );
  return watch(child, 'oidc-provider');
}

function clientCredentials(): string {
  return new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: 'bench',
    client_secret: 'a-secret-of-at-least-43-characters-for-the-bench',
    resource: 'https://orders.example.com',
    scope: 'orders:read',
  }).toString();
}

/** Microseconds of the server's CPU per request; any answer outside 2xx fails the bench. */
export async function cpuPerRequest(
  pid: number,
  origin: string,
  request: LoadRequest | ((index: number) => LoadRequest),
): Promise<number> {
  const pick = typeof request === 'function' ? request : () => request;
  const before = cpuMilliseconds(pid);
  const result = await load({ origin, requests: REQUESTS, concurrency: CONCURRENCY, request: pick });
  const spent = cpuMilliseconds(pid) - before;
  if (Object.keys(result.failures).length > 0)
    throw new Error(`not every answer was 2xx: ${JSON.stringify(result.failures)}`);
  return (spent * 1000) / REQUESTS;
}

async function printLatency(origin: string, request: LoadRequest): Promise<void> {
  const { latencies, seconds } = await load({
    origin,
    requests: REQUESTS,
    concurrency: CONCURRENCY,
    request: () => request,
  });
  const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
  print({
    figure: 'exchange, closed loop of 16',
    per_second: Math.round(REQUESTS / seconds),
    p50_ms: p50,
    p99_ms: p99,
  });
}
