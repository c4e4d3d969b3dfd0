/** One zone as a gateway knows it: configuration, keys, freshness, and which mandates are still in force. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { MandateClaims } from '../authority/claims.ts';
import type { FeedConfig, FeedKeys, FeedResource } from '../authority/feed.ts';
import { createVerifiedCache, type VerifiedCache } from '../tokens/verifiedCache.ts';
import { createMandateVerifier, type MandateVerifier, type MandateVerifierConfig } from '../tokens/verify.ts';
import { createEpochs } from './epochs.ts';
import { createFeedLink, type FeedListener } from './feed/link.ts';
import { createFreshness } from './freshness.ts';
import type { GatewayLog } from './log.ts';
import type { GatewayMetrics } from './metrics.ts';
import { createOperationIndex, type OperationIndex } from './operations.ts';
import { createRevalidation } from './revalidation.ts';
import { createSTSClient, type STSEndpoint } from './stsClient.ts';

/** A Resource with what is needed to judge a request for it. */
export interface ServedResource {
  readonly resource: FeedResource;
  readonly operations: OperationIndex;
  readonly scopes: ReadonlySet<string>;
  readonly verifier: MandateVerifier;
  readonly verified: VerifiedCache;
}

/** `in_force`, or why not; `unknown`: nobody could tell in time. */
export type Standing = 'in_force' | 'ended' | 'unknown';

export interface GatewayZone {
  readonly zoneID: string;
  start(): void;
  /** By `<namespace>/<name>`. */
  resourceByName(name: string): ServedResource | undefined;
  /** One with an upstream, by identifier. */
  upstreamResource(identifier: string): ServedResource | undefined;
  /** Known, and proved to be fresh. */
  isFresh(): boolean;
  isFrozen(): boolean;
  /** Whether the verified mandate is still in force; a value in the common case, a promise of at most a second else. */
  standing(claims: MandateClaims, token: string): Standing | Promise<Standing>;
  close(): void;
}

export interface GatewayZoneConfig extends STSEndpoint {
  /** The `iss` of its mandates, byte for byte. */
  readonly issuer: string;
}

export interface GatewayZonePorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
}

const MAX_VERIFIED = 10_000;
const MAX_ANSWERS = 50_000;

export function createGatewayZone(config: GatewayZoneConfig, ports: GatewayZonePorts): GatewayZone {
  const { clock, metrics, log } = ports;
  const sts = createSTSClient(config);
  const freshness = createFreshness(clock, () => Buffer.from(ports.randomBytes(16)).toString('base64url'));
  const state = createZoneState(config);
  const revalidation = createRevalidation({ sts, clock, epoch: () => state.epochs.current() });
  const link = createFeedLink(state.listener, {
    sts,
    freshness,
    clock,
    log,
    zoneID: config.zoneID,
    random: () => ports.randomBytes(1)[0]! / 255,
    onConnected: () => metrics.count('caracal_gateway_feed_connections_total', config.zoneID),
  });
  state.listener.heartbeat = (heartbeat) => state.epochs.restart(heartbeat.epoch);
  metrics.gauge('caracal_gateway_feed_age_seconds', () => freshness.age() / 1000, config.zoneID);

  const askSTS = async (claims: MandateClaims, token: string): Promise<Standing> => {
    const answer = await revalidation.ask(claims.jti, token);
    metrics.count('caracal_gateway_revalidations_total', answer === undefined ? 'unanswered' : String(answer.valid));
    if (!answer) return 'unknown';
    state.remember(claims.jti, answer.valid ? answer.epoch : 'ended');
    return answer.valid ? (state.standing(claims) ?? 'unknown') : 'ended';
  };

  return {
    zoneID: config.zoneID,
    start: () => link.start(),
    resourceByName: (name) => state.byName.get(name),
    upstreamResource: (identifier) => state.upstreams.get(identifier),
    isFresh: () => state.config !== undefined && freshness.isFresh(state.config.stale_after_ms),
    isFrozen: () => state.config?.frozen === true,
    standing(claims, token) {
      const known = state.standing(claims);
      if (known !== undefined) return known;
      return state.isAhead(claims)
        ? waitForFeed(() => !state.isAhead(claims)).then((arrived) =>
            arrived ? (state.standing(claims) ?? askSTS(claims, token)) : 'unknown',
          )
        : askSTS(claims, token);
    },
    close() {
      link.close();
      sts.close();
    },
  };
}

const FEED_WAIT_MS = 1000;
const FEED_POLL_MS = 10;

/** The feed and a mandate minted a moment ago race each other: the feed is given a second. */
function waitForFeed(hasArrived: () => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    let left = FEED_WAIT_MS / FEED_POLL_MS;
    const timer = setInterval(() => {
      left -= 1;
      if (!hasArrived() && left > 0) return;
      clearInterval(timer);
      resolve(hasArrived());
    }, FEED_POLL_MS);
  });
}

interface ZoneState {
  readonly listener: FeedListener;
  readonly epochs: ReturnType<typeof createEpochs>;
  config: FeedConfig | undefined;
  byName: ReadonlyMap<string, ServedResource>;
  upstreams: ReadonlyMap<string, ServedResource>;
  /** Undefined: the STS must be asked, or the feed waited for. */
  standing(claims: MandateClaims): Standing | undefined;
  isAhead(claims: MandateClaims): boolean;
  remember(jti: string, answer: number | 'ended'): void;
}

function createZoneState(zone: GatewayZoneConfig): ZoneState {
  const epochs = createEpochs();
  /** By jti: the epoch under which the STS last said yes, or that it said no, which is for good. */
  const answers = new Map<string, number | 'ended'>();
  let keys: FeedKeys['keys'] = [];
  let incarnation: string | undefined;
  const epochOf = (claims: MandateClaims): number | 'ended' => {
    const answer = answers.get(claims.jti);
    return answer === 'ended' ? answer : Math.max(claims.epoch, answer ?? 0);
  };
  const remember = (jti: string, answer: number | 'ended'): void => {
    answers.delete(jti);
    answers.set(jti, answer);
    if (answers.size > MAX_ANSWERS) answers.delete(answers.keys().next().value!);
  };
  const state: ZoneState = {
    epochs,
    config: undefined,
    byName: new Map(),
    upstreams: new Map(),
    remember,
    isAhead: (claims) => {
      const epoch = epochOf(claims);
      return epoch !== 'ended' && epochs.judge(claims, epoch) === 'ahead';
    },
    standing(claims) {
      const epoch = epochOf(claims);
      if (epoch === 'ended') return 'ended';
      if (epoch === epochs.current()) return 'in_force';
      if (epochs.judge(claims, epoch) !== 'good') return undefined;
      remember(claims.jti, epochs.current());
      return 'in_force';
    },
    listener: {
      hello(hello) {
        // Another life of the store ends what the last one said.
        if (incarnation !== undefined && incarnation !== hello.incarnation)
          for (const [jti, answer] of answers) if (answer !== 'ended') answers.delete(jti);
        incarnation = hello.incarnation;
      },
      keys: (event) => void (keys = event.keys),
      config(config, isFirst) {
        state.config = config;
        if (isFirst) epochs.restart(config.epoch);
        serve(config);
      },
      epoch: (event) => epochs.add(event),
      heartbeat: () => undefined,
      digest: () => state.config?.digest,
    },
  };
  const serve = (config: FeedConfig): void => {
    const served = config.resources.map((resource) =>
      toServed(resource, {
        issuer: zone.issuer,
        zoneID: zone.zoneID,
        audience: resource.identifier,
        use: 'resource',
        keys: () => keys,
      }),
    );
    state.byName = new Map(served.map((one) => [`${one.resource.namespace}/${one.resource.name}`, one]));
    state.upstreams = new Map(
      served.filter(({ resource }) => resource.upstream !== undefined).map((one) => [one.resource.identifier, one]),
    );
  };
  return state;
}

function toServed(resource: FeedResource, rules: MandateVerifierConfig): ServedResource {
  return {
    resource,
    operations: createOperationIndex(resource.operations),
    scopes: new Set(resource.scopes),
    verifier: createMandateVerifier(rules),
    verified: createVerifiedCache({ maxEntries: MAX_VERIFIED, verifier: rules }),
  };
}
