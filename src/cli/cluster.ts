/** The connection of a role to its cluster, and what its watches need. */
import { createKubeClient } from '../kube/client.ts';
import type { KubeClient } from '../kube/client.ts';
import { connectInCluster, connectKubeconfig } from '../kube/connection.ts';
import type { ReflectorPorts } from '../kube/reflector.ts';
import { CommandError } from './runtime.ts';
import type { Runtime } from './runtime.ts';

export interface ClusterOptions {
  readonly kubeconfig?: string;
}

export interface Cluster {
  readonly client: KubeClient;
  readonly reflector: ReflectorPorts;
}

export async function connectCluster(
  { kubeconfig }: ClusterOptions,
  onRetry: (path: string, error: unknown) => void,
  { clock, env, randomBytes }: Runtime,
): Promise<Cluster> {
  const connection = kubeconfig === undefined ? inCluster(env, clock) : await connectKubeconfig(kubeconfig, clock);
  const client = createKubeClient(connection);
  const random = () => Buffer.from(randomBytes(4)).readUInt32BE() / 2 ** 32;
  return { client, reflector: { client, clock, random, onRetry } };
}

function inCluster(env: Runtime['env'], clock: Runtime['clock']) {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host !== undefined && port !== undefined) return connectInCluster({ host, port }, clock);
  throw new CommandError('this process runs in no pod: name a cluster with --kubeconfig', 2);
}
