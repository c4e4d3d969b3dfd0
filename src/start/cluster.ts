/** What the roles on a cluster share: the connection to its API server, and the pinned opa. */
import { resolve } from 'node:path';
import { CommandError } from '../cli/runtime.ts';
import type { Runtime } from '../cli/runtime.ts';
import type { ClusterStart } from '../cli/starters.ts';
import { createKubeClient } from '../kube/client.ts';
import type { KubeClient } from '../kube/client.ts';
import { connectInCluster, connectKubeconfig } from '../kube/connection.ts';
import type { ReflectorPorts } from '../kube/reflector.ts';
import { createOPA } from '../policy/opa.ts';
import type { OPA } from '../policy/opa.ts';
import { createLog } from './log.ts';
import type { RoleLog } from './log.ts';

export interface Cluster {
  readonly client: KubeClient;
  readonly reflector: ReflectorPorts;
  readonly opa: OPA;
  readonly log: RoleLog;
}

export async function connectCluster(start: ClusterStart, role: string, runtime: Runtime): Promise<Cluster> {
  const opa = createOPA({ path: start.opa, cacheDir: start.opaCache });
  return { ...(await connectAPIServer(start, role, runtime)), opa };
}

/** For roles that evaluate no policy. */
export async function connectAPIServer(
  start: Pick<ClusterStart, 'kubeconfig' | 'logLevel'>,
  role: string,
  runtime: Runtime,
): Promise<Omit<Cluster, 'opa'>> {
  const { clock, cwd, env, randomBytes } = runtime;
  const { kubeconfig } = start;
  const log = createLog(role, start.logLevel, runtime);
  const connection =
    kubeconfig === undefined ? inCluster(env, clock) : await connectKubeconfig(resolve(cwd, kubeconfig), clock);
  const client = createKubeClient(connection);
  const random = () => Buffer.from(randomBytes(4)).readUInt32BE() / 2 ** 32;
  const onRetry = (path: string, error: unknown) =>
    log.warn({ path, error: error instanceof Error ? error.message : String(error) }, 'a watch is tried again');
  return { client, reflector: { client, clock, random, onRetry }, log };
}

function inCluster(env: Runtime['env'], clock: Runtime['clock']) {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host !== undefined && port !== undefined) return connectInCluster({ host, port }, clock);
  throw new CommandError('this process runs in no pod: name a cluster with --kubeconfig', 2);
}
