/** Two gateways of one real STS: what one of them spent, the other does not admit. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BY_SECRET, mandateOf, READ, startSTS, type TestSTS } from '../sts/service.ts';
import { ZONE_UID } from '../sts/shop.ts';
import { sendRaw, toRequest } from './rawHTTP.ts';
import { startRealGateway, type RealGateway } from './realGateway.ts';
import { startUpstream, type Upstream } from './world.ts';

let sts: TestSTS;
let upstream: Upstream;
let gateways: readonly RealGateway[];

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
  gateways = await Promise.all([startRealGateway(sts, upstream), startRealGateway(sts, upstream)]);
});
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await Promise.all([sts.close(), upstream.close()]);
});

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
    const records = await sts.store().decisions(ZONE_UID, 500);
    expect(records.filter(({ kind, outcome }) => kind === 'consume' && outcome === 'permit').length).toBe(1);
  });
});
