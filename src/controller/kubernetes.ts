/** The controller on a Kubernetes API: reflectors, Lease, fenced writes and the STS replicas, wired to the loop. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { KubeClient } from '../kube/client.ts';
import { createLease, leaseIdentity } from '../kube/lease.ts';
import { createKubePublisher } from '../kube/publisher.ts';
import {
  createReplicaService,
  createReplicaURLs,
  type ReplicaCallSettings,
  type ReplicaWatch,
} from '../kube/replicas.ts';
import { createKubeSource } from '../kube/source.ts';
import { createController, type Controller, type ControllerConfig, type ControllerLog } from './controller.ts';
import type { PolicyChecks } from './policyChecks.ts';
import type { ReplicaObserver } from './ports.ts';

const LEASE_NAME = 'caracal-controller';
const STS_PORT_NAME = 'https';

export interface KubernetesControllerConfig extends ControllerConfig {
  /** Caracal's own namespace. */
  readonly namespace: string;
  /** Names this process in the Lease and in Events, such as the pod's name; a random part is added. */
  readonly host: string;
  /** Timing of the Lease, in milliseconds; see kube/lease.ts. */
  readonly lease?: { readonly durationMs?: number; readonly validMs?: number; readonly retryMs?: number };
  /** Timing of the watches; see kube/source.ts. */
  readonly watch?: { readonly idleMs?: number; readonly watchSeconds?: number };
}

export interface KubernetesControllerPorts {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly checker: PolicyChecks;
  readonly observer: ReplicaWatch;
  readonly log: ControllerLog;
}

export function createKubernetesController(
  config: KubernetesControllerConfig,
  ports: KubernetesControllerPorts,
): Controller {
  const { client, clock, log } = ports;
  const { namespace } = config;
  const random = () => Buffer.from(ports.randomBytes(4)).readUInt32BE() / 2 ** 32;
  const onRetry = (path: string, error: unknown) =>
    log.warn(
      { path, error: error instanceof Error ? error.message : String(error) },
      'a watch failed and is tried again',
    );
  const source = createKubeSource({ ...config.watch, namespace }, { client, clock, random, onRetry });
  const identity = leaseIdentity(config.host, ports.randomBytes);
  const lease = createLease(
    { ...config.lease, namespace, name: LEASE_NAME, identity },
    { client, clock, onError: (error) => onRetry(`leases/${LEASE_NAME}`, error) },
  );
  const publisher = createKubePublisher(
    { namespace, identity },
    { client, clock, assertLeader: lease.assertLeader, keySecret: source.keySecret },
  );
  const observer: ReplicaObserver = ports.observer;
  const { checker } = ports;
  const controller = createController(config, {
    source,
    publisher,
    observer,
    checker,
    keys: source,
    clock,
    lease,
    log,
  });
  return {
    ...controller,
    async start() {
      await ports.observer.start();
      // Not before everything was read once: a leader that knows nothing would only be in the way.
      await controller.start();
      lease.start();
    },
    async close() {
      await controller.close();
      await lease.close();
      await source.close();
      await ports.observer.close();
    },
  };
}

export interface ObservedSTS extends ReplicaCallSettings {
  /** Base URLs of replicas; empty: the ready endpoints of `service`. */
  readonly urls: readonly string[];
  readonly service: string;
  readonly namespace: string;
}

/** `authorization`: the header with the controller's token for the STS, whose audience is the issuer. */
export function createSTSObserver(
  { urls, service, namespace, ...call }: ObservedSTS,
  ports: Pick<KubernetesControllerPorts, 'client' | 'clock' | 'randomBytes'> & { authorization(): Promise<string> },
): ReplicaWatch {
  if (urls.length > 0) return createReplicaURLs(urls, call, ports);
  const random = () => Buffer.from(ports.randomBytes(4)).readUInt32BE() / 2 ** 32;
  return createReplicaService({ ...call, service, namespace, port: STS_PORT_NAME }, { ...ports, random });
}
