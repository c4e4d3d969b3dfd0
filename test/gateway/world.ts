/** A gateway between a bare socket and a real upstream, with a small STS behind it and a clock that can be moved. */
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FeedResource } from '../../src/authority/feed.ts';
import { createGateway, type Gateway, type GatewayAddresses, type GatewayConfig } from '../../src/gateway/gateway.ts';
import { createGatewayLog } from '../../src/gateway/log.ts';
import { sendRaw, toRequest, type RawAnswer } from './rawHTTP.ts';
import { startFakeSTS, ZONE, type FakeSTS } from './sts.ts';

export const ORDERS: FeedResource = {
  identifier: 'resource://orders',
  namespace: 'team',
  name: 'orders',
  scopes: ['orders:read', 'orders:write', 'orders:admin'],
  operations: [
    { methods: ['GET', 'HEAD'], path: '/orders', scopes: ['orders:read'] },
    { methods: ['POST'], path: '/orders', scopes: ['orders:write'] },
    { methods: ['GET'], path: '/orders/{id}', scopes: ['orders:read'] },
    { methods: ['GET'], path: '/orders/all', scopes: ['orders:admin'] },
    { methods: ['GET', 'PUT', 'POST', 'DELETE'], path: '/files/**', scopes: ['orders:read'] },
  ],
  operation_enforcement: 'Declared',
  forward_mandate: false,
  single_use: false,
  proof_of_possession: 'Optional',
};

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  body: string;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, received: Received) => void;

export interface Upstream {
  readonly port: number;
  readonly received: Received[];
  /** What answers; undefined: 200 with a small body once the request has ended. */
  handler: Handler | undefined;
  close(): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const one: Received = { method: request.method!, url: request.url!, rawHeaders: request.rawHeaders, body: '' };
    received.push(one);
    if (upstream.handler) return upstream.handler(request, response, one);
    request.setEncoding('utf8').on('data', (chunk: string) => (one.body += chunk));
    request.on('end', () => {
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"ok":true}');
    });
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream: Upstream = {
    port: (server.address() as AddressInfo).port,
    received,
    handler: undefined,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return upstream;
}

export interface MovableClock {
  now(): number;
  monotonic(): number;
  /** What time it really is. */
  truth(): number;
  /** Time passes. */
  advance(milliseconds: number): void;
  /** Someone sets the wall clock. */
  setWall(milliseconds: number): void;
}

export function createMovableClock(): MovableClock {
  let passed = 0;
  let wall = 0;
  return {
    now: () => Date.now() + passed + wall,
    truth: () => Date.now() + passed,
    monotonic: () => performance.now() + passed,
    advance: (milliseconds) => void (passed += milliseconds),
    setWall: (milliseconds) => void (wall += milliseconds),
  };
}

export interface World {
  readonly sts: FakeSTS;
  readonly upstream: Upstream;
  readonly gateway: Gateway;
  readonly addresses: GatewayAddresses;
  readonly clock: MovableClock;
  /** Of the first protected Resource, or of the edge. */
  readonly port: number;
  readonly log: readonly string[];
  /** A request with a good mandate unless `token` says otherwise; null sends none. */
  send(line: string, options?: SendOptions): Promise<RawAnswer>;
  stop(): Promise<void>;
}

export interface SendOptions {
  readonly token?: string | null;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

export interface WorldOptions {
  readonly resources?: readonly FeedResource[];
  readonly config?: (sts: FakeSTS, upstream: Upstream) => Partial<GatewayConfig>;
  readonly resourcesOf?: (upstream: Upstream) => readonly FeedResource[];
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const clock = createMovableClock();
  const upstream = await startUpstream();
  const resources = options.resourcesOf?.(upstream) ?? options.resources ?? [ORDERS];
  const sts = await startFakeSTS(resources, () => clock.truth());
  const log: string[] = [];
  const zone = {
    issuer: sts.url,
    url: sts.url,
    zoneID: ZONE,
    token: () => Promise.resolve('gateway.projected.token\n'),
  };
  const listen = { host: '127.0.0.1', port: 0 };
  const gateway = createGateway(
    {
      zones: [zone],
      protect: [{ zoneID: ZONE, resource: 'team/orders', listen, target: `127.0.0.1:${upstream.port}` }],
      admin: listen,
      allowUpstreamRanges: [],
      drainMs: 5_000,
      ...options.config?.(sts, upstream),
    },
    {
      clock,
      randomBytes: (size) => randomBytes(size),
      log: createGatewayLog(
        'debug',
        () => clock.now(),
        (line) => void log.push(line),
      ),
    },
  );
  const addresses = await gateway.start();
  const port = addresses.protect[0] ?? addresses.edge!;
  await until(() => gateway.ready().ready);
  return {
    ...{ sts, upstream, gateway, addresses, clock, port, log },
    send: (line, sending = {}) => sendRaw(port, toBytes(line, sending, sts), line.slice(0, line.indexOf(' '))),
    async stop() {
      await gateway.close();
      await Promise.all([sts.close(), upstream.close()]);
    },
  };
}

export function toBytes(line: string, { token, headers = [], body = '' }: SendOptions, sts: FakeSTS): Buffer {
  const bearer = token === null ? [] : [`Authorization: Bearer ${token ?? sts.mint()}`];
  return toRequest([`${line} HTTP/1.1`, 'Host: orders.test', ...bearer, ...headers], body);
}

/** Polls until it holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what = 'the condition',
  withinMs = 8_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not hold within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function valuesOf(received: Received | undefined, name: string): readonly string[] {
  const raw = received?.rawHeaders ?? [];
  return raw.filter((_value, index) => index % 2 === 1 && raw[index - 1]!.toLowerCase() === name);
}
