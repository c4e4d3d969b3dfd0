/** How to reach and authenticate to a Kubernetes API server: from inside a pod, or by a kubeconfig. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KubeConnection {
  /** Base URL, `https:`, no trailing slash. */
  readonly server: string;
  readonly tls: {
    readonly ca?: string | Buffer;
    readonly cert?: string | Buffer;
    readonly key?: string | Buffer;
    readonly servername?: string;
  };
  /** The `Authorization` header to send now; undefined with a client certificate. */
  authorization(): Promise<string | undefined>;
}

const POD_CREDENTIALS = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_AGE_MS = 10_000;

/**
 * From a pod's mounted ServiceAccount. The kubelet replaces the token file, so it is read again every 10 s.
 * `host` and `port` are KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.
 */
export function connectInCluster(
  settings: { readonly host: string; readonly port: string; readonly directory?: string },
  clock: { monotonic(): number },
): KubeConnection {
  const directory = settings.directory ?? POD_CREDENTIALS;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return {
    server: `https://${host}:${settings.port}`,
    tls: { ca: readFileSync(join(directory, 'ca.crt')) },
    authorization: createTokenFile(join(directory, 'token'), clock),
  };
}

/** A bearer header from a file that something else keeps fresh. Rejects when the file is missing or empty. */
export function createTokenFile(path: string, clock: { monotonic(): number }): () => Promise<string> {
  let header = '';
  let readAt = -Infinity;
  return async () => {
    if (clock.monotonic() - readAt < TOKEN_AGE_MS) return header;
    const token = readFileSync(path, 'utf8').trim();
    if (token === '') throw new Error(`the token file ${path} is empty`);
    header = `Bearer ${token}`;
    readAt = clock.monotonic();
    return header;
  };
}

/**
 * From a kubeconfig: `path`, or the default places (KUBECONFIG, ~/.kube/config). Exec and OIDC plugins work.
 * Rejects when there is no current context or the context does not verify the server.
 */
export async function connectKubeconfig(
  path: string | undefined,
  clock: { monotonic(): number },
): Promise<KubeConnection> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`the kubeconfig ${path ?? ''} has no current context with a cluster`);
  if (cluster.skipTLSVerify)
    throw new Error(
      `the kubeconfig's cluster ${cluster.name} sets insecure-skip-tls-verify: set certificate-authority instead`,
    );
  if (!cluster.server.startsWith('https://'))
    throw new Error(`the kubeconfig's cluster ${cluster.name} is not https: ${cluster.server}`);
  const first = await gather(config);
  return {
    server: cluster.server.replace(/\/+$/, ''),
    tls: {
      ...(first.ca === undefined ? {} : { ca: first.ca }),
      ...(first.cert === undefined ? {} : { cert: first.cert }),
      ...(first.key === undefined ? {} : { key: first.key }),
      ...(first.servername === undefined ? {} : { servername: first.servername }),
    },
    authorization: remembered(async () => (await gather(config)).headers?.Authorization, clock),
  };
}

interface HTTPSOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  headers?: { Authorization?: string };
}

async function gather(config: { applyToHTTPSOptions(options: object): Promise<void> }): Promise<HTTPSOptions> {
  const options: HTTPSOptions = { headers: {} };
  await config.applyToHTTPSOptions(options);
  return options;
}

function remembered<T>(read: () => Promise<T>, clock: { monotonic(): number }): () => Promise<T> {
  let value: Promise<T> | undefined;
  let readAt = -Infinity;
  return () => {
    if (value !== undefined && clock.monotonic() - readAt < TOKEN_AGE_MS) return value;
    const reading = read();
    value = reading;
    readAt = clock.monotonic();
    reading.catch(() => (value = undefined));
    return reading;
  };
}
