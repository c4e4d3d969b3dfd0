/** The gateway: zones followed by the feed, listeners in front of apps and at the edge, started and stopped in order. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { createActiveRequests } from './active.ts';
import { createAdminHandler, type GatewayReadiness } from './admin.ts';
import { createFailureBudget } from './failureBudget.ts';
import type { GatewayLog } from './log.ts';
import { createGatewayMetrics } from './metrics.ts';
import { createListener, type Listener, type ListenerTLS } from './server.ts';
import { createRequestHandler, type ServePorts } from './serve.ts';
import { edgeTarget, protectTarget } from './targets.ts';
import { createAppUpstream, createEdgeUpstreams, type Closable } from './upstreams.ts';
import { createGatewayZone, type GatewayZone, type GatewayZoneConfig } from './zone.ts';

export interface Address {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface Protection {
  readonly zoneID: string;
  /** `<namespace>/<name>` of the Resource. */
  readonly resource: string;
  readonly listen: Address;
  /** `host:port` of the app. */
  readonly target: string;
}

export interface GatewayConfig {
  readonly zones: readonly GatewayZoneConfig[];
  readonly protect: readonly Protection[];
  readonly edge?: Address;
  readonly admin?: Address;
  readonly tls?: ListenerTLS;
  /** CIDR ranges, private ones too, that an edge may dial. */
  readonly allowUpstreamRanges: readonly string[];
  /** What requests under way get when the gateway stops. */
  readonly drainMs: number;
}

export interface GatewayPorts {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: GatewayLog;
}

/** Ports that are listened on, in the order of the configuration. */
export interface GatewayAddresses {
  readonly protect: readonly number[];
  readonly edge?: number;
  readonly admin?: number;
}

export interface Gateway {
  start(): Promise<GatewayAddresses>;
  ready(): GatewayReadiness;
  close(): Promise<void>;
}

export function createGateway(config: GatewayConfig, ports: GatewayPorts): Gateway {
  const { clock, log } = ports;
  const metrics = createGatewayMetrics();
  const zones = config.zones.map((zone) => createGatewayZone(zone, { ...ports, metrics }));
  const active = createActiveRequests(clock, () => metrics.count('caracal_gateway_streams_cut_total'));
  metrics.gauge('caracal_gateway_requests_active', () => active.size());
  const serving: ServePorts = {
    ...ports,
    metrics,
    active,
    failures: createFailureBudget(clock),
    now: () => clock.now(),
    proto: config.tls ? 'https' : 'http',
  };
  const upstreams: Closable[] = [];
  const listeners: Listener[] = [];
  const ready = () => toReadiness(config, zones);

  const open = async (listener: Listener, { host, port }: Address): Promise<number> => {
    listeners.push(listener);
    return listener.listen(host, port);
  };
  const openProtection = ({ zoneID, resource, listen, target }: Protection): Promise<number> => {
    const upstream = createAppUpstream(target);
    upstreams.push(upstream);
    const zone = zones.find((candidate) => candidate.zoneID === zoneID)!;
    return open(
      createListener(createRequestHandler(protectTarget(zone, resource, upstream), serving), config.tls),
      listen,
    );
  };
  const openEdge = (address: Address): Promise<number> => {
    const edges = createEdgeUpstreams(config.allowUpstreamRanges);
    upstreams.push(edges);
    return open(createListener(createRequestHandler(edgeTarget(zones, edges), serving), config.tls), address);
  };

  return {
    async start() {
      for (const zone of zones) zone.start();
      const protect = await Promise.all(config.protect.map(openProtection));
      const edge = config.edge && (await openEdge(config.edge));
      const admin =
        config.admin && (await open(createListener(createAdminHandler(metrics, ready), undefined), config.admin));
      log.info(
        { protect: config.protect.map(({ resource }, index) => `${resource}=${protect[index]}`), edge, admin },
        'gateway listens',
      );
      return { protect, ...(edge !== undefined && { edge }), ...(admin !== undefined && { admin }) };
    },
    ready,
    async close() {
      const stopped = Promise.all(listeners.map((listener) => listener.stop()));
      await active.drain(config.drainMs);
      active.close();
      for (const zone of zones) zone.close();
      await Promise.all(upstreams.map((upstream) => upstream.close()));
      await stopped;
    },
  };
}

function toReadiness({ protect }: GatewayConfig, zones: readonly GatewayZone[]): GatewayReadiness {
  const stale = zones.find((zone) => !zone.isFresh());
  if (stale) return { ready: false, reason: `zone ${stale.zoneID}: freshness is not proved` };
  const missing = protect.find(
    ({ zoneID, resource }) => !zones.find((zone) => zone.zoneID === zoneID)?.resourceByName(resource),
  );
  return missing
    ? { ready: false, reason: `Resource ${missing.resource} is not part of the configuration` }
    : { ready: true };
}
