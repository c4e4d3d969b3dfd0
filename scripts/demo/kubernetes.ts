/** The story on a real kube-apiserver: kubectl, real ServiceAccount tokens, and the roles as processes with their own rights. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster, type Cluster } from '../../test/support/cluster.ts';
import { protect } from './embedded.ts';
import type { Environment, EnvironmentOptions } from './environment.ts';
import type { RunningProcess } from './processes.ts';
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
  { identityProviderKey, service, payments, say }: EnvironmentOptions,
): Promise<Omit<Environment, 'close'>> {
  say('kubectl apply -f crds -f crds/admission -f install/rbac.yaml');
  await installRoles(cluster);
  for (const workloads of ['quickstart-kubernetes', 'agents-kubernetes'])
    await cluster.kubectl(['apply', '-f', join(ROOT, 'examples', workloads)]);

  const issuer = `http://127.0.0.1:${await freePort()}`;
  running.push(await startSTS(cluster, folder, issuer), await startController(cluster, folder, issuer));
  for (const example of ['quickstart', 'agents']) {
    const manifests = join(folder, example);
    await cp(join(ROOT, 'examples', example), manifests, { recursive: true });
    await withIdentityProvider(join(manifests, 'zone.yaml'), identityProviderKey);
    say(`kubectl apply -f examples/${example}`);
    await cluster.kubectl(['apply', '-f', manifests]);
  }
  const kinds =
    'zones.caracal.run,applications.caracal.run,resources.caracal.run,grants.caracal.run,policies.caracal.run,policysets.caracal.run';
  for (const namespace of ['quickstart', 'accounts'])
    await cluster.kubectl(['wait', '--for=condition=Ready', kinds, '--all', '-n', namespace, '--timeout=60s']);

  const zoneID = 'quickstart.shop';
  const audience = (zone: string) => `${issuer}/zones/${zone}/gateways`;
  const orders = await protect({
    tokenFile: join(folder, 'orders-gateway-token'),
    token: await podToken(cluster, 'quickstart/orders', 'orders-gateway', audience(zoneID)),
    resource: 'quickstart/orders',
    service,
  });
  running.push(orders.process);
  const office = await protect({
    tokenFile: join(folder, 'payments-gateway-token'),
    token: await podToken(cluster, 'accounts/payments-gateway', 'payments-gateway', audience('accounts.office')),
    resource: 'accounts/payments',
    service: payments,
  });
  running.push(office.process);

  return {
    issuer,
    zoneID,
    gateway: orders.url,
    agentToken: (whose) => podToken(cluster, 'quickstart/assistant', 'assistant', whose),
    office: {
      zoneID: 'accounts.office',
      gateway: office.url,
      token: (account, whose) => podToken(cluster, `accounts/${account}`, account, whose),
    },
    data: join(folder, 'sts'),
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
  const [namespace = '', name = ''] = pod.split('/');
  const bound = ['--bound-object-kind', 'Pod', '--bound-object-name', name];
  return cluster
    .kubectl(['create', 'token', serviceAccount, '-n', namespace, '--audience', audience, ...bound])
    .then((token) => token.trim());
}
