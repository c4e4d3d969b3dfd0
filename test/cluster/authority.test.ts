/** Authority on a real cluster, from `kubectl apply` to the gateway's answer, and how each way of taking it away ends it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/processes.ts';
import { applyQuickstart, deploy, NAMESPACE, quickstart, waitReady, type Deployment } from './deployment.ts';
import { call, decode, exchange, mandate, untilReason, untilStatus } from './requests.ts';

let world: Deployment;
let gateway: string;
let token: string;

beforeAll(async () => {
  world = await deploy();
  // Whatever is referred to comes after what refers to it.
  await applyQuickstart(world, quickstart().toReversed());
  gateway = (await world.startGateway()).url;
  token = await world.clientToken('assistant', 'assistant');
});

afterAll(() => world?.close());

const kubectl = (args: readonly string[], stdin?: string) => world.kubectl(args, stdin);
const mint = () => mandate(world.issuer, token);
const ask = () => exchange(world.issuer, token);

interface Shown {
  readonly metadata: { readonly uid: string };
  readonly status: {
    readonly policy?: { readonly revision: number; readonly digest: string };
    readonly gateways?: { readonly connected: number; readonly current: number };
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

async function get(kind: string, name: string): Promise<Shown> {
  return JSON.parse(await kubectl(['get', `${kind}.caracal.run`, name, '-n', NAMESPACE, '-o', 'json'])) as Shown;
}

async function admitted(bearer: string): Promise<void> {
  expect(await call(gateway, bearer)).toMatchObject({ status: 200 });
}

/** The very mandate, within the second that the pages promise. */
async function refused(bearer: string): Promise<void> {
  const answer = await untilStatus(() => call(gateway, bearer), 401);
  expect(answer.body).toMatchObject({ error: 'invalid_token' });
}

const documentOf = (name: string) => quickstart().filter((document) => document.includes(`\n  name: ${name}\n`));

describe('authority that is applied', () => {
  it('in the order that is worst for it becomes Ready, is exchanged and passes the gateway', async () => {
    await admitted(await mint());
    expect((await exchange(world.issuer, token, 'orders:refund')).body).toMatchObject({ reason: 'ScopeNotGranted' });
  });

  it('is Enforced by as many gateways as are connected', async () => {
    let shown: readonly Shown[] = [];
    await until(
      async () => {
        shown = await Promise.all([get('resource', 'orders'), get('zone', 'shop')]);
        const enforced = shown.map(({ status }) => status.conditions.find(({ type }) => type === 'Enforced'));
        return enforced.every((condition) => condition?.status === 'True' && condition.message.includes('1/1'));
      },
      () => JSON.stringify(shown.map(({ status }) => status)),
      45_000,
      100,
    );
    expect(shown[1]!.status.gateways).toEqual({ connected: 1, current: 1, summary: '1/1' });
  });
});

describe('a mandate already issued ends when', () => {
  it('its Grant is narrowed', async () => {
    const held = await mint();
    await admitted(held);
    await world.patch('grant', 'assistant-orders', { scopes: ['orders:write'] });
    await refused(held);
    expect((await ask()).body).toMatchObject({ reason: 'ScopeNotGranted' });
    await world.patch('grant', 'assistant-orders', { scopes: ['orders:read', 'orders:write'] });
    await untilStatus(ask, 200);
  });

  it.each([
    ['Grant', 'grant', 'assistant-orders', 401],
    ['Application', 'application', 'assistant', 401],
    // The gateway then has nothing that it could serve.
    ['Resource', 'resource', 'orders', 503],
    ['Zone', 'zone', 'shop', 503],
  ])('its %s is deleted, and nothing re-created under the old name revives it', async (_title, kind, name, status) => {
    const held = await mint();
    await admitted(held);
    await kubectl(['delete', `${kind}.caracal.run`, name, '-n', NAMESPACE]);
    await untilStatus(() => call(gateway, held), status);
    const found = documentOf(name).filter((document) => new RegExp(`^kind: ${kind}$`, 'im').test(document));
    await kubectl(['apply', '-f', '-'], found.join('\n---\n'));
    await waitReady(kubectl);
    await untilStatus(ask, 200);
    const fresh = await mint();
    await untilStatus(() => call(gateway, fresh), 200);
    expect(await call(gateway, held)).toMatchObject({ status: 401 });
    // Nor does a gateway that never saw it refused.
    const another = await world.startGateway();
    expect(await call(another.url, fresh)).toMatchObject({ status: 200 });
    expect(await call(another.url, held)).toMatchObject({ status: 401 });
    await another.process.stop(5000);
  });

  it('its Application is renamed, whose new name then has the authority', async () => {
    const held = await mint();
    await admitted(held);
    const renamed = [...documentOf('assistant'), ...documentOf('assistant-orders')]
      .join('\n---\n')
      .replace('\n  name: assistant\n', '\n  name: clerk\n')
      .replace('name: assistant\n  resourceRef', 'name: clerk\n  resourceRef');
    await kubectl(['delete', 'application.caracal.run', 'assistant', '-n', NAMESPACE]);
    await refused(held);
    await kubectl(['apply', '-f', '-'], renamed);
    await untilStatus(ask, 200);
    const fresh = await mint();
    expect(decode(fresh, 1)).toMatchObject({ client_id: `${NAMESPACE}.clerk` });
    await untilStatus(() => call(gateway, fresh), 200);
    expect(await call(gateway, held)).toMatchObject({ status: 401 });
    await kubectl(['delete', 'application.caracal.run', 'clerk', '-n', NAMESPACE]);
    await kubectl(
      ['apply', '-f', '-'],
      [...documentOf('assistant'), ...documentOf('assistant-orders')].join('\n---\n'),
    );
    await waitReady(kubectl);
    await untilStatus(ask, 200);
  });

  it('a stricter PolicySet becomes active; rolled back, new mandates pass', async () => {
    const held = await mint();
    const lenient = (await get('zone', 'shop')).status.policy!;
    await kubectl(['apply', '-f', '-'], CLOSED);
    const policies = ['working-set', 'writes-need-a-user', 'closed'].map((name) => ({ name }));
    await world.patch('policyset', 'shop', { policies });
    await untilReason(ask, 'PolicyDenied');
    await refused(held);
    await waitReady(kubectl);
    const strict = (await get('zone', 'shop')).status.policy!;
    expect(strict.revision).toBe(lenient.revision + 1);

    const pin = (reference: object) => world.patch('zone', 'shop', { policySetRef: { name: 'shop', ...reference } });
    await pin({ revision: lenient.revision });
    await untilStatus(ask, 200);
    const byRevision = await mint();
    await untilStatus(() => call(gateway, byRevision), 200);
    await pin({ revision: null, digest: strict.digest });
    await untilReason(ask, 'PolicyDenied');
    await refused(byRevision);
    await pin({ digest: lenient.digest });
    await untilStatus(ask, 200);
    const byDigest = await mint();
    await untilStatus(() => call(gateway, byDigest), 200);
    expect((await get('zone', 'shop')).status.conditions.every(({ status }) => status === 'True')).toBe(true);
  });

  it('a Revocation takes it away, and stays so when that is deleted; what is minted since passes', async () => {
    const held = await mint();
    await admitted(held);
    const applied = performance.now();
    await kubectl(['apply', '-f', '-'], STOP);
    await refused(held);
    process.stdout.write(`revoked at the gateway ${Math.round(performance.now() - applied)} ms after kubectl apply\n`);
    const fresh = await mint();
    await untilStatus(() => call(gateway, fresh), 200);
    await kubectl(['wait', '--for=condition=Ready', 'revocation/stop', '-n', NAMESPACE, '--timeout=30s']);
    expect((await get('revocation', 'stop')).status.gateways).toMatchObject({ connected: 1, current: 1 });
    await kubectl(['delete', 'revocation', 'stop', '-n', NAMESPACE]);
    const another = await world.startGateway();
    expect(await call(another.url, fresh)).toMatchObject({ status: 200 });
    expect(await call(another.url, held)).toMatchObject({ status: 401 });
    await another.process.stop(5000);
  });

  it('its Zone is frozen, and the zone goes on when that is taken back', async () => {
    const held = await mint();
    await admitted(held);
    await world.patch('zone', 'shop', { freeze: { reason: 'an incident' } });
    await refused(held);
    await untilReason(ask, 'ZoneFrozen');
    await waitReady(kubectl);
    await world.patch('zone', 'shop', { freeze: null });
    await untilStatus(ask, 200);
    const fresh = await mint();
    await untilStatus(() => call(gateway, fresh), 200);
  });
});

const STOP = `
apiVersion: caracal.run/v1alpha1
kind: Revocation
metadata: {name: stop, namespace: ${NAMESPACE}}
spec:
  zoneRef: {name: shop}
  reason: an incident
  target:
    application: {name: assistant}
`;

const CLOSED = `
apiVersion: caracal.run/v1alpha1
kind: Policy
metadata: {name: closed, namespace: ${NAMESPACE}}
spec:
  rego: |
    package caracal.policy.closed

    deny contains "the shop is closed" if input.scope == "orders:read"
`;
