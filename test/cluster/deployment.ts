/** Caracal whole on a test cluster: STS, controllers and gateways as processes, each with exactly the rights of install/rbac.yaml. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installRoles } from '../../scripts/demo/roles.ts';
import { startOrdersService, type ProtectedService } from '../../scripts/demo/service.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { freePort } from '../support/ports.ts';
import { startProcess, until, type OwnedProcess } from '../support/processes.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const SYSTEM = 'caracal-system';
export const NAMESPACE = 'quickstart';
export const ZONE = `${NAMESPACE}.shop`;
export const KINDS = ['zones', 'applications', 'resources', 'grants', 'policies', 'policysets'].map(
  (kind) => `${kind}.caracal.run`,
);
const API_SERVER = 'https://kubernetes.default.svc';
const MAIN = ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/main.ts')];

export interface Gateway {
  readonly url: string;
  readonly process: OwnedProcess;
}

export interface Deployment {
  readonly cluster: Cluster;
  readonly issuer: string;
  /** The folder of the STS' store. */
  readonly data: string;
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** Merges into the object's spec; null removes a member. */
  patch(kind: string, name: string, spec: object): Promise<void>;
  /** With another `server`, the STS reaches the API server there. */
  startSTS(server?: string): Promise<OwnedProcess>;
  startController(): Promise<OwnedProcess>;
  /** `caracal ARGS`, ended with the rest. `ready`: whether it serves. */
  startRole(args: readonly string[], ready: () => Promise<boolean>): Promise<OwnedProcess>;
  /** In front of the orders service, as the pod `orders`; resolves when it is ready. */
  startGateway(): Promise<Gateway>;
  /** A token of the pod's for the zone. */
  clientToken(pod: string, serviceAccount: string): Promise<string>;
  close(): Promise<void>;
}

/** A cluster with Caracal's kinds and rights, and a started STS and controller: nothing else. */
export async function deploy(
  options: { readonly roles?: boolean; readonly apiServerFlags?: readonly string[] } = {},
): Promise<Deployment> {
  const { apiServerFlags = [] } = options;
  const cluster = await startCluster({ apiServerFlags });
  const service = await startOrdersService();
  const deployment = createDeployment(cluster, service, `http://127.0.0.1:${await freePort()}`);
  try {
    await installRoles(cluster);
    if (options.roles !== false) await Promise.all([deployment.startSTS(), deployment.startController()]);
    return deployment;
  } catch (error) {
    await deployment.close();
    throw error;
  }
}

function createDeployment(cluster: Cluster, service: ProtectedService, issuer: string): Deployment {
  const { directory, kubectl } = cluster;
  const running: OwnedProcess[] = [];
  let started = 0;
  const start = (args: readonly string[], url: string) => startWhen(args, () => isOK(url));
  const startWhen = async (args: readonly string[], ready: () => Promise<boolean>): Promise<OwnedProcess> => {
    const child = startProcess(process.execPath, args, join(directory, `role-${started++}.log`));
    running.push(child);
    const isReady = async () => {
      if (!child.running()) throw new Error(`ended early:\n${child.log()}`);
      return ready();
    };
    await until(isReady, () => `${args.join(' ')} does not answer:\n${child.log()}`, 45_000);
    return child;
  };
  const audience = `${issuer}/zones/${ZONE}`;
  /** One for all, so that a gateway can be started while the API server is away. */
  let gatewayToken: Promise<string> | undefined;
  const writeGatewayToken = async (): Promise<string> => {
    const pod = { name: 'orders' };
    const token = await cluster.serviceAccountToken(NAMESPACE, 'orders-gateway', `${audience}/gateways`, pod);
    return writeSecret(join(directory, 'gateway-token'), token);
  };
  return {
    cluster,
    issuer,
    data: join(directory, 'sts'),
    kubectl,
    async patch(kind, name, spec) {
      const change = ['--type=merge', '-p', JSON.stringify({ spec })];
      await kubectl(['patch', `${kind}.caracal.run`, name, '-n', NAMESPACE, ...change]);
    },
    async startSTS(server = cluster.url) {
      const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-sts', API_SERVER);
      const flags = ['sts', '--kubeconfig', redirected(cluster, token, server), '--issuer', issuer];
      const own = ['--listen', new URL(issuer).host, '--data', join(directory, 'sts')];
      return start([...MAIN, ...flags, ...own], `${issuer}/ready`);
    },
    startRole: (args, ready) => startWhen([...MAIN, ...args], ready),
    async startController() {
      const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', API_SERVER);
      const forSTS = join(directory, 'controller-token');
      const pod = { name: 'caracal-controller' };
      writeSecret(forSTS, await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', issuer, pod));
      const health = `127.0.0.1:${await freePort()}`;
      const flags = ['controller', '--kubeconfig', cluster.kubeconfigFor(token), '--issuer', issuer];
      const own = ['--sts', issuer, '--sts-token-file', forSTS, '--listen', health];
      return start([...MAIN, ...flags, ...own], `http://${health}/ready`);
    },
    async startGateway() {
      gatewayToken ??= writeGatewayToken();
      const tokenFile = await gatewayToken;
      const [port, admin] = [await freePort(), `127.0.0.1:${await freePort()}`];
      const protect = `${NAMESPACE}/orders=127.0.0.1:${port}:${service.url.host}`;
      const args = [join(ROOT, 'dist/gateway.mjs'), '--token-file', tokenFile, '--admin', admin, '--protect', protect];
      return { url: `http://127.0.0.1:${port}`, process: await start(args, `http://${admin}/ready`) };
    },
    clientToken: (pod, serviceAccount) =>
      cluster.serviceAccountToken(NAMESPACE, serviceAccount, audience, { name: pod }),
    async close() {
      await Promise.all(running.map((child) => child.stop(5000)));
      service.close();
      await cluster.stop();
    },
  };
}

function redirected(cluster: Cluster, token: string, server: string): string {
  const path = cluster.kubeconfigFor(token);
  return writeSecret(path, readFileSync(path, 'utf8').replace(cluster.url, server));
}

function writeSecret(path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function isOK(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Each document of the quickstart by itself. */
export function quickstart(): readonly string[] {
  const folder = join(ROOT, 'examples/quickstart');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split(/^---\n/m));
}

/** The quickstart with its ServiceAccounts and pods, applied and Ready. */
export async function applyQuickstart({ kubectl }: Deployment, documents = quickstart()): Promise<void> {
  await kubectl(['apply', '-f', join(ROOT, 'examples/quickstart-kubernetes')]);
  await kubectl(['apply', '-f', '-'], documents.join('\n---\n'));
  await waitReady(kubectl);
}

export async function waitReady(kubectl: Deployment['kubectl'], seconds = 20): Promise<void> {
  const all = [KINDS.join(','), '--all', '-n', NAMESPACE];
  try {
    await kubectl(['wait', '--for=condition=Ready', ...all, `--timeout=${seconds}s`]);
  } catch (error) {
    throw new Error(`not all is Ready:\n${await kubectl(['get', ...all.filter((arg) => arg !== '--all')])}`, {
      cause: error,
    });
  }
}
