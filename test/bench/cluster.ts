/** A real kube-apiserver with controller and STS, and the bench's objects in it; written to over plain HTTP, not by kubectl. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type RunningProcess } from '../../scripts/demo/processes.ts';
import { installRoles, startController, startSTS } from '../../scripts/demo/roles.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { MANIFESTS, ZONE } from './world.ts';
import { freePort } from '../support/ports.ts';

const GROUP = '/apis/caracal.run/v1alpha1/namespaces/bench';

const BYSTANDER = `apiVersion: caracal.run/v1alpha1
kind: Application
metadata: {name: bystander, namespace: bench}
spec:
  zoneRef: {name: zone}
  identities: [{serviceAccount: {name: bystander}}]
`;

export interface BenchCluster {
  readonly issuer: string;
  /** A pod-bound token of the bench's agent, made once. */
  assertion(): Promise<string>;
  /** Adds Grants of other applications until there are `size`. */
  growTo(size: number): Promise<void>;
  /** Resolves when the API server has answered. */
  patchGrant(scopes: readonly string[]): Promise<void>;
  /** Writes the policy and resolves when the API server shows the revision made of it. */
  patchPolicyAndAwaitRevision(allow: boolean): Promise<void>;
  close(): Promise<void>;
}

export async function startBenchCluster(): Promise<BenchCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-bench-'));
  const cluster = await startCluster();
  const running: RunningProcess[] = [];
  const agent = new Agent({ connect: { ca: cluster.ca } });
  await installRoles(cluster);
  await cluster.kubectl(['create', 'namespace', 'bench']);
  await cluster.kubectl(['create', 'serviceaccount', 'agent', '-n', 'bench']);
  await cluster.kubectl([
    'run',
    'agent',
    '-n',
    'bench',
    '--image=none',
    '--overrides',
    '{"spec":{"serviceAccountName":"agent"}}',
  ]);
  const issuer = `http://127.0.0.1:${await freePort()}`;
  running.push(await startSTS(cluster, folder, issuer), await startController(cluster, folder, issuer));
  const manifests = MANIFESTS.replace('{name: "orders:read"}', '{name: "orders:read"}, {name: "orders:list"}');
  await cluster.kubectl(['apply', '-f', '-'], `${manifests}---\n${BYSTANDER}`);
  await cluster.kubectl(['wait', '--for=condition=Ready', 'grants.caracal.run/read', '-n', 'bench', '--timeout=60s']);
  const send = (method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown) =>
    callAPI(cluster, agent, method, path, body);
  const assertion = cluster.kubectl([
    ...['create', 'token', 'agent', '-n', 'bench', '--audience', `${issuer}/zones/${ZONE}`],
    ...['--bound-object-kind', 'Pod', '--bound-object-name', 'agent'],
  ]);
  let grants = 1;
  return {
    issuer,
    assertion: async () => (await assertion).trim(),
    growTo: async (size) => {
      const worker = async () => {
        while (grants < size) await send('POST', `${GROUP}/grants`, bystander(grants++));
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      await cluster.kubectl([
        'wait',
        '--for=condition=Ready',
        `grants.caracal.run/other-${size - 1}`,
        '-n',
        'bench',
        '--timeout=300s',
      ]);
    },
    patchGrant: async (scopes) => {
      await send('PATCH', `${GROUP}/grants/read`, { spec: { scopes } });
    },
    patchPolicyAndAwaitRevision: async (allow) => {
      const before = await latestRevision(send);
      await send('PATCH', `${GROUP}/policies/hours`, { spec: { rego: rego(allow, before) } });
      while ((await latestRevision(send)) === before);
    },
    close: async () => {
      await Promise.all(running.map((process) => process.stop()));
      await agent.close();
      await cluster.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type Send = (method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown) => Promise<unknown>;

async function callAPI(cluster: Cluster, agent: Agent, method: string, path: string, body: unknown): Promise<unknown> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const response = await request(`${cluster.url}${path}`, {
    method: method as 'GET',
    dispatcher: agent,
    headers: { authorization: `Bearer ${cluster.token}`, 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.body.json();
  if (response.statusCode > 299) throw new Error(`${method} ${path}: ${response.statusCode} ${JSON.stringify(answer)}`);
  return answer;
}

async function latestRevision(send: Send): Promise<number> {
  const list = (await send('GET', `${GROUP}/policysetrevisions`)) as { items: { spec: { number: number } }[] };
  return Math.max(0, ...list.items.map(({ spec }) => spec.number));
}

const rego = (allow: boolean, salt: number) =>
  `package caracal.policy.hours\n\n# revision after ${salt}\nallow if input.scope == "${allow ? 'orders:read' : 'orders:none'}"\n`;

function bystander(index: number): unknown {
  return {
    apiVersion: 'caracal.run/v1alpha1',
    kind: 'Grant',
    metadata: { name: `other-${index}`, namespace: 'bench' },
    spec: {
      zoneRef: { name: 'zone' },
      applicationRef: { name: 'bystander' },
      resourceRef: { name: 'orders' },
      scopes: ['orders:list'],
    },
  };
}
