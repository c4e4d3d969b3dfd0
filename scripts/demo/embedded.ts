/** The story without a cluster: `caracal up` over copies of two folders of manifests. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { Environment, EnvironmentOptions } from './environment.ts';
import { caracal, startCaracal, startGateway, until } from './processes.ts';
import { withIdentityProvider } from './zone.ts';
import { freePort } from '../../test/support/ports.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

export async function startEmbedded(options: EnvironmentOptions): Promise<Environment> {
  const { identityProviderKey, service, payments, say } = options;
  const folder = await mkdtemp(join(tmpdir(), 'caracal-demo-'));
  const [manifests, agents] = [join(folder, 'quickstart'), join(folder, 'agents')];
  const data = join(folder, 'data');
  await cp(join(EXAMPLES, 'quickstart'), manifests, { recursive: true });
  await cp(join(EXAMPLES, 'agents'), agents, { recursive: true });
  for (const zone of [manifests, agents]) await withIdentityProvider(join(zone, 'zone.yaml'), identityProviderKey);

  say('starting caracal up over examples/quickstart and examples/agents');
  const up = startCaracal([
    'up',
    '--manifests',
    manifests,
    agents,
    '--data',
    data,
    '--port',
    `${await freePort()}`,
    '--output',
    'json',
  ]);
  const ready = JSON.parse(await up.line((line) => line.includes('"event":"ready"'))) as {
    issuer: string;
    zones: string[];
  };
  const zoneID = 'quickstart.shop';
  const token = (account: string, audience: string) =>
    caracal(['serviceaccount-token', account, '--audience', audience, '--data', data]);
  const audience = (zone: string) => `${ready.issuer}/zones/${zone}/gateways`;
  const orders = await protect({
    tokenFile: join(folder, 'orders-gateway-token'),
    token: await token('quickstart/orders-gateway', audience(zoneID)),
    resource: 'quickstart/orders',
    service,
  });
  const office = await protect({
    tokenFile: join(folder, 'payments-gateway-token'),
    token: await token('accounts/payments-gateway', audience('accounts.office')),
    resource: 'accounts/payments',
    service: payments,
  });

  return {
    issuer: ready.issuer,
    zoneID,
    gateway: orders.url,
    agentToken: (whose) => token('quickstart/assistant', whose),
    deleteGrantCommand: 'edit grants.yaml: remove Grant assistant-orders',
    deleteGrant: () => removeObject(join(manifests, 'grants.yaml'), 'assistant-orders'),
    office: {
      zoneID: 'accounts.office',
      gateway: office.url,
      token: (account, whose) => token(`accounts/${account}`, whose),
    },
    data,
    operator: (args) => caracal([...args, '--data', data]),
    show: async () => [{ command: 'caracal check examples/quickstart', output: await caracal(['check', manifests]) }],
    close: async () => {
      await Promise.all([orders.process.stop(), office.process.stop(), up.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Protected {
  readonly tokenFile: string;
  readonly token: string;
  /** `<namespace>/<name>`. */
  readonly resource: string;
  readonly service: URL;
}

/** Starts a gateway in front of a service, and waits until it is fresh. */
export async function protect({ tokenFile, token, resource, service }: Protected) {
  await writeFile(tokenFile, token, { mode: 0o600 });
  const [port, admin] = [await freePort(), await freePort()];
  const gateway = startGateway([
    ...['--token-file', tokenFile, '--admin', `127.0.0.1:${admin}`],
    ...['--protect', `${resource}=127.0.0.1:${port}:${service.host}`],
  ]);
  const readiness = until('the gateway’s readiness', () => isOK(`http://127.0.0.1:${admin}/ready`));
  await Promise.race([readiness, gateway.line(() => false)]);
  return { url: `http://127.0.0.1:${port}`, process: gateway };
}

export async function isOK(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function removeObject(file: string, name: string): Promise<void> {
  const documents = parseAllDocuments(await readFile(file, 'utf8'), { version: '1.1' });
  const kept = documents.filter((document) => document.getIn(['metadata', 'name']) !== name);
  await writeFile(file, kept.map((document) => stringify(document, { version: '1.1' })).join('---\n'));
}
