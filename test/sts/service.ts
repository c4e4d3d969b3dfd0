/** The real STS over real ports, with a world, a clock and workloads that the test moves. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { World, WorldSource } from '../../src/compiler/world.ts';
import { explainPolicy } from '../../src/policy/explain.ts';
import { createPolicyEngine } from '../../src/policy/workers.ts';
import type { EngineStore } from '../../src/store/engineStore.ts';
import { openSQLiteStore } from '../../src/store/sqlite.ts';
import type { STSPorts, Workload, WorkloadDirectory } from '../../src/sts/ports.ts';
import { createSTS, type STS, type STSConfig } from '../../src/sts/sts.ts';
import { generateZoneKey } from '../../src/tokens/generate.ts';
import type { PrivateZoneKey } from '../../src/tokens/keys.ts';
import { createTestOPA } from '../policy/support.ts';
import { BANK_UID, PAYMENTS, POLICY, SECRET, shopWorld, ZONE, ZONE_UID } from './shop.ts';
import { cluster, CLUSTER_ISSUER, ISSUER, serviceAccountClaims, signAs, type Claims } from './tokens.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Of JSON, else empty. */
  readonly body: Readonly<Record<string, unknown>>;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  readonly localAddress?: string;
}

/** Fields in order; an array repeats one, undefined leaves one out. */
export type Form = Readonly<Record<string, string | readonly string[] | undefined>>;

interface Logged {
  readonly level: 'info' | 'warn' | 'error';
  readonly members: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface TestSTS {
  readonly keys: Map<string, readonly PrivateZoneKey[]>;
  readonly log: Logged[];
  /** Run after each evaluation of policy, before its outcome is used: whatever may happen meanwhile. */
  readonly meanwhile: {
    evaluated?: (() => Promise<void> | void) | undefined;
    /** Run before a policy set of this zone UID is prepared. */
    preparing?: ((zoneUID: string) => Promise<void> | void) | undefined;
  };
  /** By pod UID; a pod that is not named is alive. */
  readonly pods: Map<string, 'gone' | 'unknown'>;
  readonly storePath: string;
  url(): string;
  store(): EngineStore;
  /** As operators decide them. */
  challenges(): STS['challenges'];
  /** Unix seconds. */
  seconds(): number;
  /** The wall clock stands still but for this. */
  advance(seconds: number): void;
  /** Stops the monotonic clock meanwhile: no bucket fills, however busy the machine is. */
  standingStill<T>(during: () => Promise<T>): Promise<T>;
  world(): World;
  /** Resolves when it is served. */
  apply(change: (world: World) => World): Promise<void>;
  send(call: Call): Promise<Answer>;
  token(form: Form, call?: Call): Promise<Answer>;
  /** The STS and its store, stopped and started anew over the same file; `between` may change what they find. */
  restart(between?: () => void): Promise<void>;
  close(): Promise<void>;
}

export const CONTROLLER = { namespace: 'caracal-system', name: 'controller' };

/** What replicas of one zone share. */
export interface SharedBy {
  openStore(): Promise<EngineStore>;
  readonly keys?: Map<string, readonly PrivateZoneKey[]>;
}

export async function startSTS(config: Partial<STSConfig> = {}, shared?: SharedBy): Promise<TestSTS> {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-sts-'));
  const storePath = join(folder, 'store.db');
  const test = createTestOPA();
  // Compiled once before, so that no exchange meets a set that is still compiling.
  await test.opa.compile([POLICY]);
  let now = Date.now();
  let stoppedAt: number | undefined;
  const clock = { now: () => now, monotonic: () => stoppedAt ?? performance.now() };
  const policies = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 5000 });
  const activeAt = clock.now() - 60_000;
  const makeKeys = () => [generateZoneKey(activeAt, activeAt), generateZoneKey(activeAt)];
  const keys =
    shared?.keys ?? new Map<string, readonly PrivateZoneKey[]>([ZONE_UID, BANK_UID].map((uid) => [uid, makeKeys()]));
  const source = createSource(shopWorld(keys));
  const meanwhile: TestSTS['meanwhile'] = {};
  const slowPolicies: typeof policies = {
    ...policies,
    async prepare(...set) {
      await meanwhile.preparing?.(set[0]);
      return policies.prepare(...set);
    },
    async evaluate(...question) {
      const outcomes = await policies.evaluate(...question);
      await meanwhile.evaluated?.();
      return outcomes;
    },
  };
  const pods = new Map<string, 'gone' | 'unknown'>();
  const log: Logged[] = [];
  const write = (level: Logged['level']) => (members: Logged['members'], message: string) =>
    void log.push({ level, members, message });
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });

  const open = async () => {
    const store = await (shared?.openStore() ?? openSQLiteStore({ path: storePath, clock, randomBytes }));
    const ports: STSPorts = {
      source,
      signingKeys: { keys: (uid) => keys.get(uid) ?? [] },
      workloads: createWorkloads(pods),
      policies: slowPolicies,
      store,
      clock,
      randomBytes,
      log: { info: write('info'), warn: write('warn'), error: write('error') },
      explain: (modules, input) => explainPolicy(test.opa, modules, input),
    };
    const listen = { host: '127.0.0.1', port: 0 };
    const sts = createSTS({ issuer: ISSUER, listen, controller: CONTROLLER, allowJWKSRanges: [], ...config }, ports);
    const { url } = await sts.start();
    return { store, sts, url };
  };
  const stop = async ({ sts, store }: { readonly sts: STS; readonly store: EngineStore }) => {
    await sts.close();
    await store.close();
  };
  let running = await open();

  const send = (call: Call) => sendTo(running.url, call, agent);
  return {
    keys,
    log,
    meanwhile,
    pods,
    storePath,
    url: () => running.url,
    store: () => running.store,
    challenges: () => running.sts.challenges,
    seconds: () => Math.floor(clock.now() / 1000),
    advance: (seconds) => void (now += seconds * 1000),
    async standingStill(during) {
      stoppedAt = performance.now();
      try {
        return await during();
      } finally {
        stoppedAt = undefined;
      }
    },
    world: () => source.world(),
    async apply(change) {
      const version = source.replace(change(source.world()));
      await vi.waitFor(() => {
        if (running.sts.report().versions.Zone !== version) throw new Error(`version ${version} is not served`);
      }, WAIT);
    },
    send,
    token: (form, call = {}) => send(toTokenCall(form, call)),
    async restart(between = () => undefined) {
      await stop(running);
      between();
      running = await open();
    },
    async close() {
      agent.destroy();
      await stop(running);
      await policies.close();
      test.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const WAIT = { timeout: 10_000, interval: 5 };

function createSource(first: World): WorldSource & { replace(world: World): string } {
  let world = first;
  let version = 1;
  const listeners = new Set<() => void>();
  return {
    start: () => Promise.resolve(),
    world: () => world,
    versions: () => ({ Zone: String(version) }),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    lastEventAge: () => 0,
    close: () => Promise.resolve(),
    replace(next) {
      world = next;
      version += 1;
      for (const listener of listeners) listener();
      return String(version);
    },
  };
}

function createWorkloads(pods: ReadonlyMap<string, 'gone' | 'unknown'>): WorkloadDirectory {
  return {
    issuer: () => CLUSTER_ISSUER,
    keys: () => [cluster.jwk],
    alive: ({ podUID }: Workload) => pods.get(podUID) ?? 'alive',
  };
}

function toTokenCall(form: Form, call: Call): Call {
  const pairs = Object.entries(form).flatMap(([name, value]) =>
    [value].flat().flatMap((one) => (one === undefined ? [] : [[name, one]])),
  );
  return {
    method: 'POST',
    path: '/oauth/2/token',
    body: new URLSearchParams(pairs).toString(),
    ...call,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...call.headers },
  };
}

function sendTo(url: string, { method = 'GET', path = '/', headers, body, localAddress }: Call, agent: Agent) {
  return new Promise<Answer>((resolve, reject) => {
    const options = { method, path, agent, headers: { ...headers } as Record<string, string | string[]> };
    if (body !== undefined) options.headers['content-length'] = String(Buffer.byteLength(body));
    const sent = httpRequest(url, localAddress === undefined ? options : { ...options, localAddress }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJSON = text !== '' && /json/.test(response.headers['content-type'] ?? '');
        const parsed = (isJSON ? JSON.parse(text) : {}) as Answer['body'];
        resolve({ status: response.statusCode!, headers: response.headers, text, body: parsed });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** What an application with a secret sends for itself. */
export const BY_SECRET = { zone_id: ZONE, application_id: 'shop.cart', client_secret: SECRET } as const;
export const READ = { resource: PAYMENTS, scope: 'read' } as const;

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export function byAssertion(client_assertion: string): Form {
  return { zone_id: ZONE, client_assertion, client_assertion_type: JWT_BEARER };
}

/** The pod-bound token of shop.cart; `claims` overrides. */
export function podToken(sts: Pick<TestSTS, 'seconds'>, claims: Claims = {}): string {
  return signAs(cluster, serviceAccountClaims(sts.seconds(), claims));
}

export const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:';

export function withSubject(subject_token: string, type = 'id_token'): Form {
  return { subject_token, subject_token_type: `${TOKEN_TYPE}${type}` };
}

/** Status and code, the way the wire's tables say them. */
export const errorOf = ({ status, body }: Answer): string => `${status} ${String(body['error'])}`;

/** The mandate of a 200, or an error that says what came instead. */
export function mandateOf({ status, body, text }: Answer): string {
  if (status !== 200) throw new Error(`no mandate: ${status} ${text}`);
  return String(body['access_token']);
}
