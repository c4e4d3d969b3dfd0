/** TLS on both sides: towards clients where the gateway has a certificate, and towards an STS whose certificate is verified. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { createGateway } from '../../src/gateway/gateway.ts';
import { localhostCertificate as cert, localhostKey as key } from '../tokens/localhostCertificate.ts';
import { createMovableClock, startWorld, toBytes, until, valuesOf } from './world.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe('a listener with a certificate', () => {
  it('speaks TLS, and says so upstream', async () => {
    const world = await startWorld({ config: () => ({ tls: { cert, key } }) });
    stops.push(() => world.stop());
    const socket = connect({ port: world.port, host: '127.0.0.1', servername: 'localhost', ca: cert });
    await once(socket, 'secureConnect');
    socket.write(toBytes('GET /orders', {}, world.sts));
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(bytes.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /);
    expect(valuesOf(world.upstream.received.at(-1), 'x-forwarded-proto')).toEqual(['https']);
  });
});

describe('the STS', () => {
  async function connections(
    url: (port: number) => string,
    ca?: string,
  ): Promise<{ requests: number; refusals: number }> {
    const seen = { requests: 0, refusals: 0 };
    const server = createServer({ cert, key }, (_request, response) => {
      seen.requests += 1;
      response.writeHead(503).end();
    });
    server.on('tlsClientError', () => (seen.refusals += 1));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const zone = { issuer: 'https://sts.test', zoneID: 'team.main', token: async () => 'a.b.c' };
    const gateway = createGateway(
      {
        zones: [{ ...zone, url: url((server.address() as AddressInfo).port), ...(ca !== undefined && { ca }) }],
        ...{ protect: [], allowUpstreamRanges: [], drainMs: 0 },
      },
      {
        ...{ clock: createMovableClock(), randomBytes: (size: number) => randomBytes(size) },
        log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      },
    );
    stops.push(() => gateway.close());
    await gateway.start();
    await until(() => seen.requests + seen.refusals > 0);
    server.close();
    server.closeAllConnections();
    return seen;
  }

  it('is heard over TLS where its certificate is trusted', async () => {
    expect(await connections((port) => `https://localhost:${port}`, cert)).toEqual({ requests: 1, refusals: 0 });
  });

  it('E-14 is not sent the token where its certificate is not trusted, or is for another name', async () => {
    expect((await connections((port) => `https://localhost:${port}`)).requests).toBe(0);
    expect((await connections((port) => `https://127.0.0.1:${port}`, cert)).requests).toBe(0);
  });
});
