/** The outage table of the design on a real cluster: what goes on, what waits and what is refused while a part is down. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until, type OwnedProcess } from '../support/processes.ts';
import { startTCPProxy, type TCPProxy } from '../support/tcpProxy.ts';
import { applyQuickstart, deploy, NAMESPACE, waitReady, type Deployment } from './deployment.ts';
import { call, exchange, mandate, untilReason, untilStatus } from './requests.ts';

const STALE_AFTER_MS = 5000;
const BOTH = { scopes: ['orders:read', 'orders:write'] };
const WRITE_ONLY = { scopes: ['orders:write'] };

let world: Deployment;
/** Between the STS and the API server. */
let proxy: TCPProxy;
let sts: OwnedProcess;
let controller: OwnedProcess;
let gateway: string;
let token: string;

beforeAll(async () => {
  world = await deploy({ roles: false });
  proxy = await startTCPProxy(Number(new URL(world.cluster.url).port));
  sts = await world.startSTS(`https://127.0.0.1:${proxy.port}`);
  controller = await world.startController();
  await applyQuickstart(world);
  await world.patch('zone', 'shop', { enforcement: { staleAfter: `${STALE_AFTER_MS / 1000}s` } });
  gateway = (await world.startGateway()).url;
  token = await world.clientToken('assistant', 'assistant');
});

afterAll(async () => {
  await world?.close();
  await proxy?.close();
});

const kubectl = (args: readonly string[], stdin?: string) => world.kubectl(args, stdin);
const mint = () => mandate(world.issuer, token);
const ask = (bearer = token) => exchange(world.issuer, bearer);
const setGrant = (spec: object) => world.patch('grant', 'assistant-orders', spec);

async function createPod(name: string): Promise<string> {
  const containers = [{ name: 'agent', image: 'registry.k8s.io/pause:3.10' }];
  const spec = { serviceAccountName: 'assistant', automountServiceAccountToken: false, containers };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE }, spec };
  await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
  return world.clientToken(name, 'assistant');
}

/** A change arrives whole: taken away and given back. */
async function changesArrive(): Promise<void> {
  const held = await mint();
  await untilStatus(() => call(gateway, held), 200);
  await setGrant(WRITE_ONLY);
  await untilStatus(() => call(gateway, held), 401, 30_000);
  await untilReason(ask, 'ScopeNotGranted');
  await setGrant(BOTH);
  await untilStatus(ask, 200, 30_000);
  await waitReady(kubectl, 40);
}

describe('kube-apiserver stopped', () => {
  it('workloads already seen go on and others are refused, the gateway admits, revalidation works; then changes arrive', async () => {
    const held = await mint();
    // A change that touches the mandate without ending it: a gateway that starts later has to ask about it.
    await setGrant({ scopes: ['orders:read', 'orders:refund'] });
    await untilReason(() => exchange(world.issuer, token, 'orders:write'), 'ScopeNotGranted');
    const unused = await mint();
    proxy.cut();
    const unseen = await createPod('unseen');
    await world.cluster.stopAPIServer();

    const since = performance.now();
    await until(
      async () => {
        expect(await ask()).toMatchObject({ status: 200 });
        expect(await call(gateway, held)).toMatchObject({ status: 200 });
        return performance.now() - since > STALE_AFTER_MS + 1000;
      },
      () => 'unreachable',
    );
    // Neither alive nor gone: not known, so refused, and worth asking again later.
    expect(await ask(unseen)).toMatchObject({ status: 503, body: { error: 'sts_unavailable' } });
    const another = await world.startGateway();
    expect(await call(another.url, held)).toMatchObject({ status: 200 });
    expect(await call(another.url, unused)).toMatchObject({ status: 200 });
    await another.process.stop(5000);

    await world.cluster.startAPIServer();
    proxy.open();
    await setGrant(BOTH);
    await changesArrive();
    await untilStatus(() => ask(unseen), 200);
  }, 120_000);
});

describe('etcd restarted', () => {
  it('changes made after it arrive, and what was issued before goes on', async () => {
    const held = await mint();
    await world.cluster.restartEtcd();
    expect(await call(gateway, held)).toMatchObject({ status: 200 });
    expect(await ask()).toMatchObject({ status: 200 });
    await until(
      () =>
        setGrant(BOTH).then(
          () => true,
          () => false,
        ),
      () => 'the API server does not recover',
    );
    await changesArrive();
  }, 90_000);
});

describe('the STS', () => {
  it('killed and started on the same store still vouches for what it issued', async () => {
    const held = await mint();
    process.kill(sts.pid, 'SIGKILL');
    await until(
      () => !sts.running(),
      () => 'not killed',
    );
    expect(await call(gateway, held)).toMatchObject({ status: 200 });
    sts = await world.startSTS();
    await untilStatus(ask, 200);
    await untilStatus(() => call(gateway, held), 200);
    await changesArrive();
    expect(await call(gateway, await mint())).toMatchObject({ status: 200 });
  }, 60_000);

  it('down for longer than staleAfter makes the gateway deny; on a lost store it vouches for nothing earlier', async () => {
    const held = await mint();
    await untilStatus(() => call(gateway, held), 200);
    await sts.stop(5000);
    const refusal = await untilStatus(() => call(gateway, held), 503, STALE_AFTER_MS + 2000);
    expect(refusal.body).toMatchObject({ error: 'sts_unavailable' });
    rmSync(world.data, { recursive: true });
    sts = await world.startSTS();
    const lost = await untilStatus(() => call(gateway, held), 401);
    expect(lost.body).toMatchObject({ error: 'invalid_token' });
    await untilStatus(ask, 200);
    const fresh = await mint();
    await untilStatus(() => call(gateway, fresh), 200);
    expect(await call(gateway, held)).toMatchObject({ status: 401 });
  }, 60_000);
});

describe('of two controllers', () => {
  it('the leader is killed: the other takes over, and a change becomes Ready', async () => {
    await world.startController();
    const killedAt = performance.now();
    process.kill(controller.pid, 'SIGKILL');
    await kubectl(['label', 'namespace', NAMESPACE, 'edited=true']);
    await setGrant(WRITE_ONLY);
    // The STS reads the cluster itself: authority does not wait for a leader.
    await untilReason(ask, 'ScopeNotGranted', 5000);
    await observed('grant', 'assistant-orders');
    await waitReady(kubectl, 40);
    expect(performance.now() - killedAt).toBeLessThan(30_000);
  }, 90_000);
});

/** `kubectl wait` alone would take the status of the generation before. */
async function observed(kind: string, name: string): Promise<void> {
  const path = ['-o', 'jsonpath={.metadata.generation} {.status.observedGeneration}'];
  let seen = '';
  await until(
    async () => {
      seen = await kubectl(['get', `${kind}.caracal.run`, name, '-n', NAMESPACE, ...path]);
      const [generation, observed] = seen.split(' ');
      return generation === observed;
    },
    () => `generation and observed generation stay ${seen}`,
    40_000,
    100,
  );
}
