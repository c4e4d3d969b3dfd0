/** The gateway: zones followed by the feed, listeners in front of apps and at the edge, started and stopped in order. */
import { pooled, uuidv7, type Clock, type RandomBytes } from '../authority/clock.ts';
import { createDPoPVerifier } from '../tokens/dpop.ts';
import { createActiveRequests } from './active.ts';
import { createAdminHandler, type GatewayReadiness } from './admin.ts';
import { createFailureBudget } from './failureBudget.ts';
import type { GatewayLog } from './log.ts';
import { createGatewayMetrics } from './metrics.ts';
import { createListener, type Listener, type ListenerTLS } from './server.ts';
import { createRequestHandler, type FindTarget, type ServePorts } from './serve.ts';
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
  /** Origins at which clients reach it, for DPoP proofs; none: the scheme of its listener and the Host that they send. */
  readonly publicOrigins?: readonly string[];
  /** What requests under way get when the gateway stops. */
  readonly drainMs: number;
  /** Folder where records of requests wait for the STS; without one they wait in memory. */
  readonly spool?: string;
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

export function createGateway(config: GatewayConfig, given: GatewayPorts): Gateway {
  const { clock, log } = given;
  const ports = { ...given, randomBytes: pooled(given.randomBytes) };
  const metrics = createGatewayMetrics();
  const zones = config.zones.map((zone) => createGatewayZone(zone, { ...ports, metrics, spool: config.spool }));
  const active = createActiveRequests(clock, () => metrics.count('caracal_gateway_streams_cut_total'));
  metrics.gauge('caracal_gateway_requests_active', () => active.size());
  let isStopping = false;
  const ready = () => (isStopping ? { ready: false, reason: 'it is stopping' } : toReadiness(config, zones));
  const serving: ServePorts = {
    ...{ ...ports, metrics, active, failures: createFailureBudget(clock), now: () => clock.now() },
    dpop: createDPoPVerifier(ports),
    publicOrigins: config.publicOrigins ?? [],
    proto: config.tls ? 'https' : 'http',
    isStopping: () => isStopping,
    // Whatever a request for none of several zones is about, it is of none of them.
    records: zones.length === 1 ? zones[0]!.records : undefined,
  };
  const newRequestID = () => uuidv7(clock.now(), ports.randomBytes);
  const upstreams: Closable[] = [];
  const listeners: Listener[] = [];
  let admin: Listener | undefined;

  const serve = (findTarget: FindTarget, { host, port }: Address): Promise<number> => {
    const options = { newRequestID, ...(config.tls && { tls: config.tls }) };
    const listener = createListener(createRequestHandler(findTarget, serving), options);
    listeners.push(listener);
    return listener.listen(host, port);
  };
  const protect = ({ zoneID, resource, listen, target }: Protection): Promise<number> => {
    const zone = zones.find((candidate) => candidate.zoneID === zoneID);
    if (!zone) throw new TypeError(`--protect ${resource}: zone ${zoneID} is not among the gateway's zones`);
    const upstream = createAppUpstream(target);
    upstreams.push(upstream);
    return serve(protectTarget(zone, resource, upstream), listen);
  };
  const serveEdge = (address: Address): Promise<number> => {
    const edges = createEdgeUpstreams(config.allowUpstreamRanges);
    upstreams.push(edges);
    return serve(edgeTarget(zones, edges), address);
  };
  const serveAdmin = ({ host, port }: Address): Promise<number> => {
    admin = createListener(createAdminHandler(metrics, ready), { newRequestID });
    return admin.listen(host, port);
  };
  const listen = async (): Promise<GatewayAddresses> => ({
    protect: await Promise.all(config.protect.map(protect)),
    ...(config.edge && { edge: await serveEdge(config.edge) }),
    ...(config.admin && { admin: await serveAdmin(config.admin) }),
  });
  /** Requests under way come first; who asks whether it is ready is told until the end that it is not. */
  const close = async (drainMs: number): Promise<void> => {
    isStopping = true;
    for (const listener of listeners) listener.stop();
    await active.drain(drainMs);
    active.close();
    await Promise.all(zones.map((zone) => zone.records.close(RECORDS_MS)));
    for (const zone of zones) zone.close();
    await Promise.all([...listeners, ...(admin ? [admin] : [])].map((listener) => listener.close()));
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  };

  return {
    async start() {
      try {
        await Promise.all(zones.map((zone) => zone.records.open()));
        for (const zone of zones) zone.start();
        const addresses = await listen();
        log.info({ resources: config.protect.map(({ resource }) => resource), ...addresses }, 'gateway listens');
        return addresses;
      } catch (error) {
        await close(0);
        throw error;
      }
    },
    ready,
    async close() {
      await close(config.drainMs);
      log.info({}, 'gateway stopped');
    },
  };
}

/** What the delivery of the last records gets. */
const RECORDS_MS = 1000;

function toReadiness({ protect }: GatewayConfig, zones: readonly GatewayZone[]): GatewayReadiness {
  const stale = zones.find((zone) => !zone.isFresh());
  if (stale) return { ready: false, reason: `zone ${stale.zoneID}: freshness is not proved` };
  const missing = protect.find(
    ({ zoneID, resource }) => !zones.find((zone) => zone.zoneID === zoneID)?.resourceByName(resource),
  );
  if (!missing) return { ready: true };
  return { ready: false, reason: `Resource ${missing.resource} is not part of the configuration` };
}
