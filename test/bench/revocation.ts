/** Row 8: from the acknowledged end of an agent session until the last of N connected gateways knows. */
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest, type ClientRequest } from 'node:http';
import { issueServiceAccountToken, openWorkloadIssuer, type WorkloadIssuer } from '../../src/up/workloads.ts';
import { pin } from './cpu.ts';
import { print, quantile, say } from './figure.ts';
import { FORM, ZONE, startWorld, type BenchWorld } from './world.ts';

const ROUNDS = 30;
const MUST_MS: Readonly<Record<number, number>> = { 100: 50, 1000: 200 };
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

export async function benchRevocation(): Promise<void> {
  for (const clients of [100, 1000]) {
    const world = await startWorld();
    const feeds: Feed[] = [];
    try {
      pin(world.pid, 0);
      pin(process.pid, 1);
      const issuer = await openWorkloadIssuer(world.data, (size) => randomBytes(size));
      say(`row 8: connecting ${clients} feed clients`);
      for (let index = 0; index < clients; index += 1) feeds.push(await connect(world, tokenOf(issuer, world, index)));
      await measure(world, feeds, issuer);
    } finally {
      for (const feed of feeds) feed.close();
      await world.close();
    }
  }
}

async function measure(world: BenchWorld, feeds: readonly Feed[], issuer: WorkloadIssuer): Promise<void> {
  const mandate = await lifecycleMandate(world, issuer);
  const last: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const session = await startSession(world, mandate);
    // The end is acknowledged with its epoch on disk; whoever hears of it asks about, and refuses, what it touched.
    const heard = Promise.all(feeds.map((feed) => feed.hears(session)));
    await call(world, mandate, 'DELETE', `/agents/${session}`);
    const acknowledged = performance.now();
    const times = await heard;
    last.push(Math.max(0, Math.max(...times) - acknowledged));
  }
  const [p50, p99] = [quantile(last, 0.5), quantile(last, 0.99)];
  const must = MUST_MS[feeds.length]!;
  print({
    row: 8,
    figure: 'revocation acknowledged to the last gateway told',
    gateways: feeds.length,
    ...{ unit: 'ms', p50, p99, samples: last.length, must: `p99 <= ${must}`, met: p99 <= must },
  });
}

interface Feed {
  /** When an event named the agent session. */
  hears(session: string): Promise<number>;
  close(): void;
}

/** One stream as a gateway holds it, acknowledged once so that it counts as informed. */
function connect(world: BenchWorld, token: string): Promise<Feed> {
  return new Promise((resolve, reject) => {
    const waiting = new Map<string, (at: number) => void>();
    const sent: ClientRequest = httpRequest(
      `${world.issuer}/v1/feed?zone_id=${ZONE}`,
      { headers: { authorization: `Bearer ${token}` }, agent: false },
      (response) => {
        if (response.statusCode !== 200) return void reject(new Error(`feed: ${response.statusCode}`));
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          const at = performance.now();
          for (const [session, heard] of waiting)
            if (chunk.includes(session)) {
              waiting.delete(session);
              heard(at);
            }
        });
        response.on('error', () => undefined);
        return void resolve({
          hears: (session) => new Promise((heard) => waiting.set(session, heard)),
          close: () => void sent.destroy(),
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

/** Each a pod of its own, as sidecars are. */
function tokenOf(issuer: WorkloadIssuer, world: BenchWorld, index: number): string {
  const audience = `${world.issuer}/zones/${ZONE}/gateways`;
  const pod = `gateway-${createHash('sha256').update(String(index)).digest('hex').slice(0, 10)}`;
  const asked = { namespace: 'bench', serviceAccount: 'gateway', audience, ttlSeconds: 3600, pod };
  return issueServiceAccountToken(issuer, asked, { clock, randomBytes: (size) => randomBytes(size) });
}

async function lifecycleMandate(world: BenchWorld, issuer: WorkloadIssuer): Promise<string> {
  const audience = `${world.issuer}/zones/${ZONE}`;
  const asked = { namespace: 'bench', serviceAccount: 'agent', audience, ttlSeconds: 3600 };
  const assertion = issueServiceAccountToken(issuer, asked, { clock, randomBytes: (size) => randomBytes(size) });
  const body = new URLSearchParams({
    zone_id: ZONE,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    scope: 'agent:lifecycle',
  });
  const answer = await fetch(`${world.issuer}/oauth/2/token`, { method: 'POST', headers: FORM, body });
  if (!answer.ok) throw new Error(`no session mandate: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { readonly access_token: string }).access_token;
}

async function startSession(world: BenchWorld, mandate: string): Promise<string> {
  const answer = await call(world, mandate, 'POST', '/agents', { application_id: 'bench.agent' });
  return ((await answer.json()) as { readonly agent_session_id: string }).agent_session_id;
}

async function call(
  world: BenchWorld,
  mandate: string,
  method: string,
  path: string,
  body?: object,
): Promise<Response> {
  const answer = await fetch(`${world.issuer}/zones/${ZONE}${path}`, {
    method,
    headers: { authorization: `Bearer ${mandate}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer;
}
