/** The story without a cluster: `caracal up` over a copy of the quickstart's manifests. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { Environment, EnvironmentOptions } from './environment.ts';
import { caracal, startCaracal, startGateway, until } from './processes.ts';
import { withIdentityProvider } from './zone.ts';
import { freePort } from '../../test/support/ports.ts';

const QUICKSTART = join(import.meta.dirname, '../../examples/quickstart');

export async function startEmbedded({ identityProviderKey, service, say }: EnvironmentOptions): Promise<Environment> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-demo-'));
  const manifests = join(folder, 'manifests');
  const data = join(folder, 'data');
  await cp(QUICKSTART, manifests, { recursive: true });
  await withIdentityProvider(join(manifests, 'zone.yaml'), identityProviderKey);

  say('starting caracal up over examples/quickstart');
  const up = startCaracal([
    'up',
    '--manifests',
    manifests,
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
    caracal(['serviceaccount-token', `quickstart/${account}`, '--audience', audience, '--data', data]);

  const tokenFile = join(folder, 'gateway-token');
  await writeFile(tokenFile, await token('orders-gateway', `${ready.issuer}/zones/${zoneID}/gateways`), {
    mode: 0o600,
  });
  const [port, admin] = [await freePort(), await freePort()];
  const gateway = startGateway([
    ...['--token-file', tokenFile, '--admin', `127.0.0.1:${admin}`],
    ...['--protect', `quickstart/orders=127.0.0.1:${port}:${service.host}`],
  ]);
  const readiness = until('the gateway’s readiness', () => isOK(`http://127.0.0.1:${admin}/ready`));
  await Promise.race([readiness, gateway.line(() => false)]);

  return {
    issuer: ready.issuer,
    zoneID,
    gateway: `http://127.0.0.1:${port}`,
    agentToken: (audience) => token('assistant', audience),
    deleteGrantCommand: 'edit grants.yaml: remove Grant assistant-orders',
    deleteGrant: () => removeObject(join(manifests, 'grants.yaml'), 'assistant-orders'),
    show: async () => [{ command: 'caracal check examples/quickstart', output: await caracal(['check', manifests]) }],
    close: async () => {
      await Promise.all([gateway.stop(), up.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
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
