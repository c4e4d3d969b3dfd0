/** Clients of a test cluster for the code under test: as an administrator or a ServiceAccount, by any port, counted. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/authority/clock.ts';
import { createKubeClient, type KubeClient, type KubeClientSettings, type KubeRequest } from '../../src/kube/client.ts';
import type { Cluster } from './cluster.ts';

export const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
export const bytes = (size: number): Uint8Array => randomBytes(size);

export interface ClientOptions extends KubeClientSettings {
  /** The administrator's when absent. */
  readonly token?: string;
  /** Of a proxy in front of the API server. */
  readonly port?: number;
}

export function clientOf(cluster: Cluster, options: ClientOptions = {}): KubeClient {
  const { token = cluster.token, port, ...settings } = options;
  const server = port === undefined ? cluster.url : `https://127.0.0.1:${port}`;
  const connection = { server, tls: { ca: cluster.ca }, authorization: async () => `Bearer ${token}` };
  return createKubeClient(connection, settings);
}

export interface CountedClient extends KubeClient {
  /** Writes since the start, Leases apart, as `METHOD path`. */
  readonly writes: readonly string[];
  /** Answers other than 2xx, as `METHOD path: message`. */
  readonly refusals: readonly string[];
}

export function counted(client: KubeClient): CountedClient {
  const writes: string[] = [];
  const refusals: string[] = [];
  const note = (request: Pick<KubeRequest, 'path'>) => (error: unknown) => {
    refusals.push(`${request.path}: ${(error as Error).message}`);
    throw error;
  };
  return {
    writes,
    refusals,
    request(request) {
      if (request.method !== 'GET' && !request.path.includes('/leases'))
        writes.push(`${request.method} ${request.path}`);
      return client.request(request).catch(note(request));
    },
    watch: (request) => client.watch(request).catch(note(request)),
    close: () => client.close(),
  };
}
