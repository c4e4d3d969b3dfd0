/** One zone as a gateway sees it: what its feed says, whether that is fresh, and which mandates are still in force. */
import { join } from 'node:path';
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { MandateClaims } from '../authority/claims.ts';
import { createRecorder, type Recorder } from './audit/recorder.ts';
import { createMemorySegments } from './audit/segments.ts';
import { openFileSegments } from './audit/fileSegments.ts';
import { createConsumption, type Consumed } from './consumption.ts';
import { createFeedLink } from './feed/link.ts';
import { createFreshness } from './freshness.ts';
import type { GatewayLog } from './log.ts';
import type { GatewayMetrics } from './metrics.ts';
import { createRevalidation } from './revalidation.ts';
import { createSTSClient, type STSEndpoint } from './stsClient.ts';
import { createZoneState, type ServedResource, type Standing, type ZoneIdentity } from './zoneState.ts';

export interface GatewayZone {
  readonly zoneID: string;
  readonly issuer: string;
  /** What was decided here, on its way to the zone's log. */
  readonly records: Recorder;
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
  /** Spends a mandate of single use, at the STS. */
  consume(claims: MandateClaims, token: string): Promise<Consumed>;
  close(): void;
}

export type GatewayZoneConfig = STSEndpoint & ZoneIdentity;

/** What waits for delivery at most, of each zone: in a folder, or in memory without one. */
const SPOOL_BYTES = 64 * 1024 * 1024;
const MEMORY_BYTES = 4 * 1024 * 1024;

export interface GatewayZonePorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
  /** The folder of all zones' spools. */
  readonly spool: string | undefined;
}

const WAIT_MS = 1000;
const POLL_MS = 10;

export function createGatewayZone(config: GatewayZoneConfig, ports: GatewayZonePorts): GatewayZone {
  const { clock, metrics, log } = ports;
  const { zoneID, issuer } = config;
  const sts = createSTSClient(config);
  const freshness = createFreshness(clock, () => Buffer.from(ports.randomBytes(16)).toString('base64url'));
  const state = createZoneState(config);
  const revalidation = createRevalidation({ sts, clock, epoch: () => state.epochs.current() });
  const consumption = createConsumption({ sts, clock, epoch: () => state.epochs.current() });
  const link = createFeedLink(state.listener, {
    sts,
    freshness,
    clock,
    log,
    zoneID,
    random: () => ports.randomBytes(1)[0]! / 255,
    onConnected: () => metrics.count('caracal_gateway_feed_connections_total', zoneID),
  });
  const records = createRecorder({
    ...{ clock, log, zoneID, maxBytes: ports.spool === undefined ? MEMORY_BYTES : SPOOL_BYTES },
    openSegments: async () =>
      ports.spool === undefined ? createMemorySegments(ports) : openFileSegments(join(ports.spool, zoneID), ports),
    send: (batch) => sts.record(batch),
    onDelivered: (count) => metrics.count('caracal_gateway_records_delivered_total', zoneID, count),
  });
  metrics.gauge('caracal_gateway_records_waiting_bytes', () => records.bytes(), zoneID);
  metrics.gauge('caracal_gateway_feed_age_seconds', () => freshness.age() / 1000, zoneID);

  const askSTS = async (claims: MandateClaims, token: string): Promise<Standing> => {
    const answer = await revalidation.ask(claims.jti, token);
    metrics.count('caracal_gateway_revalidations_total', answer === undefined ? 'unanswered' : String(answer.valid));
    if (!answer) return 'unknown';
    state.remember(claims.jti, answer.valid ? answer.epoch : 'ended');
    return answer.valid ? 'in_force' : 'ended';
  };
  /** The feed, the answer and further changes race each other: all together get one second. */
  const settle = async (claims: MandateClaims, token: string): Promise<Standing> => {
    const deadline = clock.monotonic() + WAIT_MS;
    while (clock.monotonic() < deadline) {
      const known = state.standing(claims);
      if (known !== undefined) return known;
      if (state.isAhead(claims)) await pause(POLL_MS);
      else if ((await askSTS(claims, token)) === 'unknown') return 'unknown';
    }
    return state.standing(claims) ?? 'unknown';
  };

  return {
    zoneID,
    issuer,
    records,
    start: () => link.start(),
    resourceByName: state.byName,
    upstreamResource: state.upstream,
    isFresh() {
      const known = state.config();
      return known !== undefined && freshness.isFresh(known.stale_after_ms);
    },
    isFrozen: () => state.config()?.frozen === true,
    standing: (claims, token) => state.standing(claims) ?? settle(claims, token),
    async consume({ jti }, token) {
      const consumed = await consumption.consume(jti, token);
      metrics.count('caracal_gateway_consumptions_total', consumed);
      if (consumed === 'ended') state.remember(jti, 'ended');
      return consumed;
    },
    close() {
      link.close();
      sts.close();
    },
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
