/** Streams of a delegated mandate at a gateway of the real STS: cut when anything that the chain rests on ends. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { application, grant } from '../compiler/world.ts';
import { BY_TILL, call, edgeOf, lifecycleOf, startAgent } from '../sts/agentCalls.ts';
import { mandateOf, READ, startSTS, type TestSTS } from '../sts/service.ts';
import { openRaw, sendRaw, toRequest } from './rawHTTP.ts';
import { startRealGateway, type RealGateway } from './realGateway.ts';
import { startUpstream, until, valuesOf, type Upstream } from './world.ts';

let sts: TestSTS;
let upstream: Upstream;
let gateway: RealGateway;
let cart: string;
let till: string;

beforeAll(async () => {
  [sts, upstream] = await Promise.all([startSTS(), startUpstream()]);
  await sts.apply((world) => ({
    ...world,
    applications: world.applications.map((one) =>
      one.metadata.name === 'cart'
        ? application({ ...one.spec, delegation: { receivers: 'Zone' } }, { name: 'cart' })
        : one,
    ),
    grants: [
      grant({ ...world.grants[0]!.spec, delegation: 'Zone' }, world.grants[0]!.metadata),
      ...world.grants.slice(1),
    ],
    resources: world.resources.map((one) => ({
      ...one,
      spec: { ...one.spec, operationEnforcement: 'Uniform' as const },
    })),
  }));
  gateway = await startRealGateway(sts, upstream);
  upstream.handler = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: first\n\n');
  };
});
afterAll(async () => {
  await gateway.close();
  await Promise.all([sts.close(), upstream.close()]);
});
beforeEach(async () => {
  [cart, till] = await Promise.all([lifecycleOf(sts), lifecycleOf(sts, BY_TILL)]);
});

interface Chain {
  readonly source: string;
  readonly target: string;
  readonly edge: string;
}

/** A mandate of shop.till under an edge of shop.cart. */
async function delegate(): Promise<Chain & { readonly mandate: string }> {
  const [source, target] = await Promise.all([startAgent(sts, cart, 'shop.cart'), startAgent(sts, till, 'shop.till')]);
  const answer = await call(sts, cart, 'POST', '/delegations', { body: edgeOf(source, target) });
  const edge = String(answer.body['delegation_edge_id']);
  const form = { ...BY_TILL, ...READ, agent_session_id: target, delegation_edge_id: edge, use: 'resource' };
  return { source, target, edge, mandate: mandateOf(await sts.token(form)) };
}

const toBytes = (mandate: string) =>
  toRequest(['GET /events HTTP/1.1', 'Host: payments.test', `Authorization: Bearer ${mandate}`]);

async function openStream(mandate: string) {
  const connection = await openRaw(gateway.port);
  connection.write(toBytes(mandate));
  await until(() => connection.pending().includes('data: first'));
  return connection;
}

const ENDS: Readonly<Record<string, (chain: Chain) => Promise<{ readonly status: number }>>> = {
  'its own session ends': ({ target }) => call(sts, till, 'DELETE', `/agents/${target}`),
  'its own session is suspended': ({ target }) => call(sts, till, 'PATCH', `/agents/${target}/suspend`),
  'the session at the root ends': ({ source }) => call(sts, cart, 'DELETE', `/agents/${source}`),
  'the session at the root is suspended': ({ source }) => call(sts, cart, 'PATCH', `/agents/${source}/suspend`),
  'its edge is revoked': ({ edge }) => call(sts, cart, 'PATCH', `/delegations/${edge}/revoke`),
};

describe('a stream under an edge', () => {
  it.each(Object.entries(ENDS))('R-15 is cut within 2 s, though idle, when %s', { retry: 2 }, async (_name, end) => {
    const [chain, other] = [await delegate(), await delegate()];
    const [connection, unconcerned] = [await openStream(chain.mandate), await openStream(other.mandate)];
    const started = performance.now();
    expect((await end(chain)).status).toBeLessThan(300);
    await connection.closed();
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await sendRaw(gateway.port, toBytes(chain.mandate))).status).toBe(401);
    const again = await openStream(other.mandate);
    again.destroy();
    unconcerned.destroy();
  });

  it('tells the app of its session and its edge', async () => {
    const { target, edge, mandate } = await delegate();
    (await openStream(mandate)).destroy();
    const [baggage] = valuesOf(upstream.received.at(-1), 'baggage');
    expect(baggage).toContain(`caracal.agent_session=${target},caracal.delegation_edge=${edge},caracal.hop=1`);
  });
});
