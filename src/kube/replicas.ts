/** Asks every ready STS replica what it serves: found by EndpointSlice, or at given URLs. */
import { isIP } from 'node:net';
import { Agent } from 'undici';
import type { ReplicaGateways, ReplicaObserver, ReplicaReport, ReplicaZoneReport } from '../controller/ports.ts';
import type { WatchedKind } from '../compiler/world.ts';
import { endpointSlicesPath } from './paths.ts';
import { createReflector, type ReflectorPorts } from './reflector.ts';
import { isVersion } from './version.ts';
import type { KubeRecord } from './watchEvent.ts';

const REPORT_PATH = '/v1/programmed';
const MAX_REPORT_BYTES = 64 * 1024 * 1024;

export interface ReplicaCallSettings {
  /** PEM that signs the replicas' certificates; the public roots when absent. */
  readonly ca?: string;
  /** The name to verify in the certificate instead of the address. */
  readonly serverName?: string;
  /** Milliseconds per replica; 2 s when absent. */
  readonly timeoutMs?: number;
}

export interface ReplicaCallPorts {
  /** The `Authorization` header with the controller's own projected token. */
  authorization(): Promise<string>;
}

export interface ReplicaWatch extends ReplicaObserver {
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Observes the replicas at `urls` (https, or http on a loopback address). */
export function createReplicaURLs(
  urls: readonly string[],
  settings: ReplicaCallSettings,
  ports: ReplicaCallPorts,
): ReplicaWatch {
  const origins = urls.map(parseReplicaURL);
  const caller = createCaller(settings, ports);
  return {
    start: () => Promise.resolve(),
    observe: () => Promise.all(origins.map(caller.ask)),
    close: caller.close,
  };
}

export interface ReplicaServiceSettings extends ReplicaCallSettings {
  readonly namespace: string;
  /** The Service whose ready endpoints are the replicas. */
  readonly service: string;
  /** Name of the port in the EndpointSlices. */
  readonly port: string;
}

/** Base URLs of the replicas that are ready now. */
export interface ReplicaOrigins {
  start(): Promise<void>;
  origins(): readonly string[];
  close(): Promise<void>;
}

/** Ready endpoints of the STS' Service, or, where some are given, these URLs. */
export function createReplicaOrigins(
  settings: Pick<ReplicaServiceSettings, 'namespace' | 'service' | 'port'> & { readonly urls: readonly string[] },
  ports: ReflectorPorts,
): ReplicaOrigins {
  if (settings.urls.length > 0) {
    const origins = settings.urls.map(parseReplicaURL);
    return { start: () => Promise.resolve(), origins: () => origins, close: () => Promise.resolve() };
  }
  const slices = watchSlices(settings, ports);
  return {
    start: () => slices.start(),
    origins: () => [...new Set(slices.items().flat())],
    close: () => slices.close(),
  };
}

function watchSlices(
  { namespace, service, port }: Pick<ReplicaServiceSettings, 'namespace' | 'service' | 'port'>,
  ports: ReflectorPorts,
) {
  return createReflector<readonly string[]>(
    {
      path: endpointSlicesPath(namespace),
      labelSelector: `kubernetes.io/service-name=${service}`,
      toItem: (record) => readyOrigins(record, port),
    },
    ports,
  );
}

/** Observes every ready endpoint of the STS' Service. */
export function createReplicaService(
  settings: ReplicaServiceSettings,
  ports: ReflectorPorts & ReplicaCallPorts,
): ReplicaWatch {
  const slices = watchSlices(settings, ports);
  const serverName = settings.serverName ?? `${settings.service}.${settings.namespace}.svc`;
  const caller = createCaller({ ...settings, serverName }, ports);
  return {
    start: () => slices.start(),
    observe: () => Promise.all([...new Set(slices.items().flat())].map(caller.ask)),
    async close() {
      await slices.close();
      await caller.close();
    },
  };
}

/** Throws a message naming the fix when `text` is not the base URL of a replica. */
function parseReplicaURL(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw new Error(`--sts ${text}: not a URL; give https://HOST:PORT`);
  const loopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))
    throw new Error(`--sts ${text}: must be https (http only on a loopback address)`);
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** `https://address:port` of each endpoint of an EndpointSlice that is ready (an absent condition means ready). */
function readyOrigins(record: KubeRecord, portName: string): readonly string[] {
  const ports = (record['ports'] ?? []) as readonly { name?: string; port?: number }[];
  const endpoints = (record['endpoints'] ?? []) as readonly {
    addresses?: readonly string[];
    conditions?: { ready?: boolean };
  }[];
  const port = ports.find((candidate) => candidate.name === portName)?.port;
  if (port === undefined) return [];
  return endpoints
    .filter((endpoint) => endpoint.conditions?.ready !== false)
    .flatMap((endpoint) => endpoint.addresses?.slice(0, 1) ?? [])
    .map((address) => `https://${isIP(address) === 6 ? `[${address}]` : address}:${port}`);
}

function createCaller(settings: ReplicaCallSettings, ports: ReplicaCallPorts) {
  const timeout = settings.timeoutMs ?? 2000;
  const agent = new Agent({
    connect: {
      timeout,
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
      ...(settings.serverName === undefined ? {} : { servername: settings.serverName }),
    },
    allowH2: false,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    maxResponseSize: MAX_REPORT_BYTES,
  });
  return {
    async ask(this: void, base: string): Promise<ReplicaReport> {
      const url = new URL(`${base}${REPORT_PATH}`);
      const response = await agent.request({
        origin: url.origin,
        path: url.pathname,
        method: 'GET',
        headers: { accept: 'application/json', authorization: await ports.authorization() },
        signal: AbortSignal.timeout(timeout),
      });
      if (response.statusCode === 200) return parseReplicaReport(await response.body.json());
      await response.body.dump();
      throw new Error(`STS replica ${base} answers ${response.statusCode}`);
    },
    close: () => agent.destroy(),
  };
}

/** Throws when the answer of `/v1/programmed` is not of its form. */
function parseReplicaReport(value: unknown): ReplicaReport {
  const body = requireObject(value, 'body');
  const zones = Object.entries(requireObject(body['zones'], 'zones'));
  const versions = Object.entries(requireObject(body['versions'], 'versions'));
  for (const [kind, version] of versions)
    if (!isVersion(version)) throw new Error(`/v1/programmed: versions.${kind} is not an integer`);
  return {
    replica: String(body['replica'] ?? ''),
    versions: Object.fromEntries(versions) as Partial<Record<WatchedKind, string>>,
    zones: Object.fromEntries(zones.map(([id, zone]) => [id, parseZone(zone)])),
  };
}

function parseZone(value: unknown): ReplicaZoneReport {
  const zone = requireObject(value, 'zone');
  const kids = zone['kids'];
  if (!Array.isArray(kids) || !kids.every((kid) => typeof kid === 'string'))
    throw new Error('/v1/programmed: kids is not a list of strings');
  const resources = Object.entries(requireObject(zone['resources'], 'resources'));
  const freeze = zone['freeze'];
  if (freeze !== undefined && typeof freeze !== 'string') throw new Error('/v1/programmed: freeze is not a reason');
  return {
    ...(freeze !== undefined && { freeze }),
    kids,
    gateways: parseCounts(zone['gateways']),
    resources: Object.fromEntries(resources.map(([id, counts]) => [id, parseCounts(counts)])),
  };
}

function parseCounts(value: unknown): ReplicaGateways {
  const { connected, current, informed = 0 } = requireObject(value, 'gateways');
  if (![connected, current, informed].every(Number.isSafeInteger))
    throw new Error('/v1/programmed: gateways counts are not integers');
  return { connected: connected as number, current: current as number, informed: informed as number };
}

function requireObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`/v1/programmed: ${what} is not an object`);
  return value as Record<string, unknown>;
}
