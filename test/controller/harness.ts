/** Controllers on a test cluster with exactly the rights of install/rbac.yaml, and a replica with those of the STS. */
import { join } from 'node:path';
import type { Clock } from '../../src/authority/clock.ts';
import type { Controller } from '../../src/controller/controller.ts';
import { createKubernetesController, type KubernetesControllerConfig } from '../../src/controller/kubernetes.ts';
import { createKubeSource } from '../../src/kube/source.ts';
import { createPolicyChecker, type PolicyChecker } from '../../src/policy/checker.ts';
import { createOPA } from '../../src/policy/opa.ts';
import type { Cluster } from '../support/cluster.ts';
import { bytes, clientOf, clock, counted, type CountedClient } from '../support/kubeClients.ts';
import { OPA_PATH } from '../support/opa.ts';
import { until } from '../support/processes.ts';
import { createTestReplica, type TestReplica } from '../support/replica.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const ISSUER = 'https://sts.test';
export const SYSTEM = 'caracal-system';
const API_SERVER = 'https://kubernetes.default.svc';

export async function installRoles(cluster: Cluster): Promise<void> {
  await cluster.installCRDs();
  await cluster.kubectl(['apply', '-f', join(ROOT, 'install/namespace.yaml'), '-f', join(ROOT, 'install/rbac.yaml')]);
}

export function openChecker(cacheDir: string): PolicyChecker {
  return createPolicyChecker(createOPA({ path: OPA_PATH, cacheDir }), clock);
}

/** A replica that reads the cluster with the STS' own rights. */
export async function startReplica(cluster: Cluster): Promise<TestReplica> {
  const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-sts', API_SERVER);
  const client = clientOf(cluster, { token });
  const source = createKubeSource({ namespace: SYSTEM }, { client, clock, random: () => 0.5 });
  const replica = createTestReplica(source);
  await replica.start();
  return {
    ...replica,
    async close() {
      await source.close();
      await client.close();
    },
  };
}

export interface RunningController {
  readonly controller: Controller;
  readonly client: CountedClient;
  readonly log: string[];
  close(): Promise<void>;
}

export interface ControllerOptions extends Partial<KubernetesControllerConfig> {
  readonly clock?: Clock;
}

/** Starts a controller that shares replica and checker with the test. */
export async function startController(
  cluster: Cluster,
  shared: { readonly replica: TestReplica; readonly checker: PolicyChecker },
  options: ControllerOptions = {},
): Promise<RunningController> {
  const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', API_SERVER);
  const client = counted(clientOf(cluster, { token, timeout: 5000 }));
  const log: string[] = [];
  const note = (fields: object, message: string) => void log.push(`${message} ${JSON.stringify(fields)}`);
  const { replica, checker } = shared;
  const observer = { observe: replica.observe, start: async () => undefined, close: async () => undefined };
  const lease = { durationMs: 3000, validMs: 2000, retryMs: 200 };
  const { clock: own, ...config } = options;
  const controller = createKubernetesController(
    { issuer: ISSUER, namespace: SYSTEM, host: 'test', lease, ...config },
    { client, clock: own ?? clock, randomBytes: bytes, checker, observer, log: { info: note, warn: note } },
  );
  await controller.start();
  return {
    controller,
    client,
    log,
    async close() {
      await controller.close();
      await client.close();
    },
  };
}

export interface Shown {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
  readonly spec: Record<string, unknown>;
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
    readonly [member: string]: unknown;
  };
}

export interface Kubectl {
  (args: readonly string[], stdin?: string): Promise<string>;
}

/** `kubectl get KIND NAME -o json`. */
export async function get(kubectl: Kubectl, namespace: string, kind: string, name: string): Promise<Shown> {
  return JSON.parse(await kubectl(['get', `${kind}.caracal.run`, name, '-n', namespace, '-o', 'json'])) as Shown;
}

export async function list(kubectl: Kubectl, namespace: string, kind: string): Promise<readonly Shown[]> {
  const answer = JSON.parse(await kubectl(['get', `${kind}.caracal.run`, '-n', namespace, '-o', 'json'])) as {
    readonly items: readonly Shown[];
  };
  return answer.items;
}

/** `True`, or `<status> <reason>`. */
export function conditionOf(object: Shown, type: string): string {
  const found = object.status?.conditions?.find((condition) => condition.type === type);
  if (found === undefined) return 'absent';
  return found.status === 'True' ? 'True' : `${found.status} ${found.reason}`;
}

/** Waits until the object's condition reads so, at its present generation. */
export async function awaitCondition(
  kubectl: Kubectl,
  place: readonly [namespace: string, kind: string, name: string],
  type: string,
  wanted: string,
): Promise<Shown> {
  let seen: Shown | undefined;
  await until(
    async () => {
      seen = await get(kubectl, ...place);
      return seen.status?.['observedGeneration'] === seen.metadata.generation && conditionOf(seen, type) === wanted;
    },
    () => `${place.join(' ')}: ${type} is not "${wanted}" but ${JSON.stringify(seen?.status, undefined, 1)}`,
    20_000,
    100,
  );
  return seen!;
}

/** The documents of manifests, each byte for byte. */
export function documentsOf(yaml: string): readonly string[] {
  return yaml.split(/^---\n/m);
}
