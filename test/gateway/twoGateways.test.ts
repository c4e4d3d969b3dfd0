/** Two gateways of one real STS: what one of them spent, the other does not admit. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGateway } from '../../src/gateway/gateway.ts';
import { gatewayToken } from '../sts/gateway.ts';
import { BY_SECRET, mandateOf, READ, startSTS, type TestSTS } from '../sts/service.ts';
import { ZONE_UID } from '../sts/shop.ts';
import { ISSUER } from '../sts/tokens.ts';
import { sendRaw, toRequest } from './rawHTTP.ts';
import { startUpstream, until, type Upstream } from './world.ts';

let sts: TestSTS;
let upstream: Upstream;
let gateways: readonly { readonly port: number; close(): Promise<void> }[];

beforeAll(async () => {
  [sts, upstream] = await Promise.all([startSTS(), startUpstream()]);
  await sts.apply((world) => ({
    ...world,
    resources: world.resources.map((one) => ({
      ...one,
      spec: {
        ...one.spec,
        operationEnforcement: 'Uniform' as const,
        mandate: { ...one.spec.mandate, singleUse: true },
      },
    })),
  }));
  gateways = await Promise.all([startGateway(), startGateway()]);
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all([sts.close(), upstream.close()]);
});

async function startGateway() {
  const listen = { host: '127.0.0.1', port: 0 };
  const gateway = createGateway(
    {
      zones: [{ issuer: ISSUER, url: sts.url(), zoneID: 'shop.main', token: async () => gatewayToken(sts) }],
      protect: [{ zoneID: 'shop.main', resource: 'shop/payments', listen, target: `127.0.0.1:${upstream.port}` }],
      allowUpstreamRanges: [],
      drainMs: 0,
    },
    {
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      randomBytes: (size) => randomBytes(size),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    },
  );
  const { protect } = await gateway.start();
  await until(() => gateway.ready().ready);
  return { port: protect[0]!, close: () => gateway.close() };
}

describe('a mandate of single use', () => {
  it('X-16 that is used 200 times together at two gateways passes once', async () => {
    const token = mandateOf(await sts.token({ ...BY_SECRET, ...READ }));
    const bytes = toRequest(['GET /anything HTTP/1.1', 'Host: payments.test', `Authorization: Bearer ${token}`]);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => sendRaw(gateways[index % 2]!.port, bytes)),
    );
    const count = (status: number) => answers.filter((answer) => answer.status === status).length;
    expect({ passed: count(200), refused: count(401) + count(503) }).toEqual({ passed: 1, refused: 199 });
    expect(upstream.received.length).toBe(1);
    const records = await sts.store().decisions(ZONE_UID, 100);
    expect(records.filter(({ kind }) => kind === 'consume').length).toBe(1);
  });
});
