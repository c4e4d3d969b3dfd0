/** The story on a real kube-apiserver: kubectl, real ServiceAccount tokens, and the roles as processes with their own rights. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, type Cluster } from '../../test/support/cluster.ts';
import { isOK } from './embedded.ts';
import type { Environment, EnvironmentOptions } from './environment.ts';
import { startGateway, until, type RunningProcess } from './processes.ts';
import { installRoles, startController, startSTS } from './roles.ts';
import { withIdentityProvider } from './zone.ts';
import { freePort } from '../../test/support/ports.ts';

const ROOT = join(import.meta.dirname, '../..');

export async function startKubernetes(options: EnvironmentOptions): Promise<Environment> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-demo-'));
  options.say('starting etcd and kube-apiserver');
  const cluster = await startCluster();
  const running: RunningProcess[] = [];
  const close = async () => {
    await Promise.all(running.map((process) => process.stop()));
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await play(cluster, folder, running, options)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function play(
  cluster: Cluster,
  folder: string,
  running: RunningProcess[],
  { identityProviderKey, service, say }: EnvironmentOptions,
): Promise<Omit<Environment, 'close'>> {
  say('kubectl apply -f crds -f crds/admission -f install/rbac.yaml');
  await installRoles(cluster);
  await cluster.kubectl(['apply', '-f', join(ROOT, 'examples/quickstart-kubernetes')]);

  const issuer = `http://127.0.0.1:${await freePort()}`;
  running.push(await startSTS(cluster, folder, issuer), await startController(cluster, folder, issuer));
  const manifests = join(folder, 'manifests');
  await cp(join(ROOT, 'examples/quickstart'), manifests, { recursive: true });
  await withIdentityProvider(join(manifests, 'zone.yaml'), identityProviderKey);
  say('kubectl apply -f examples/quickstart');
  await cluster.kubectl(['apply', '-f', manifests]);
  const kinds =
    'zones.caracal.run,applications.caracal.run,resources.caracal.run,grants.caracal.run,policies.caracal.run,policysets.caracal.run';
  await cluster.kubectl(['wait', '--for=condition=Ready', kinds, '--all', '-n', 'quickstart', '--timeout=60s']);

  const zoneID = 'quickstart.shop';
  const tokenFile = join(folder, 'gateway-token');
  await writeFile(tokenFile, await podToken(cluster, 'orders', 'orders-gateway', `${issuer}/zones/${zoneID}/gateways`));
  const [port, admin] = [await freePort(), await freePort()];
  const gateway = startGateway([
    ...['--token-file', tokenFile, '--admin', `127.0.0.1:${admin}`],
    ...['--protect', `quickstart/orders=127.0.0.1:${port}:${service.host}`],
  ]);
  running.push(gateway);
  const readiness = until('the gateway’s readiness', () => isOK(`http://127.0.0.1:${admin}/ready`));
  await Promise.race([readiness, gateway.line(() => false)]);

  return {
    issuer,
    zoneID,
    gateway: `http://127.0.0.1:${port}`,
    agentToken: (audience) => podToken(cluster, 'assistant', 'assistant', audience),
    deleteGrantCommand: 'kubectl delete grants.caracal.run assistant-orders -n quickstart',
    deleteGrant: async () => {
      await cluster.kubectl(['delete', 'grants.caracal.run', 'assistant-orders', '-n', 'quickstart', '--wait=false']);
    },
    show: async () => [
      {
        command: 'kubectl get caracal -n quickstart',
        output: await cluster.kubectl(['get', 'caracal', '-n', 'quickstart']),
      },
    ],
  };
}

/** What the kubelet would project into the pod: a token bound to it, for one audience. */
function podToken(cluster: Cluster, pod: string, serviceAccount: string, audience: string): Promise<string> {
  const bound = ['--bound-object-kind', 'Pod', '--bound-object-name', pod];
  return cluster
    .kubectl(['create', 'token', serviceAccount, '-n', 'quickstart', '--audience', audience, ...bound])
    .then((token) => token.trim());
}
