/** Rows 4 and 5: CPU of a governed request at the gateway, each mandate fresh or one reused, against HAProxy's jwt_verify. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { isOK } from '../../scripts/demo/embedded.ts';
import { startGateway, until } from '../../scripts/demo/processes.ts';
import { pin, residentMiB } from './cpu.ts';
import { cpuPerRequest } from './exchange.ts';
import { abba, print, printRatio, say, warmUp } from './figure.ts';
import type { LoadRequest } from './load.ts';
import { startHAProxy } from './peers/haproxy.ts';
import { FORM, ZONE, exchangeForm, startWorld, type BenchWorld } from './world.ts';
import { freePort } from '../support/ports.ts';

const FRESH = 4000;
const ROUNDS = 3;
const PEER = { peer: 'HAProxy jwt_verify', unit: 'us' };

export async function benchGateway(): Promise<void> {
  const world = await startWorld();
  const upstream = await startUpstream();
  const stops: (() => Promise<unknown>)[] = [() => world.close(), () => upstream.terminate()];
  try {
    const gateway = await startProtected(world, upstream.host);
    stops.push(() => gateway.stop());
    const haproxy = await startPeer(world, upstream.host);
    stops.push(() => haproxy.stop());
    for (const pid of [gateway.pid, haproxy.pid]) pin(pid, 0);
    pin(process.pid, 1);
    const governed = (mandate: string): LoadRequest => ({
      path: '/orders/1',
      method: 'GET',
      headers: { authorization: `Bearer ${mandate}` },
    });
    await compareFresh(world, gateway, haproxy, governed);
    await compareReused(world, gateway, haproxy, governed);
    print({ figure: 'gateway memory after the load', rss_mib: Math.round(residentMiB(gateway.pid)) });
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

interface Proxy {
  readonly pid: number;
  readonly origin: string;
  stop(): Promise<void>;
}

type Governed = (mandate: string) => LoadRequest;

async function compareFresh(world: BenchWorld, gateway: Proxy, haproxy: Proxy, governed: Governed): Promise<void> {
  say(`row 4: minting ${FRESH} mandates per measurement`);
  const measure = (proxy: Proxy) => async () => {
    const mandates = await mint(world, FRESH);
    return cpuPerRequest(proxy.pid, proxy.origin, (index) => governed(mandates[index]!));
  };
  await warmUp(measure(gateway), measure(haproxy));
  const pairs = await abba(ROUNDS, measure(gateway), measure(haproxy));
  printRatio({ row: 4, figure: 'gateway CPU, fresh mandate', must: 1.15, ...PEER }, pairs);
}

async function compareReused(world: BenchWorld, gateway: Proxy, haproxy: Proxy, governed: Governed): Promise<void> {
  const [mandate] = await mint(world, 1);
  const measure = (proxy: Proxy) => () => cpuPerRequest(proxy.pid, proxy.origin, governed(mandate!));
  await warmUp(measure(gateway), measure(haproxy));
  const pairs = await abba(ROUNDS, measure(gateway), measure(haproxy));
  printRatio({ row: 5, figure: 'gateway CPU, reused mandate', must: 0.5, ...PEER }, pairs);
}

async function mint(world: BenchWorld, count: number): Promise<string[]> {
  const assertion = await world.serviceAccountToken('agent', `${world.issuer}/zones/${ZONE}`);
  const body = exchangeForm(assertion);
  const mandates: string[] = [];
  const worker = async () => {
    while (mandates.length < count) {
      const response = await fetch(`${world.issuer}/oauth/2/token`, { method: 'POST', headers: FORM, body });
      if (!response.ok) throw new Error(`minting failed: ${response.status} ${await response.text()}`);
      mandates.push(((await response.json()) as { access_token: string }).access_token);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return mandates.slice(0, count);
}

/** The upstream runs in a thread of the load generator, so on its core. */
export async function startUpstream(): Promise<{ host: string; terminate: () => Promise<number> }> {
  const source = `
    const { createServer } = require('node:http');
    const { parentPort } = require('node:worker_threads');
    const body = JSON.stringify({ id: 1, item: 'grinder', note: 'x'.repeat(280) });
    const server = createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    });
    server.keepAliveTimeout = 60000;
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;
  const worker = new Worker(source, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  return { host: `127.0.0.1:${port}`, terminate: () => worker.terminate() };
}

export async function startProtected(world: BenchWorld, upstream: string): Promise<Proxy> {
  const file = join(world.folder, 'gateway-token');
  await writeFile(file, await world.serviceAccountToken('gateway', `${world.issuer}/zones/${ZONE}/gateways`), {
    mode: 0o600,
  });
  const [port, admin] = [await freePort(), await freePort()];
  const gateway = startGateway([
    ...['--token-file', file, '--admin', `127.0.0.1:${admin}`, '--log-level', 'error'],
    ...['--protect', `bench/orders=127.0.0.1:${port}:${upstream}`],
  ]);
  await Promise.race([
    until('the gateway’s readiness', () => isOK(`http://127.0.0.1:${admin}/ready`)),
    gateway.line(() => false),
  ]);
  return { pid: gateway.pid, origin: `http://127.0.0.1:${port}`, stop: () => gateway.stop() };
}

async function startPeer(world: BenchWorld, upstream: string): Promise<Proxy> {
  const jwks = (await (await fetch(`${world.issuer}/.well-known/jwks.json?zone_id=${ZONE}`)).json()) as {
    keys: { kid: string; x: string; y: string }[];
  };
  const [mandate] = await mint(world, 1);
  const { kid } = JSON.parse(Buffer.from(mandate!.split('.')[0]!, 'base64url').toString()) as { kid: string };
  const key = jwks.keys.find((candidate) => candidate.kid === kid)!;
  const port = await freePort();
  const child = startHAProxy({ folder: world.folder, port, upstream, key, issuer: world.issuer });
  const origin = `http://127.0.0.1:${port}`;
  await until('HAProxy’s readiness', async () => (await load1(origin, mandate!)) === 200);
  const stop = async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  return { pid: child.pid!, origin, stop };
}

async function load1(origin: string, mandate: string): Promise<number> {
  try {
    const response = await fetch(`${origin}/orders/1`, { headers: { authorization: `Bearer ${mandate}` } });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}
