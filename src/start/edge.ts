/** The edge gateway of `caracal up`: serves every zone of the folder, with a token of its own for each. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { createGateway } from '../gateway/gateway.ts';
import type { FolderSource } from '../up/source.ts';
import { issueServiceAccountToken } from '../up/workloads.ts';
import type { WorkloadIssuer } from '../up/workloads.ts';
import type { RoleLog } from './log.ts';

/** An edge gateway in the Zone's namespace may serve any Resource of the zone that has an upstream. */
const SERVICE_ACCOUNT = 'caracal-edge';
const LOOPBACK = ['127.0.0.0/8', '::1/128'];

export interface EdgeConfig {
  /** Of the STS. */
  readonly issuer: string;
  readonly host: string;
  readonly port: number;
  /** CIDR ranges, private ones too, that upstreams may be in; loopback always may. */
  readonly allowUpstreamRanges: readonly string[];
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

/** Resolves when it listens. When Zones come or go it is started anew for those that there are. */
export async function startEdge(config: EdgeConfig, ports: EdgePorts): Promise<Edge> {
  const { source, log } = ports;
  let zones = zonesOf(source);
  let gateway = openGateway(config, zones, ports);
  await gateway.start();
  let closed = false;
  let changing = Promise.resolve();
  const follow = async () => {
    const next = zonesOf(source);
    if (closed || next.join() === zones.join()) return;
    zones = next;
    await gateway.close();
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

function zonesOf(source: FolderSource): readonly string[] {
  return source
    .world()
    .zones.map(({ metadata }) => `${metadata.namespace}.${metadata.name}`)
    .sort();
}

function openGateway(
  { issuer, host, port, allowUpstreamRanges }: EdgeConfig,
  zones: readonly string[],
  ports: EdgePorts,
) {
  const { workloadIssuer, clock, randomBytes, log } = ports;
  const token = (zoneID: string) =>
    issueServiceAccountToken(
      workloadIssuer,
      {
        namespace: zoneID.slice(0, zoneID.indexOf('.')),
        serviceAccount: SERVICE_ACCOUNT,
        audience: `${issuer}/zones/${zoneID}/gateways`,
      },
      { clock, randomBytes },
    );
  return createGateway(
    {
      zones: zones.map((zoneID) => ({ zoneID, issuer, url: issuer, token: async () => token(zoneID) })),
      protect: [],
      edge: { host, port },
      // On a laptop the upstreams are this machine's own.
      allowUpstreamRanges: [...LOOPBACK, ...allowUpstreamRanges],
      drainMs: 1000,
    },
    { clock, randomBytes, log },
  );
}
