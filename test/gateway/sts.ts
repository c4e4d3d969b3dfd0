/** A small STS for gateways: real keys, the feed, acknowledgements and revalidation, with a hand on each. */
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { uuidv7 } from '../../src/authority/clock.ts';
import { MANDATE_TYP, type MandateClaims } from '../../src/authority/claims.ts';
import type { AuditBatch } from '../../src/authority/gatewayRecords.ts';
import type {
  AuthorityChange,
  ConsumeRequest,
  FeedAck,
  FeedConfig,
  FeedResource,
  RevalidateRequest,
} from '../../src/authority/feed.ts';

export const ZONE = 'team.main';

export interface SigningPair {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly x: string;
  readonly y: string;
}

export function newPair(kid: string): SigningPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  return { kid, privateKey, x, y };
}

export function encode(part: string | Uint8Array): string {
  return Buffer.from(part).toString('base64url');
}

export function signParts(header: object, payload: object, { privateKey }: SigningPair): string {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(payload))}`;
  return `${input}.${encode(sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }))}`;
}

function claimsOf(mandate: string): MandateClaims {
  return JSON.parse(Buffer.from(mandate.split('.')[1]!, 'base64url').toString()) as MandateClaims;
}

type Judge = (claims: MandateClaims) => { readonly valid: boolean; readonly reason?: string };

export interface FakeSTS {
  readonly url: string;
  readonly key: SigningPair;
  /** Mutable on purpose: what the next event or answer says. */
  readonly state: {
    epoch: number;
    incarnation: string;
    zoneUID: string;
    frozen: boolean;
    staleAfterMs: number;
    resources: readonly FeedResource[];
    keys: readonly SigningPair[];
    /** False: heartbeats come without the nonces that were acknowledged. */
    echoes: boolean;
    /** False: a new stream is refused. */
    accepts: boolean;
    judge: Judge;
    /** What deliveries of records are answered with; 0: they are taken, and the answer is lost. */
    auditStatus: number;
    /** Undefined: the answer; a number: that status. */
    revalidationStatus: number | undefined;
    /** Likewise for consuming; `lost`: it is spent, and the answer never comes. */
    consumptionStatus: number | 'lost' | undefined;
  };
  readonly acks: FeedAck[];
  readonly asked: RevalidateRequest[];
  readonly consumed: ConsumeRequest[];
  /** Every delivery that was taken. */
  readonly batches: AuditBatch[];
  readonly authorizations: Set<string>;
  readonly lastEventIDs: (string | undefined)[];
  mint(change?: Readonly<Record<string, unknown>>): string;
  claims(change?: Readonly<Record<string, unknown>>): MandateClaims;
  /** Raises the epoch and says why. */
  change(change: Partial<AuthorityChange>): void;
  publish(): void;
  publishKeys(): void;
  heartbeat(): void;
  /** Any event, as it is. */
  say(event: string, data: unknown): void;
  streams(): number;
  dropStreams(): void;
  close(): Promise<void>;
}

export async function startFakeSTS(
  resources: readonly FeedResource[],
  now: () => number,
  zoneID = ZONE,
): Promise<FakeSTS> {
  const key = newPair('k1');
  const streams = new Map<string, { readonly response: ServerResponse; nonce: string | null }>();
  const acks: FeedAck[] = [];
  const asked: RevalidateRequest[] = [];
  const consumed: ConsumeRequest[] = [];
  const spent = new Set<string>();
  const batches: AuditBatch[] = [];
  const authorizations = new Set<string>();
  const lastEventIDs: (string | undefined)[] = [];
  const state: FakeSTS['state'] = {
    ...{
      epoch: 1_000,
      incarnation: 'first',
      zoneUID: 'uid-1',
      frozen: false,
      staleAfterMs: 10_000,
      resources,
      keys: [key],
    },
    ...{
      echoes: true,
      accepts: true,
      judge: () => ({ valid: true }),
      revalidationStatus: undefined,
      consumptionStatus: undefined,
    },
    auditStatus: 204,
  };
  let url = '';
  let streamCount = 0;

  const config = (): FeedConfig => {
    const { frozen, staleAfterMs, epoch, zoneUID } = state;
    const members = {
      ...{ zone_id: zoneID, zone_uid: zoneUID, issuer: url, stale_after_ms: staleAfterMs, frozen },
      resources: state.resources,
    };
    return { ...members, digest: createHash('sha256').update(JSON.stringify(members)).digest('hex'), epoch };
  };
  const cursor = (): string => `${state.incarnation}.${state.epoch}.${config().digest}`;
  const send = (response: ServerResponse, event: string, data: object, id?: string): void => {
    response.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const toAll = (event: string, data: object, id?: string): void => {
    for (const { response } of streams.values()) send(response, event, data, id);
  };
  const keysEvent = () => ({ keys: state.keys.map(({ kid, x, y }) => ({ kid, x, y })) });
  const heartbeat = (): void => {
    for (const { response, nonce } of streams.values()) {
      send(response, 'heartbeat', { nonce: state.echoes ? nonce : null, epoch: state.epoch });
    }
  };

  const openStream = (request: IncomingMessage, response: ServerResponse): void => {
    lastEventIDs.push(request.headers['last-event-id'] as string | undefined);
    if (!state.accepts) return void response.writeHead(503).end();
    streamCount += 1;
    const id = `stream-${streamCount}`;
    streams.set(id, { response, nonce: null });
    response.on('close', () => streams.delete(id));
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    send(response, 'hello', { stream_id: id, incarnation: state.incarnation });
    send(response, 'keys', keysEvent());
    send(response, 'config', config(), cursor());
    send(response, 'heartbeat', { nonce: null, epoch: state.epoch });
  };
  const acknowledge = (body: string, response: ServerResponse): void => {
    const ack = JSON.parse(body) as FeedAck;
    acks.push(ack);
    const stream = streams.get(ack.stream_id ?? '');
    response.writeHead(stream ? 204 : 404).end();
    if (!stream) return;
    stream.nonce = ack.nonce;
    send(stream.response, 'heartbeat', { nonce: state.echoes ? ack.nonce : null, epoch: state.epoch });
  };
  const revalidate = (body: string, response: ServerResponse): void => {
    const question = JSON.parse(body) as RevalidateRequest;
    asked.push(question);
    if (state.revalidationStatus !== undefined) return void response.writeHead(state.revalidationStatus).end('{}');
    const results = question.mandates.map((mandate) => state.judge(claimsOf(mandate)));
    response
      .writeHead(200, { 'Content-Type': 'application/json' })
      .end(JSON.stringify({ epoch: state.epoch, results }));
  };

  const consume = (body: string, response: ServerResponse): void => {
    const question = JSON.parse(body) as ConsumeRequest;
    consumed.push(question);
    if (typeof state.consumptionStatus === 'number') return void response.writeHead(state.consumptionStatus).end('{}');
    const { jti } = claimsOf(question.mandate);
    const { valid, reason = 'denied' } = state.judge(claimsOf(question.mandate));
    const isFirst = valid && !spent.has(jti);
    if (isFirst) spent.add(jti);
    if (state.consumptionStatus === 'lost') return;
    const answer = { consumed: isFirst, ...(!isFirst && { reason: valid ? 'used' : reason }), epoch: state.epoch };
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  };

  const record = (body: string, response: ServerResponse): void => {
    if (state.auditStatus !== 503) batches.push(JSON.parse(body) as AuditBatch);
    if (state.auditStatus === 0) response.destroy();
    else response.writeHead(state.auditStatus).end();
  };
  const server = createServer((request, response) => {
    response.setHeader('Date', new Date(now()).toUTCString());
    authorizations.add(request.headers.authorization ?? '');
    const path = `${request.method} ${request.url!}`;
    const query = `?zone_id=${zoneID}`;
    if (path === `GET /v1/feed${query}`) return openStream(request, response);
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      if (path === `POST /v1/feed/ack${query}`) acknowledge(body, response);
      else if (path === `POST /v1/mandates/revalidate${query}`) revalidate(body, response);
      else if (path === `POST /v1/mandates/consume${query}`) consume(body, response);
      else if (path === `POST /v1/audit${query}`) record(body, response);
      else response.writeHead(404).end();
    });
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const claims: FakeSTS['claims'] = (change = {}) => {
    const iat = Math.floor(now() / 1000);
    const base: MandateClaims = {
      ...{ iss: url, aud: [resources[0]!.identifier], exp: iat + 300, iat, jti: uuidv7(now(), randomBytes) },
      ...{ sub: 'team.agent', sub_type: 'application', zone_id: zoneID, client_id: 'team.agent', use: 'resource' },
      ...{ sid: 'sid-1', root_sid: 'sid-1', scope: 'orders:read orders:write', pol: 'sha256:abc', epoch: state.epoch },
    };
    return { ...base, ...change };
  };

  return {
    url,
    key,
    state,
    acks,
    asked,
    consumed,
    batches,
    authorizations,
    lastEventIDs,
    claims,
    mint: (change) => signParts({ alg: 'ES256', kid: key.kid, typ: MANDATE_TYP.resource }, claims(change), key),
    change(change) {
      state.epoch += 1;
      toAll(
        'epoch',
        { epoch: state.epoch, change: { all: false, applications: [], resources: [], ...change } },
        cursor(),
      );
    },
    publish: () => toAll('config', config(), cursor()),
    publishKeys: () => toAll('keys', keysEvent()),
    heartbeat,
    say: (event, data) => toAll(event, data as object),
    streams: () => streams.size,
    dropStreams() {
      for (const { response } of streams.values()) response.destroy();
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
