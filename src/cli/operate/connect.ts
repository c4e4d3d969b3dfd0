/** Where a command finds the runtime API: at `caracal up` on this machine, or at a cluster by a kubeconfig. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createKubeClient, KubeError, type KubeRequest } from '../../kube/client.ts';
import { connectKubeconfig, type KubeConnection } from '../../kube/connection.ts';
import { readLocalServer, TOKEN_FILE } from '../../up/localAccess.ts';
import { CommandError, type Runtime } from '../runtime.ts';

export interface ConnectOptions {
  readonly data?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly kubeconfig?: string;
}

export interface RuntimeClient {
  /** Rejects with CommandError, in words for people. */
  request(request: KubeRequest): Promise<Readonly<Record<string, unknown>>>;
  /** Whether objects of the kinds can be asked for too. */
  readonly isCluster: boolean;
  close(): Promise<void>;
}

const DEFAULT_DATA = '.caracal';

/** Runs one command with a client, and closes it whatever became of the command. */
export async function withClient<T>(
  options: ConnectOptions,
  runtime: Runtime,
  run: (client: RuntimeClient) => Promise<T>,
): Promise<T> {
  const client = await connect(options, runtime);
  try {
    return await run(client);
  } finally {
    await client.close();
  }
}

async function connect(options: ConnectOptions, runtime: Runtime): Promise<RuntimeClient> {
  const { server, tokenFile, kubeconfig, data } = options;
  if (kubeconfig !== undefined && (server ?? data ?? tokenFile) !== undefined)
    throw new CommandError('--kubeconfig is for a cluster: leave --data, --server and --token-file out', 2);
  const local = kubeconfig === undefined ? await findLocal(options, runtime) : undefined;
  const where = local?.server ?? 'the cluster';
  const client = createKubeClient(local ?? (await connectCluster(kubeconfig, runtime)));
  return {
    isCluster: local === undefined,
    async request(request) {
      try {
        return (await client.request(request)) as Readonly<Record<string, unknown>>;
      } catch (error) {
        throw toCommandError(error, where);
      }
    },
    close: () => client.close(),
  };
}

async function connectCluster(kubeconfig: string | undefined, { cwd, clock }: Runtime): Promise<KubeConnection> {
  try {
    return await connectKubeconfig(kubeconfig === undefined ? undefined : resolve(cwd, kubeconfig), clock);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      `no \`caracal up\` in ${DEFAULT_DATA} and no cluster: ${why}; name one with --data or --kubeconfig`,
      2,
      {
        cause: error,
      },
    );
  }
}

/** Undefined where a cluster is meant: as a plugin of kubectl, or where no data folder is here. */
async function findLocal(options: ConnectOptions, runtime: Runtime): Promise<KubeConnection | undefined> {
  const { env, cwd } = runtime;
  const isNamed = (options.data ?? options.server ?? options.tokenFile) !== undefined;
  if (!isNamed && env['CARACAL_KUBECTL_PLUGIN'] === '1') return undefined;
  const data = resolve(cwd, options.data ?? DEFAULT_DATA);
  const server = options.server ?? (await findServer(data));
  if (server === undefined) {
    if (!isNamed) return undefined;
    throw new CommandError(
      `${data} is of no \`caracal up\`: start one with --data ${data}, or name it with --server`,
      2,
    );
  }
  checkServer(server);
  const path = options.tokenFile === undefined ? join(data, TOKEN_FILE) : resolve(cwd, options.tokenFile);
  const token = await readToken(path);
  return { server: server.replace(/\/+$/, ''), tls: {}, authorization: () => Promise.resolve(`Bearer ${token}`) };
}

/** One that is there and cannot be read is told: the command must not go to a cluster instead. */
async function findServer(data: string): Promise<string | undefined> {
  try {
    return await readLocalServer(data);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      `${data} cannot be read (${why}): use the user that runs \`caracal up\`, or name --server`,
      2,
    );
  }
}

/** A bearer token in the clear goes to this machine only. */
function checkServer(server: string): void {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  const isHere = url !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isHere)) return;
  throw new CommandError(`--server "${server}" must be an https URL, or http on this machine`, 2);
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new CommandError(`the token ${path} cannot be read: name its file with --token-file`, 2, { cause: error });
  }
}

function toCommandError(error: unknown, where: string): CommandError {
  if (error instanceof KubeError) {
    const message = error.message.replace(/^[A-Z]+ \S+: \d+ /, '');
    return new CommandError(`${message}${hintOf(error)}`, 1, { cause: error });
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return new CommandError(
    `${where} does not answer (${code}): is it running? Name it with --data, --server or --kubeconfig`,
    1,
    {
      cause: error,
    },
  );
}

function hintOf({ status }: KubeError): string {
  if (status === 401) return ' (the token is another one’s: --token-file, or --data of the running `caracal up`)';
  return '';
}

/** Whether the API answered that there is no such thing. */
export function isNotFound(error: unknown): boolean {
  return error instanceof CommandError && error.cause instanceof KubeError && error.cause.status === 404;
}

export function isRefused(error: unknown): boolean {
  return error instanceof CommandError && error.cause instanceof KubeError && [403, 404].includes(error.cause.status);
}
