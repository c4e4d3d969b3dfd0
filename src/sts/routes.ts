/** The STS' endpoints, each a few lines: read the request, ask, answer. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { ReplicaReport } from '../controller/ports.ts';
import { toSource } from '../http/source.ts';
import {
  authenticateGateway,
  authenticatePart,
  zoneOfAudience,
  type BearerPorts,
  type Gateway,
  type ServiceAccountName,
} from './authenticate/bearer.ts';
import type { Configuration, ServedZone } from './configuration.ts';
import { consume, parseConsumeRequest, type ConsumePorts } from './consume.ts';
import { OAuthError, toLimited, toUnavailable } from './errors.ts';
import { exchange, FAILURES_PER_MINUTE } from './exchange.ts';
import type { ExchangePorts } from './exchangePorts.ts';
import type { FeedHub } from './feed/hub.ts';
import { openFeed } from './feed/response.ts';
import { toJWKSet } from './keys.ts';
import { toMetadata } from './metadata.ts';
import type { STSMetrics } from './metrics.ts';
import { authenticateCaller } from './agents/caller.ts';
import { addDelegationRoutes } from './agents/delegations.ts';
import { createCallers } from './agents/request.ts';
import { addSessionRoutes } from './agents/sessions.ts';
import { addOperateRoutes } from './operate/routes.ts';
import type { RuntimePorts } from '../runtimeapi/ports.ts';
import type { Runtimes } from './runtime/runtimes.ts';
import type { Challenges } from './stepUp/challenges.ts';
import { addStepUpRoutes } from './stepUp/routes.ts';
import { AUDIT_LIMIT, parseAuditBatch, recordBatch, type GatewayRecordsPorts } from './gatewayRecords.ts';
import { parseRevalidateRequest, revalidate } from './revalidate.ts';
import { parseJSONBody, parseZoneQuery, refuseOtherMethods, refuseQuery, TOKEN_PATH } from './server.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly reason?: string;
}

export interface RoutePorts {
  readonly issuer: string;
  readonly controller: ServiceAccountName | undefined;
  readonly front: ServiceAccountName | undefined;
  readonly localTokenDigest: string | undefined;
  readonly runtimeAPI: RuntimePorts;
  readonly configuration: Configuration;
  readonly exchange: ExchangePorts;
  /** What revalidating needs, and spending too. */
  readonly mandates: ConsumePorts;
  readonly records: GatewayRecordsPorts;
  readonly bearer: BearerPorts;
  readonly runtimes: Runtimes;
  readonly challenges: Challenges;
  readonly hub: FeedHub;
  readonly metrics: STSMetrics;
  report(): ReplicaReport;
  readiness(): Readiness;
}

export function addRoutes(server: FastifyInstance, ports: RoutePorts): void {
  addToken(server, ports);
  addPublic(server, ports);
  addFeed(server, ports);
  addAgents(server, ports);
  addProgrammed(server, ports);
  addRuntimeAPI(server, ports);
  addOperations(server, ports);
}

function addToken(server: FastifyInstance, ports: RoutePorts): void {
  refuseOtherMethods(server, TOKEN_PATH, ['POST']);
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    refuseQuery(request);
    refuseOtherMedia(request);
  };
  server.post(TOKEN_PATH, { onRequest }, async (request, reply) => {
    const started = ports.exchange.clock.monotonic();
    const seconds = () => (ports.exchange.clock.monotonic() - started) / 1000;
    try {
      const call = {
        body: request.body as Buffer,
        authorization: request.headers.authorization,
        dpop: dpopOf(request),
        requestID: request.id,
        source: toSource(request.ip),
      };
      const answer = await exchange(call, ports.exchange);
      ports.metrics.exchanged('issued', seconds());
      return await reply.header('Pragma', 'no-cache').send(answer);
    } catch (error) {
      ports.metrics.exchanged(error instanceof OAuthError ? error.code : 'failed', seconds());
      throw error;
    }
  });
}

function dpopOf({ headers: { dpop } }: FastifyRequest): string | undefined {
  return typeof dpop === 'string' ? dpop : undefined;
}

/** RFC 6749 knows no other media type; a charset other than UTF-8 would be a second reading. */
function refuseOtherMedia({ headers }: FastifyRequest): void {
  if (/^application\/x-www-form-urlencoded(\s*;\s*charset="?utf-8"?)?\s*$/i.test(headers['content-type'] ?? '')) return;
  throw new OAuthError('invalid_request', 'Content-Type must be application/x-www-form-urlencoded', { status: 415 });
}

function addPublic(server: FastifyInstance, { configuration, issuer }: RoutePorts): void {
  server.get('/.well-known/jwks.json', async (request, reply) => {
    const zone = findZone(parseZoneQuery(request), configuration);
    if (zone.snapshot.keys.length === 0) throw toUnavailable('the zone has no keys yet');
    return reply.header('Cache-Control', 'public, max-age=300').send(toJWKSet(zone.snapshot));
  });
  const metadata = toMetadata(issuer);
  server.get('/.well-known/oauth-authorization-server', async (_request, reply) =>
    reply.header('Cache-Control', 'public, max-age=300').send(metadata),
  );
}

function findZone(zoneID: string, configuration: Pick<Configuration, 'zone'>): ServedZone {
  const zone = configuration.zone(zoneID);
  if (!zone) throw new OAuthError('zone_not_found', 'no accepted Zone has this id');
  return zone;
}

/** 256 mandates of 8 KiB each, in JSON. */
const REVALIDATE_LIMIT = 4 * 1024 * 1024;

const ack = z.strictObject({
  /** The stream it belongs to; without it, every stream of this gateway. */
  stream_id: z.string().max(64).optional(),
  cursor: z.string().max(200),
  digest: z.string().max(64),
  nonce: z.string().max(128),
});

function addFeed(server: FastifyInstance, ports: RoutePorts): void {
  const admitted = new WeakMap<FastifyRequest, AdmittedGateway>();
  // Before the body is read: who is not known sends no more than a head.
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    admitted.set(request, await admitGateway(request, zoneOf(request), ports));
  };
  server.get('/v1/feed', async (request, reply) => {
    const { gateway, zone } = await admitGateway(request, parseZoneQuery(request), ports);
    openFeed(reply, (sink) => ports.hub.open(gateway, zone, lastEventID(request), sink), ports.hub);
    return reply;
  });
  server.post('/v1/feed/ack', { onRequest }, async (request, reply) => {
    const { gateway, zoneID } = admitted.get(request)!;
    const parsed = ack.safeParse(parseJSONBody(request));
    if (!parsed.success) throw new OAuthError('invalid_request', 'the body is {stream_id?, cursor, digest, nonce}');
    ports.hub.acknowledge(gateway, zoneID, parsed.data);
    return reply.code(204).send();
  });
  server.post('/v1/mandates/revalidate', { onRequest, bodyLimit: REVALIDATE_LIMIT }, async (request) => {
    const { gateway, zoneID } = admitted.get(request)!;
    const answer = await revalidate(parseRevalidateRequest(parseJSONBody(request)), zoneID, gateway, ports.mandates);
    for (const { valid } of answer.results) ports.metrics.revalidated(valid);
    return answer;
  });
  server.post('/v1/mandates/consume', { onRequest }, async (request) => {
    const call = { ...admitted.get(request)!, requestID: request.id };
    const answer = await consume(parseConsumeRequest(parseJSONBody(request)), call, ports.mandates);
    ports.metrics.consumed(answer.consumed);
    return answer;
  });
  server.post('/v1/audit', { onRequest, bodyLimit: AUDIT_LIMIT }, async (request, reply) => {
    const { gateway, zone } = admitted.get(request)!;
    await recordBatch(parseAuditBatch(parseJSONBody(request)), gateway, zone, request.id, ports.records);
    return reply.code(204).send();
  });
}

/** What follows a stream may name its zone, or leave it to the token's audience, which is checked either way. */
function zoneOf(request: FastifyRequest): string {
  return request.raw.url!.includes('?') ? parseZoneQuery(request) : zoneOfAudience(request.headers.authorization);
}

interface AdmittedGateway {
  readonly gateway: Gateway;
  readonly zone: ServedZone;
  readonly zoneID: string;
}

async function admitGateway(request: FastifyRequest, zoneID: string, ports: RoutePorts): Promise<AdmittedGateway> {
  const gateway = await withinBudget(request, ports, (now) =>
    authenticateGateway(request.headers.authorization, zoneID, now, ports.bearer),
  );
  return { gateway, zone: findZone(zoneID, ports.configuration), zoneID };
}

/** A bearer costs a signature check: whoever sends wrong ones has as many as wrong clients have. */
async function withinBudget<T>(
  request: FastifyRequest,
  { exchange: { failures, clock } }: RoutePorts,
  check: (now: number) => T | Promise<T>,
): Promise<T> {
  const source = toSource(request.ip);
  const wait = failures.peek(source, FAILURES_PER_MINUTE);
  if (wait !== undefined) throw toLimited(wait, 'too many failed authentications from this address');
  try {
    return await check(clock.now());
  } catch (error) {
    if (error instanceof OAuthError && error.status === 401) failures.take(source, FAILURES_PER_MINUTE);
    throw error;
  }
}

function lastEventID(request: FastifyRequest): string | undefined {
  const sent = request.headers['last-event-id'];
  return typeof sent === 'string' ? sent : undefined;
}

function addAgents(server: FastifyInstance, ports: RoutePorts): void {
  const { exchange, mandates: judging, runtimes, issuer, configuration } = ports;
  const { clock, randomBytes, authentication } = exchange;
  const callerPorts = { ...judging, issuer, configuration };
  const callers = createCallers(server, async (request, zoneID) => {
    const { authorization } = request.headers;
    const caller = await withinBudget(request, ports, (now) =>
      authenticateCaller(authorization, zoneID, now, callerPorts),
    );
    await knowWhatIsNamed(request, caller.zone, runtimes);
    return caller;
  });
  const change = { runtimes, clock, randomBytes };
  addSessionRoutes({ ...change, callers, authentication });
  addDelegationRoutes({ ...change, callers });
  const { authorityRecord } = authentication;
  addStepUpRoutes(server, { ...judging, authorityRecord, challenges: ports.challenges, now: () => clock.now() });
}

/** A read of what another replica has just written; what writes looks for itself. */
async function knowWhatIsNamed(
  { method, params }: FastifyRequest,
  { snapshot, runtime }: ServedZone,
  runtimes: Runtimes,
): Promise<void> {
  const { zone: _, ...ids } = params as Readonly<Record<string, string>>;
  if (method !== 'GET') return;
  const isKnown = Object.values(ids).every((id) => runtime.session(id) ?? runtime.edge(id));
  if (!isKnown) await runtimes.refresh(snapshot.uid);
}

function addProgrammed(server: FastifyInstance, ports: RoutePorts): void {
  server.get('/v1/programmed', async (request) => {
    await withinBudget(request, ports, (now) =>
      authenticatePart(request.headers.authorization, ports.controller, now, ports.bearer),
    );
    return ports.report();
  });
}

function addRuntimeAPI(server: FastifyInstance, ports: RoutePorts): void {
  const { runtimeAPI, localTokenDigest } = ports;
  addOperateRoutes(server, {
    runtimeAPI,
    localTokenDigest,
    authenticateFront: (request) =>
      withinBudget(request, ports, (now) =>
        authenticatePart(request.headers.authorization, ports.front, now, ports.bearer),
      ),
  });
}

function addOperations(server: FastifyInstance, ports: RoutePorts): void {
  server.get('/health', async () => ({ ok: true }));
  server.get('/ready', async (_request, reply) => {
    const { ready, reason } = ports.readiness();
    return reply.code(ready ? 200 : 503).send({ ok: ready, ready, ...(reason !== undefined && { reason }) });
  });
  server.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await ports.metrics.text()),
  );
}
