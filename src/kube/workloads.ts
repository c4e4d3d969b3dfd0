/** The cluster's ServiceAccount issuer with its keys, and which pods and ServiceAccounts are alive, by metadata watches. */
import type { Workload, WorkloadDirectory } from '../sts/ports.ts';
import { pause } from './pause.ts';
import { createReflector, type Reflector, type ReflectorPorts } from './reflector.ts';
import type { KubeRecord } from './watchEvent.ts';

/** Kubernetes itself stops to honour a token 60 s after its object's deletionTimestamp; so do we. */
const DELETION_LEEWAY_MS = 60_000;
const KEYS_EVERY_MS = 5 * 60_000;
const KEYS_RETRY_MS = 2_000;

type PublicJWK = ReturnType<WorkloadDirectory['keys']>[number];

export interface KubeWorkloadSettings {
  /** For tests of dropped and silent watches. */
  readonly idleMs?: number;
}

export interface KubeWorkloadDirectory extends WorkloadDirectory {
  /** Resolves when pods, ServiceAccounts and the issuer's keys are known. */
  start(): Promise<void>;
  close(): Promise<void>;
}

interface Living {
  readonly uid: string;
  /** Unix milliseconds; undefined: not being deleted. */
  readonly deletedAt: number | undefined;
}

export function createKubeWorkloadDirectory(
  settings: KubeWorkloadSettings,
  ports: ReflectorPorts,
): KubeWorkloadDirectory {
  const timing = settings.idleMs === undefined ? {} : { idleMs: settings.idleMs };
  const living = (path: string): Reflector<Living> =>
    createReflector({ ...timing, path, metadataOnly: true, toItem: toLiving }, ports);
  const pods = living('/api/v1/pods');
  const serviceAccounts = living('/api/v1/serviceaccounts');
  const closing = new AbortController();
  const discovered = Promise.withResolvers<void>();
  let issuer = '';
  let keys: readonly PublicJWK[] = [];
  let refreshing: Promise<void> | undefined;

  /** Keeps the last good keys while the API server is gone. */
  const refresh = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        ({ issuer, keys } = await discover(ports));
        discovered.resolve();
        await pause(KEYS_EVERY_MS, closing.signal);
      } catch (error) {
        ports.onRetry?.('/openid/v1/jwks', error);
        await pause(KEYS_RETRY_MS, closing.signal);
      }
    }
    discovered.resolve();
  };

  const state = (reflector: Reflector<Living>, namespace: string, name: string, uid: string) => {
    const found = reflector.get(namespace, name);
    if (found?.uid === uid) return isAlive(found, ports.clock.now()) ? 'alive' : 'gone';
    return reflector.state().connected ? 'gone' : 'unknown';
  };

  return {
    async start() {
      refreshing ??= refresh();
      await Promise.all([pods.start(), serviceAccounts.start(), discovered.promise]);
    },
    issuer: () => issuer,
    keys: () => keys,
    alive(workload: Workload) {
      const pod = state(pods, workload.namespace, workload.pod, workload.podUID);
      const account = state(serviceAccounts, workload.namespace, workload.serviceAccount, workload.serviceAccountUID);
      if (pod === 'alive' && account === 'alive') return 'alive';
      return pod === 'gone' || account === 'gone' ? 'gone' : 'unknown';
    },
    async close() {
      closing.abort();
      await Promise.all([pods.close(), serviceAccounts.close(), refreshing]);
    },
  };
}

function toLiving(record: KubeRecord): Living {
  const { uid, deletionTimestamp } = record.metadata;
  return { uid, deletedAt: deletionTimestamp === undefined ? undefined : Date.parse(deletionTimestamp) };
}

/** An unreadable deletionTimestamp (NaN) is not alive. */
function isAlive(object: Living, now: number): boolean {
  return object.deletedAt === undefined || now < object.deletedAt + DELETION_LEEWAY_MS;
}

/** The issuer of ServiceAccount tokens and its keys, as the API server publishes them. */
async function discover(ports: ReflectorPorts): Promise<{ issuer: string; keys: readonly PublicJWK[] }> {
  const get = async (path: string, accept: string): Promise<Record<string, unknown>> =>
    (await ports.client.request({ method: 'GET', path, accept })) as Record<string, unknown>;
  const configuration = await get('/.well-known/openid-configuration', 'application/json');
  const set = await get('/openid/v1/jwks', 'application/jwk-set+json');
  const { issuer } = configuration;
  if (typeof issuer !== 'string' || issuer === '') throw new Error('the cluster publishes no ServiceAccount issuer');
  if (!Array.isArray(set['keys']) || set['keys'].length === 0)
    throw new Error('the cluster publishes no ServiceAccount issuer keys');
  return { issuer, keys: set['keys'] as PublicJWK[] };
}
