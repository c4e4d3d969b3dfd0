/** The edge gateway of `caracal up`: serves every zone of the folder, with a token of its own for each. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { createGateway } from '../gateway/gateway.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { FolderSource } from '../up/source.ts';
import { issueServiceAccountToken } from '../up/workloads.ts';
import type { WorkloadIssuer } from '../up/workloads.ts';
import type { RoleLog } from './log.ts';

/** An edge gateway in the Zone's namespace may serve any Resource of the zone that has an upstream. */
const SERVICE_ACCOUNT = 'caracal-edge';
const LOOPBACK = ['127.0.0.0/8', '::1/128'];

const READY_EVERY_MS = 10;
const READY_TRIES = 300;

export interface EdgeConfig {
  /** Of the STS. */
  readonly issuer: string;
  readonly host: string;
  readonly port: number;
  /** CIDR ranges, private ones too, that upstreams may be in; loopback always may. */
  readonly allowUpstreamRanges: readonly string[];
  /** Folder where records of requests wait for the STS. */
  readonly spool: string;
}

export interface EdgePorts {
  readonly source: FolderSource;
  readonly workloadIssuer: WorkloadIssuer;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: RoleLog;
}

export interface Edge {
  /** Base URL. */
  readonly url: string;
  close(): Promise<void>;
}

/** Resolves when it proved its freshness. When Zones come or go it is started anew for those that there are. */
export async function startEdge(config: EdgeConfig, ports: EdgePorts): Promise<Edge> {
  const { source, log } = ports;
  let zones = servedZones(source);
  let gateway = openGateway(config, zones, ports);
  await gateway.start();
  await untilReady(gateway);
  let closed = false;
  let changing = Promise.resolve();
  const follow = async () => {
    const next = servedZones(source);
    if (closed || isSame(next, zones)) return;
    await gateway.close();
    zones = next;
    gateway = openGateway(config, zones, ports);
    await gateway.start();
  };
  const stop = source.onChange(() => {
    changing = changing
      .then(follow)
      .catch((error: unknown) =>
        log.error({ error: error instanceof Error ? error.message : String(error) }, 'the edge gateway failed'),
      );
  });
  return {
    url: `http://${config.host}:${config.port}`,
    async close() {
      closed = true;
      stop();
      await changing;
      await gateway.close();
    },
  };
}

export interface ServedZoneName {
  readonly id: string;
  readonly namespace: string;
  readonly uid: string;
}

/** The zones that are accepted, by id. */
export function servedZones(source: FolderSource): readonly ServedZoneName[] {
  return source
    .world()
    .zones.filter(({ status }) =>
      status?.conditions?.some(({ type, status }) => type === 'Accepted' && status === 'True'),
    )
    .map(({ metadata: { namespace, name, uid } }) => ({ id: `${namespace}.${name}`, namespace, uid }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

function isSame(left: readonly ServedZoneName[], right: readonly ServedZoneName[]): boolean {
  return left.map(({ uid }) => uid).join() === right.map(({ uid }) => uid).join();
}

/** A first request must not find it still asking. What takes longer is shown by its answers. */
async function untilReady(gateway: Gateway): Promise<void> {
  for (let tries = 0; tries < READY_TRIES && !gateway.ready().ready; tries += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, READY_EVERY_MS);
    });
  }
}

function openGateway(
  { issuer, host, port, allowUpstreamRanges, spool }: EdgeConfig,
  zones: readonly ServedZoneName[],
  ports: EdgePorts,
): Gateway {
  const { workloadIssuer, clock, randomBytes, log } = ports;
  const token = ({ id, namespace }: ServedZoneName) =>
    issueServiceAccountToken(
      workloadIssuer,
      {
        namespace,
        serviceAccount: SERVICE_ACCOUNT,
        audience: `${issuer}/zones/${id}/gateways`,
      },
      { clock, randomBytes },
    );
  return createGateway(
    {
      zones: zones.map((zone) => ({ zoneID: zone.id, issuer, url: issuer, token: async () => token(zone) })),
      protect: [],
      edge: { host, port },
      // On a laptop the upstreams are this machine's own.
      allowUpstreamRanges: [...LOOPBACK, ...allowUpstreamRanges],
      drainMs: 1000,
      spool,
    },
    { clock, randomBytes, log },
  );
}
