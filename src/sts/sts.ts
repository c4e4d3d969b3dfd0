/** The Security Token Service: puts its parts together over the ports, and starts and stops them in order. */
import { pooled, uuidv7 } from '../authority/clock.ts';
import type { IssuedDecision } from '../authority/decision.ts';
import type { ReplicaReport } from '../controller/ports.ts';
import type { AuthorityRecord } from '../store/store.ts';
import { createDPoPVerifier } from '../tokens/dpop.ts';
import { createKeySets } from '../tokens/keysets.ts';
import { createLRU } from '../tokens/lru.ts';
import type { ServiceAccountName } from './authenticate/bearer.ts';
import type { SubjectPorts } from './authenticate/subject.ts';
import { createConfiguration, type Configuration } from './configuration.ts';
import { OAuthError } from './errors.ts';
import type { ExchangePorts } from './exchangePorts.ts';
import { createFeedHub } from './feed/hub.ts';
import { createSigningKeys } from './keys.ts';
import { createLimiter } from './limits.ts';
import { createMetrics, type STSMetrics } from './metrics.ts';
import { createActs } from './operate/acts.ts';
import { createLedger } from './operate/ledger.ts';
import { listAuthority } from './operate/authorities.ts';
import { reviewAuthority } from './operate/review.ts';
import type { STSPorts } from './ports.ts';
import { toReplicaReport } from './programmed.ts';
import { recordRefusal } from './refusals.ts';
import { addRoutes, type Readiness } from './routes.ts';
import { createSweep } from './runtime/sweep.ts';
import { createFollower, type Follower } from './runtime/follower.ts';
import { createRuntimes } from './runtime/runtimes.ts';
import { createServer, isLoopback } from './server.ts';
import { createChallenges, type Challenges } from './stepUp/challenges.ts';
import { readCertificate, watchCertificate, type TLSFiles } from '../http/certificate.ts';

export interface STSConfig {
  /** Public base URL, without a trailing slash: the `iss` of every mandate, byte for byte. */
  readonly issuer: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Required unless `listen.host` is a loopback address. */
  readonly tls?: TLSFiles;
  /** Who may ask `/v1/programmed`. */
  readonly controller?: ServiceAccountName;
  /** Who may ask for users of the runtime API, as it authenticated and authorized them. */
  readonly front?: ServiceAccountName;
  /** Hex SHA-256 of a bearer token that may do everything in the runtime API; only for a listener on loopback. */
  readonly localTokenDigest?: string;
  /** CIDR ranges, private ones too, that key sets may be fetched from. */
  readonly allowJWKSRanges: readonly string[];
}

export interface STS {
  /** Serves once the first configuration is compiled. `url` is where it listens. */
  start(): Promise<{ readonly url: string }>;
  report(): ReplicaReport;
  /** As operators see and decide them. */
  readonly challenges: Challenges;
  close(): Promise<void>;
}

const REMEMBERED_DECISIONS = 50_000;
const REMEMBERED_RECORDS = 50_000;

/** Throws where the configuration cannot be served safely. */
export function createSTS(config: STSConfig, ports: STSPorts): STS {
  checkConfig(config);
  const { clock, log, source, store } = ports;
  const randomBytes = pooled(ports.randomBytes);
  const runtimes = createRuntimes({ store, raised: (zoneUID, raised) => configuration.raised(zoneUID, raised) });
  const configuration: Configuration = createConfiguration({ ...ports, runtime: (zoneUID) => runtimes.open(zoneUID) });
  const sweep = createSweep({ configuration, runtimes, clock, randomBytes, log });
  const keySets = createKeySets({ clock, allowRanges: config.allowJWKSRanges });
  const follower = createFollower({ store, configuration, runtimes, clock, log });
  const hub = createFeedHub({
    issuer: config.issuer,
    incarnation: store.incarnation,
    clock,
    randomBytes,
    workloads: ports.workloads,
    isFresh: (zoneUID) => follower.isFresh(zoneUID),
  });
  configuration.onZone((event) => hub.zoneChanged(event));
  const metrics = createMetrics({
    streams: () => hub.streams().length,
    zones: () => configuration.zones().size,
    configurationAgeSeconds: () => source.lastEventAge() / 1000,
  });
  const replica = Buffer.from(randomBytes(9)).toString('base64url');
  const report = () => toReplicaReport(replica, configuration, hub.streams());
  const challenges = createChallenges({ configuration, runtimes, clock, randomBytes });
  const ledger = createLedger({ configuration, runtimes, clock });
  const { explain } = ports;
  const reviews = { configuration, source, policies: ports.policies, explain, clock };
  const acts = createActs({
    ...{ configuration, runtimes, challenges, clock, randomBytes },
    review: (namespace, spec) => reviewAuthority(namespace, spec, reviews),
    authorities: (namespace, spec) => listAuthority(namespace, spec, reviews),
  });
  const runtimeAPI = { objects: ledger, acts, now: () => clock.now() };
  const exchange = toExchangePorts(config, { ...ports, randomBytes, runtimes }, configuration, keySets);
  const tls = config.tls && readCertificate(config.tls);
  const server = createServer(tls, toServerPorts({ ...ports, randomBytes }, configuration, metrics));
  let served = false;
  addRoutes(server, {
    issuer: config.issuer,
    controller: config.controller,
    front: config.front,
    localTokenDigest: config.localTokenDigest,
    runtimeAPI,
    configuration,
    exchange,
    mandates: { ...exchange, store, now: () => clock.now() },
    records: { store, clock },
    bearer: { issuer: config.issuer, workloads: ports.workloads },
    runtimes,
    challenges,
    hub,
    metrics,
    report,
    readiness: () => toReadiness(served && configuration.isKnown(), follower),
  });
  let unwatch: () => void = () => undefined;

  return {
    async start() {
      await configuration.start();
      await follower.start();
      served = true;
      sweep.start();
      ledger.start();
      if (config.tls) unwatch = watchCertificate(config.tls, (pair) => setCertificate(server.server, pair), log);
      const url = await server.listen(config.listen);
      log.info({ url, issuer: config.issuer }, 'STS serves');
      return { url };
    },
    report,
    challenges,
    async close() {
      unwatch();
      sweep.close();
      ledger.close();
      hub.close();
      await server.close();
      follower.close();
      keySets.close();
      await configuration.close();
    },
  };
}

function checkConfig({ issuer, listen, tls, localTokenDigest }: STSConfig): void {
  if (localTokenDigest !== undefined && !isLoopback(listen.host))
    throw new Error(`a local administrator is served on loopback only, not on ${listen.host}`);
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isBase =
    url &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '';
  if (!isBase || issuer.endsWith('/'))
    throw new Error(`issuer ${issuer} must be an http(s) URL without trailing slash, query or user`);
  if (!tls && !isLoopback(listen.host))
    throw new Error(`plain HTTP is served on loopback only: give a certificate to listen on ${listen.host}`);
}

function toExchangePorts(
  config: STSConfig,
  ports: STSPorts & Pick<ExchangePorts, 'runtimes'>,
  configuration: Configuration,
  keySets: ReturnType<typeof createKeySets>,
): ExchangePorts {
  const { store, clock } = ports;
  const records = createLRU<AuthorityRecord>(REMEMBERED_RECORDS);
  const authentication: SubjectPorts = {
    issuer: config.issuer,
    workloads: ports.workloads,
    keySets,
    // The sid is derived from the zone's UID, so that one memory serves all zones.
    authorityRecord: async (zoneUID, sid) => {
      const known = records.get(sid);
      return known?.zoneUID === zoneUID ? known : store.authorityRecord(zoneUID, sid);
    },
  };
  return {
    issuer: config.issuer,
    configuration,
    authentication,
    policies: ports.policies,
    store,
    runtimes: ports.runtimes,
    signingKey: createSigningKeys(ports.signingKeys, () => clock.now()),
    dpop: createDPoPVerifier(ports),
    clock,
    randomBytes: ports.randomBytes,
    decisions: createLRU<IssuedDecision>(REMEMBERED_DECISIONS),
    records,
    mints: createLimiter(clock, { burstSeconds: 10, maxKeys: 10_000 }),
    failures: createLimiter(clock, { burstSeconds: 10, maxKeys: 10_000 }),
  };
}

function toServerPorts(ports: STSPorts, configuration: Configuration, metrics: STSMetrics) {
  const { clock, log, randomBytes, store } = ports;
  const budget = createLimiter(clock, { burstSeconds: 10, maxKeys: 1 });
  const refusal = { store, clock, randomBytes, log, budget, onUnrecorded: () => metrics.unrecorded() };
  return {
    newRequestID: () => uuidv7(clock.now(), randomBytes),
    refused(error: OAuthError, requestID: string, request: { readonly body: unknown }) {
      if (error.details.body?.['decision_id'] !== undefined) return;
      void recordRefusal(error, requestID, configuration.zone(zoneOf(request.body)), refusal);
    },
    failed(error: unknown, requestID: string) {
      log.error(
        { request_id: requestID, error: error instanceof Error ? (error.stack ?? error.message) : '' },
        'request failed',
      );
    },
  };
}

/** The zone that a refused form names, so that the refusal is kept with it. */
function zoneOf(body: unknown): string {
  if (!Buffer.isBuffer(body) || body.length > 64 * 1024) return '';
  return new URLSearchParams(body.toString('utf8')).get('zone_id') ?? '';
}

function toReadiness(served: boolean, follower: Follower): Readiness {
  if (!served) return { ready: false, reason: 'the first configuration is not served yet' };
  const problem = follower.problem();
  return problem === undefined ? { ready: true } : { ready: false, reason: problem };
}

function setCertificate(server: object, pair: { readonly cert: Buffer; readonly key: Buffer }): void {
  if ('setSecureContext' in server && typeof server.setSecureContext === 'function') server.setSecureContext(pair);
}
