/** The front behind a real API server: certificates of one run, an APIService, and users by impersonation. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { applyQuickstart, deploy, quickstart, ROOT, SYSTEM, type Deployment } from '../cluster/deployment.ts';
import { createAuthority, type Certificate } from '../support/certificates.ts';
import { freePort } from '../support/ports.ts';
import { until, type OwnedProcess } from '../support/processes.ts';

/** A request for a mandate of less than 100 s waits for an operator. */
const HELD = `apiVersion: caracal.run/v1alpha1
kind: Policy
metadata: {name: held, namespace: quickstart}
spec:
  rego: |
    package caracal.policy.held

    step_up contains {"tier": "money", "approver": "operator"} if input.request.ttl_seconds < 100
`;

export interface FrontWorld extends Deployment {
  /** Signed by the CA that the API server's own client certificate is from, under a name that is not allowed. */
  readonly stranger: Certificate;
  readonly sts: OwnedProcess;
  readonly frontPort: number;
  /** GET at the front itself, past the API server. */
  direct(
    path: string,
    options?: { readonly peer?: Certificate; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<number>;
  /** GET through the API server, in a form of JSON. */
  get(
    path: string,
    accept?: string,
  ): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }>;
  remove(): Promise<void>;
}

export async function startFrontWorld(): Promise<FrontWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-front-'));
  const proxyCA = createAuthority('proxy-ca');
  const servingCA = createAuthority('serving-ca');
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const proxy = proxyCA.issue({ commonName: 'front-proxy-client' });
  const world = await deploy({
    roles: false,
    apiServerFlags: [
      `--requestheader-client-ca-file=${write('proxy-ca.crt', proxyCA.cert)}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${write('proxy.crt', proxy.cert)}`,
      `--proxy-client-key-file=${write('proxy.key', proxy.key)}`,
    ],
  });
  try {
    const [sts] = await Promise.all([world.startSTS(), world.startController()]);
    await applyQuickstart(world, heldQuickstart());
    const frontPort = await freePort();
    const names = { commonName: 'caracal-front', dnsNames: ['caracal-front.caracal-system.svc', 'localhost'] };
    const serving = servingCA.issue(names);
    const files = { cert: write('front.crt', serving.cert), key: write('front.key', serving.key) };
    const direct: FrontWorld['direct'] = (path, { peer, headers = {} } = {}) =>
      getDirectly(frontPort, path, { ...peer, ca: servingCA.cert, headers });
    await startFront(world, files, frontPort, direct);
    await registerAPI(world, frontPort, servingCA.cert);
    return {
      ...world,
      stranger: proxyCA.issue({ commonName: 'somebody' }),
      sts,
      frontPort,
      direct,
      get: (path, accept = 'application/json') => getThrough(world, path, accept),
      async remove() {
        await world.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await world.close();
    throw error;
  }
}

function heldQuickstart(): readonly string[] {
  const documents = quickstart().map((document) =>
    document.includes('kind: PolicySet\n')
      ? document.replace(/^( *)policies:\n/m, '$1policies:\n$1  - name: held\n')
      : document,
  );
  return [...documents, HELD];
}

async function startFront(
  world: Deployment,
  files: { readonly cert: string; readonly key: string },
  port: number,
  direct: FrontWorld['direct'],
): Promise<void> {
  const { cluster, issuer, kubectl } = world;
  const pod = readFileSync(join(ROOT, 'scripts/demo/controllerPod.yaml'), 'utf8').replaceAll(
    'caracal-controller',
    'caracal-front',
  );
  await kubectl(['apply', '-f', '-'], pod);
  const forSTS = join(cluster.directory, 'front-token');
  const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-front', issuer, { name: 'caracal-front' });
  writeFileSync(forSTS, token, { mode: 0o600 });
  const own = await cluster.serviceAccountToken(SYSTEM, 'caracal-front', 'https://kubernetes.default.svc');
  const flags = ['front', '--kubeconfig', cluster.kubeconfigFor(own), '--listen', `127.0.0.1:${port}`];
  const rest = ['--tls-cert', files.cert, '--tls-key', files.key, '--sts', issuer, '--sts-token-file', forSTS];
  await world.startRole([...flags, ...rest], async () => (await direct('/ready').catch(() => 0)) === 200);
}

/** The manifest of install/, behind a Service that is a name of this machine: no pods run here. */
async function registerAPI({ kubectl }: Deployment, port: number, ca: string): Promise<void> {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'caracal-front', namespace: SYSTEM },
    spec: { type: 'ExternalName', externalName: 'localhost', ports: [{ name: 'https', port }] },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(service));
  const api = readFileSync(join(ROOT, 'install/front/apiservice.yaml'), 'utf8')
    .replace('port: 443', `port: ${port}`)
    .replace('caBundle: ""', `caBundle: ${Buffer.from(ca).toString('base64')}`);
  await kubectl(['apply', '-f', '-'], api);
  await kubectl(['apply', '-f', join(ROOT, 'install/front/operators.yaml')]);
  await kubectl(['wait', '--for=condition=Available', 'apiservice/v1alpha1.runtime.caracal.run', '--timeout=60s']);
  // The API server aggregates discovery by and by.
  await until(
    async () => (await kubectl(['api-resources', '--api-group=runtime.caracal.run'])).includes('agentsessions'),
    () => 'discovery of the group does not come',
    60_000,
    500,
  );
}

interface Direct {
  readonly cert?: string;
  readonly key?: string;
  readonly ca: string;
  readonly headers: Readonly<Record<string, string>>;
}

function getDirectly(port: number, path: string, { headers, ...tls }: Direct): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(`https://localhost:${port}${path}`, { ...tls, headers, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end();
  });
}

function getThrough({ cluster }: Deployment, path: string, accept: string): ReturnType<FrontWorld['get']> {
  const headers = { authorization: `Bearer ${cluster.token}`, accept };
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(`${cluster.url}${path}`, { ca: cluster.ca, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** `kubectl ARGS` that goes on: what it has written so far, until the test ends. */
export function follow({ cluster }: Deployment, args: readonly string[]): () => string {
  const binaries = process.env['KUBEBUILDER_ASSETS'] ?? join(homedir(), '.cache/caracal/kube/1.37.2');
  const flags = [`--kubeconfig=${cluster.kubeconfig}`, `--cache-dir=${join(cluster.directory, 'kubectl-cache')}`];
  const child = spawn(join(binaries, 'kubectl'), [...flags, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => void (text += chunk));
  onTestFinished(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  return () => text;
}
