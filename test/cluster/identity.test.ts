/** Keys and identities of a real cluster: a signing key revoked in an emergency, pods and ServiceAccounts that go, and what is left after all. */
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/processes.ts';
import {
  applyQuickstart,
  deploy,
  KINDS,
  NAMESPACE,
  quickstart,
  ROOT,
  SYSTEM,
  ZONE,
  type Deployment,
} from './deployment.ts';
import { call, decode, exchange, mandate, untilStatus } from './requests.ts';

/** How long Kubernetes itself honours a token of a pod that is being deleted. */
const LEEWAY_MS = 60_000;

let world: Deployment;
let gateway: string;
let token: string;
let leaving: { readonly token: string; readonly deletedAt: number };

beforeAll(async () => {
  world = await deploy();
  await applyQuickstart(world);
  gateway = (await world.startGateway()).url;
  token = await world.clientToken('assistant', 'assistant');
  leaving = await deleteSlowly('leaving');
});

afterAll(() => world?.close());

const kubectl = (args: readonly string[], stdin?: string) => world.kubectl(args, stdin);
const mint = () => mandate(world.issuer, token);
const ask = (bearer = token) => exchange(world.issuer, bearer);

async function createPod(name: string, finalizers: readonly string[] = []): Promise<void> {
  const metadata = { name, namespace: NAMESPACE, finalizers };
  const containers = [{ name: 'agent', image: 'registry.k8s.io/pause:3.10' }];
  const spec = { serviceAccountName: 'assistant', automountServiceAccountToken: false, containers };
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }));
}

/** A pod that is being deleted and stays in sight: what a kubelet does while containers end. */
async function deleteSlowly(name: string): Promise<{ readonly token: string; readonly deletedAt: number }> {
  await createPod(name, ['example.com/ends-slowly']);
  const own = await world.clientToken(name, 'assistant');
  await untilStatus(() => ask(own), 200);
  await kubectl(['delete', 'pod', name, '-n', NAMESPACE, '--wait=false']);
  return { token: own, deletedAt: performance.now() };
}

interface PublishedKeys extends JSONWebKeySet {
  readonly keys: { kty: string; kid: string }[];
}

async function keySet(): Promise<PublishedKeys> {
  const response = await fetch(`${world.issuer}/.well-known/jwks.json?zone_id=${ZONE}`);
  return (await response.json()) as PublishedKeys;
}

const kidOf = (jwt: string) => String(decode(jwt, 0)['kid']);

describe('signing keys', () => {
  it('the first signs at once, and a standby is published beside it', async () => {
    const { keys } = await keySet();
    expect(keys).toHaveLength(2);
    expect(keys.map(({ kid }) => kid)).toContain(kidOf(await mint()));
  });

  it('the signing key revoked: the standby signs, verifiers with an old key set accept it, old mandates end', async () => {
    const cached = await keySet();
    const held = await mint();
    expect(await call(gateway, held)).toMatchObject({ status: 200 });
    const revoked = kidOf(held);
    const standby = cached.keys.map(({ kid }) => kid).find((kid) => kid !== revoked);
    await world.patch('zone', 'shop', { keys: { revoke: [revoked] } });
    await untilStatus(() => call(gateway, held), 401);
    const minted = await untilStatus(ask, 200, 5000);
    const fresh = String(minted.body['access_token']);
    expect(kidOf(fresh)).toBe(standby);
    const verified = await jwtVerify(fresh, createLocalJWKSet(cached), { issuer: world.issuer });
    expect(verified.payload).toMatchObject({ client_id: `${NAMESPACE}.assistant` });
    await untilStatus(() => call(gateway, fresh), 200);

    let present: readonly string[] = [];
    await until(
      async () => {
        present = (await keySet()).keys.map(({ kid }) => kid);
        return present.length === 2;
      },
      () => `no new standby beside ${present.join()}`,
    );
    expect(present).toContain(standby);
    expect(present).not.toContain(revoked);
  });
});

describe('a workload', () => {
  it('X-14 whose pod is deleted is refused as soon as the pod is gone', async () => {
    await createPod('short-lived');
    const own = await world.clientToken('short-lived', 'assistant');
    await untilStatus(() => ask(own), 200);
    await kubectl(['delete', 'pod', 'short-lived', '-n', NAMESPACE]);
    const refusal = await untilStatus(() => ask(own), 401, 5000);
    expect(refusal.body).toMatchObject({ error: 'invalid_client' });
    // The same name is another pod.
    await createPod('short-lived');
    await untilStatus(async () => ask(await world.clientToken('short-lived', 'assistant')), 200);
    expect(await ask(own)).toMatchObject({ status: 401 });
  });

  it('X-14 whose pod takes its time to go is refused within seconds after the leeway', async () => {
    const elapsed = () => performance.now() - leaving.deletedAt;
    // Kubernetes counts whole seconds.
    await untilStatus(() => ask(leaving.token), 401, LEEWAY_MS + 5000 - elapsed());
    expect(elapsed()).toBeGreaterThan(LEEWAY_MS - 10_000);
  }, 90_000);

  it('X-14 whose ServiceAccount is re-created needs a token of the new one', async () => {
    await kubectl(['delete', 'serviceaccount', 'assistant', '-n', NAMESPACE]);
    await untilStatus(ask, 401, 5000);
    await kubectl(['create', 'serviceaccount', 'assistant', '-n', NAMESPACE]);
    const own = await world.clientToken('assistant', 'assistant');
    await untilStatus(() => ask(own), 200, 5000);
    expect(await ask()).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    token = own;
  });
});

describe('nothing is left', () => {
  it('of a namespace: no object holds its deletion up, and its authority ends with them', async () => {
    const held = await mint();
    expect(await call(gateway, held)).toMatchObject({ status: 200 });
    await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
    await deleteContent(NAMESPACE);
    expect(await kubectl(['get', 'caracal', '-n', NAMESPACE, '-o', 'name'])).toBe('');
    const answer = await untilStatus(() => call(gateway, held), 503, 5000);
    expect(answer.body).toMatchObject({ error: 'sts_unavailable' });
    // A zone that is not there tells a stranger nothing of itself.
    expect(await ask()).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    await finalise(NAMESPACE);
    await until(
      async () => (await kubectl(['get', 'namespace', NAMESPACE, '--ignore-not-found', '-o', 'name'])) === '',
      () => 'the namespace stays',
    );
  });

  it('of the kinds: their definitions go with all objects, and the keys of the zones follow', async () => {
    const all = quickstart().filter((document) => /^kind: (Zone|Policy|PolicySet)$/m.test(document));
    await kubectl(['create', 'namespace', 'other']);
    await kubectl(['apply', '-f', '-'], all.join('\n---\n').replaceAll(`namespace: ${NAMESPACE}`, 'namespace: other'));
    await kubectl(['wait', '--for=condition=Ready', 'zone.caracal.run/shop', '-n', 'other', '--timeout=20s']);
    const secrets = async () => kubectl(['get', 'secrets', '-n', SYSTEM, '-o', 'name']);
    expect(await secrets()).toContain('caracal-keys-');
    await kubectl(['delete', '-f', join(ROOT, 'crds'), '-f', join(ROOT, 'crds/admission'), '--timeout=30s']);
    expect(await kubectl(['get', 'crds', '-o', 'name'])).not.toContain('caracal.run');
    expect(await kubectl(['api-resources', '--api-group=caracal.run', '-o', 'name'])).toBe('');
    await until(
      async () => (await secrets()) === '',
      () => 'keys stay',
      90_000,
      500,
    );
  }, 120_000);
});

/** What the namespace controller does, with its own rights: a test cluster has none. */
async function deleteContent(namespace: string): Promise<void> {
  const all = [...KINDS, 'policysetrevisions.caracal.run'].join(',');
  const as = '--as=system:serviceaccount:kube-system:namespace-controller';
  await kubectl(['delete', all, '--all', '-n', namespace, '--timeout=20s', as]);
}

async function finalise(name: string): Promise<void> {
  const namespace = JSON.parse(await kubectl(['get', 'namespace', name, '-o', 'json'])) as { spec: object };
  const free = JSON.stringify({ ...namespace, spec: { ...namespace.spec, finalizers: [] } });
  await kubectl(['replace', '--raw', `/api/v1/namespaces/${name}/finalize`, '-f', '-'], free);
}
