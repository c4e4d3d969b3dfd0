/** Controller and STS as processes against a real kube-apiserver, each with the rights of its own ServiceAccount. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../test/support/cluster.ts';
import { isOK } from './embedded.ts';
import { startCaracal, until, type RunningProcess } from './processes.ts';
import { freePort } from '../../test/support/ports.ts';

const ROOT = join(import.meta.dirname, '../..');
const SYSTEM = 'caracal-system';
const API_SERVER = 'https://kubernetes.default.svc';

/** Applies Caracal's kinds, its namespace and the rights of its roles. */
export async function installRoles(cluster: Cluster): Promise<void> {
  await cluster.installCRDs();
  await cluster.kubectl(['apply', '-f', join(ROOT, 'install/namespace.yaml'), '-f', join(ROOT, 'install/rbac.yaml')]);
  await cluster.kubectl(['apply', '-f', join(ROOT, 'scripts/demo/controllerPod.yaml')]);
}

export async function startSTS(cluster: Cluster, folder: string, issuer: string): Promise<RunningProcess> {
  const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-sts', API_SERVER);
  const sts = startCaracal([
    ...['sts', '--kubeconfig', cluster.kubeconfigFor(token), '--issuer', issuer],
    ...['--listen', new URL(issuer).host, '--data', join(folder, 'sts')],
  ]);
  await Promise.race([until('the STS’s health', () => isOK(`${issuer}/health`)), sts.line(() => false)]);
  return sts;
}

export async function startController(cluster: Cluster, folder: string, issuer: string): Promise<RunningProcess> {
  const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', API_SERVER);
  const forSTS = join(folder, 'controller-token');
  const pod = { name: 'caracal-controller' };
  await writeFile(forSTS, await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', issuer, pod), {
    mode: 0o600,
  });
  const health = `127.0.0.1:${await freePort()}`;
  const controller = startCaracal([
    ...['controller', '--kubeconfig', cluster.kubeconfigFor(token), '--issuer', issuer],
    ...['--sts', issuer, '--sts-token-file', forSTS, '--listen', health],
  ]);
  const ready = until('the controller’s readiness', () => isOK(`http://${health}/ready`));
  await Promise.race([ready, controller.line(() => false)]);
  return controller;
}
