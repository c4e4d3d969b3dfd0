/** A real etcd and kube-apiserver on loopback, owned by one test run: see docs of `startCluster`. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess, until, type OwnedProcess } from './processes.ts';
import { freePorts } from './ports.ts';

const KUBERNETES_VERSION = '1.37.2';
const SERVICE_ACCOUNT_ISSUER = 'https://kubernetes.default.svc.cluster.local';
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

export interface ClusterOptions {
  /** Further flags of kube-apiserver, such as `--audit-log-path=…`. */
  readonly apiServerFlags?: readonly string[];
}

interface BoundPod {
  readonly name: string;
  /** Any pod of the name when absent. */
  readonly uid?: string;
}

export interface Cluster {
  /** `https://127.0.0.1:<port>`; stays the same over restarts. */
  readonly url: string;
  /** `http://127.0.0.1:<port>` of etcd. */
  readonly etcdURL: string;
  /** Path of a kubeconfig with all rights. */
  readonly kubeconfig: string;
  /** PEM of what signed the API server's certificate. */
  readonly ca: string;
  /** Bearer token of an administrator. */
  readonly token: string;
  /** The run's own directory; removed by `stop`. */
  readonly directory: string;
  /** Runs the pinned kubectl and resolves with its standard output; rejects with KubectlError. */
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** Applies crds/*.yaml, waits until they are established, then applies crds/admission. */
  installCRDs(): Promise<void>;
  /** A token by TokenRequest, bound to a pod where one is given. */
  serviceAccountToken(namespace: string, name: string, audience: string, pod?: BoundPod): Promise<string>;
  /** Path of a kubeconfig that authenticates with `token`. */
  kubeconfigFor(token: string): string;
  stopAPIServer(): Promise<void>;
  startAPIServer(): Promise<void>;
  /** Stops and starts etcd on the same data; the API server stays up and reconnects. */
  restartEtcd(): Promise<void>;
  stopEtcd(): Promise<void>;
  startEtcd(): Promise<void>;
  stop(): Promise<void>;
}

class KubectlError extends Error {
  override readonly name = 'KubectlError';
  readonly code: number | null;
  readonly stderr: string;
  readonly stdout: string;
  constructor(args: readonly string[], code: number | null, stdout: string, stderr: string) {
    super(`kubectl ${args.join(' ')}: exit ${code}\n${stderr}`);
    this.code = code;
    this.stderr = stderr;
    this.stdout = stdout;
  }
}

/** The directory with etcd, kube-apiserver and kubectl. */
function kubernetesBinaries(): string {
  const cache = join(homedir(), '.cache/caracal/kube', KUBERNETES_VERSION);
  const directory = process.env['KUBEBUILDER_ASSETS'] ?? cache;
  const missing = ['etcd', 'kube-apiserver', 'kubectl'].filter((name) => !existsSync(join(directory, name)));
  if (missing.length > 0)
    throw new Error(
      `${missing.join(', ')} ${KUBERNETES_VERSION} missing in ${directory}: \`npm test\` builds them (needs Go), or set KUBEBUILDER_ASSETS`,
    );
  return directory;
}

/**
 * Starts etcd and kube-apiserver on free loopback ports with RBAC and a ServiceAccount issuer, without
 * controller-manager: nothing makes ServiceAccounts, pods never run and owners are not collected.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const binaries = kubernetesBinaries();
  const directory = mkdtempSync(join(tmpdir(), 'caracal-cluster-'));
  const [etcdPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
  const token = randomBytes(24).toString('hex');
  writeKeys(directory, token);
  const etcd = daemon(join(binaries, 'etcd'), etcdFlags(directory, etcdPort, peerPort), join(directory, 'etcd.log'));
  const flags = [...apiServerFlags(directory, etcdPort, port), ...(options.apiServerFlags ?? [])];
  const apiServer = daemon(join(binaries, 'kube-apiserver'), flags, join(directory, 'apiserver.log'));
  const url = `https://127.0.0.1:${port}`;
  const etcdURL = `http://127.0.0.1:${etcdPort}`;
  const certificate = join(directory, 'certificates/apiserver.crt');
  const startEtcd = () => etcd.start(async () => (await fetch(`${etcdURL}/health`)).ok);
  const startAPIServer = () => apiServer.start(() => isReady(url, token, certificate));
  const stop = async () => {
    await apiServer.stop(2000);
    await etcd.stop(2000);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await startEtcd();
    await startAPIServer();
  } catch (error) {
    await stop();
    throw error;
  }
  const ca = readFileSync(certificate, 'utf8');
  let kubeconfigs = 0;
  const kubeconfigFor = (bearer: string): string => {
    const path = join(directory, `kubeconfig-${kubeconfigs++}`);
    writeFileSync(path, kubeconfigText(url, ca, bearer), { mode: 0o600 });
    return path;
  };
  const kubeconfig = kubeconfigFor(token);
  const kubectl = (args: readonly string[], stdin?: string) =>
    runKubectl(join(binaries, 'kubectl'), kubeconfig, directory, args, stdin);
  return {
    url,
    etcdURL,
    kubeconfig,
    ca,
    token,
    directory,
    kubectl,
    kubeconfigFor,
    installCRDs: () => installCRDs(kubectl),
    serviceAccountToken: (namespace, name, audience, pod) => createToken(kubectl, namespace, name, audience, pod),
    stopAPIServer: () => apiServer.stop(2000),
    startAPIServer,
    restartEtcd: async () => {
      await etcd.stop(2000);
      await startEtcd();
    },
    stopEtcd: () => etcd.stop(2000),
    startEtcd,
    stop,
  };
}

interface Daemon {
  start(ready: () => Promise<boolean>): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

function daemon(command: string, flags: readonly string[], log: string): Daemon {
  let child: OwnedProcess | undefined;
  return {
    async start(ready) {
      const started = startProcess(command, flags, log);
      child = started;
      const answers = async (): Promise<boolean> => {
        if (!started.running()) throw new Error(`${command} ended:\n${started.log()}`);
        return ready().catch(() => false);
      };
      await until(answers, () => `${command} is not ready after 90 s:\n${started.log()}`, 90_000);
    },
    async stop(graceMs) {
      await child?.stop(graceMs);
    },
  };
}

function writeKeys(directory: string, token: string): void {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  writeFileSync(join(directory, 'serviceaccount.pub'), publicKey);
  writeFileSync(join(directory, 'serviceaccount.key'), privateKey, { mode: 0o600 });
  writeFileSync(join(directory, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
}

function etcdFlags(directory: string, port: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    '--unsafe-no-fsync',
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ];
}

function apiServerFlags(directory: string, etcdPort: number, port: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    '--endpoint-reconciler-type=none',
    `--cert-dir=${join(directory, 'certificates')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    `--service-account-key-file=${join(directory, 'serviceaccount.pub')}`,
    `--service-account-signing-key-file=${join(directory, 'serviceaccount.key')}`,
    `--service-account-issuer=${SERVICE_ACCOUNT_ISSUER}`,
    `--api-audiences=https://kubernetes.default.svc,${SERVICE_ACCOUNT_ISSUER}`,
    `--token-auth-file=${join(directory, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--disable-admission-plugins=ServiceAccount',
  ];
}

/** GET /readyz with the certificate that the server itself wrote as the only trust anchor. */
async function isReady(url: string, token: string, certificate: string): Promise<boolean> {
  const ca = readFileSync(certificate, 'utf8');
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/readyz`,
      { ca, headers: { authorization: `Bearer ${token}` }, timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer in 2 s')));
    sent.on('error', reject);
    sent.end();
  });
}

function kubeconfigText(url: string, ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}

function runKubectl(
  binary: string,
  kubeconfig: string,
  directory: string,
  args: readonly string[],
  stdin?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const flags = [`--kubeconfig=${kubeconfig}`, `--cache-dir=${join(directory, 'kubectl-cache')}`];
    const child = spawn(binary, [...flags, ...args], { cwd: REPOSITORY, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(stdout) : reject(new KubectlError(args, code, stdout, stderr))));
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end(stdin ?? '');
  });
}

async function installCRDs(kubectl: Cluster['kubectl']): Promise<void> {
  const crds = join(REPOSITORY, 'crds');
  const files = readdirSync(crds).filter((name) => name.endsWith('.yaml'));
  const flags = files.flatMap((name) => ['-f', join(crds, name)]);
  await kubectl(['apply', '--server-side', ...flags]);
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...flags]);
  const admission = join(crds, 'admission');
  if (existsSync(admission)) await kubectl(['apply', '--server-side', '-f', admission]);
}

async function createToken(
  kubectl: Cluster['kubectl'],
  namespace: string,
  name: string,
  audience: string,
  pod?: BoundPod,
): Promise<string> {
  const bound =
    pod === undefined
      ? []
      : [
          '--bound-object-kind=Pod',
          `--bound-object-name=${pod.name}`,
          ...(pod.uid === undefined ? [] : [`--bound-object-uid=${pod.uid}`]),
        ];
  return (await kubectl(['create', 'token', name, '-n', namespace, `--audience=${audience}`, ...bound])).trim();
}
