/** A gateway of the real STS that the STS' own tests use, in front of its Resource `shop/payments`. */
import { randomBytes } from 'node:crypto';
import { createGateway } from '../../src/gateway/gateway.ts';
import { gatewayToken } from '../sts/gateway.ts';
import type { TestSTS } from '../sts/service.ts';
import { ISSUER } from '../sts/tokens.ts';
import { until, type Upstream } from './world.ts';

export interface RealGateway {
  readonly port: number;
  close(): Promise<void>;
}

export async function startRealGateway(sts: TestSTS, upstream: Upstream): Promise<RealGateway> {
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
