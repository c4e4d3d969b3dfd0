/** The Kubernetes I/O on a real API server: watches that break in every way, the Lease, and writes that must not win. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KubeError, type KubeClient } from '../../src/kube/client.ts';
import { createLease, leaseIdentity, NotLeader, type Leadership } from '../../src/kube/lease.ts';
import { createKubePublisher } from '../../src/kube/publisher.ts';
import { createReflector, type Reflector } from '../../src/kube/reflector.ts';
import { toKeySecret, type KeySecret } from '../../src/kube/keySecret.ts';
import { secretsPath } from '../../src/kube/paths.ts';
import { parseRecord } from '../../src/kube/watchEvent.ts';
import { generateZoneKey } from '../../src/tokens/generate.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { bytes, clientOf, clock } from '../support/kubeClients.ts';
import { until } from '../support/processes.ts';
import { startTCPProxy, type TCPProxy } from '../support/tcpProxy.ts';

const NAMESPACE = 'reflected';
const CONFIG_MAPS = `/api/v1/namespaces/${NAMESPACE}/configmaps`;

let cluster: Cluster;
let admin: KubeClient;
let proxy: TCPProxy;

beforeAll(async () => {
  cluster = await startCluster();
  admin = clientOf(cluster);
  proxy = await startTCPProxy(Number(new URL(cluster.url).port));
  for (const namespace of [NAMESPACE, 'caracal-system']) await cluster.kubectl(['create', 'namespace', namespace]);
});

afterAll(async () => {
  await proxy?.close();
  await admin?.close();
  await cluster?.stop();
});

const create = (name: string) =>
  admin.request({
    method: 'POST',
    path: CONFIG_MAPS,
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { watched: 'yes' } } },
  });
const remove = (name: string) => admin.request({ method: 'DELETE', path: `${CONFIG_MAPS}/${name}` });

interface Watching {
  readonly reflector: Reflector<string>;
  names(): string[];
  retries: string[];
}

async function watching(settings: { idleMs?: number; pageSize?: number }, test: (watch: Watching) => Promise<void>) {
  const client = clientOf(cluster, { port: proxy.port, timeout: 3000 });
  const retries: string[] = [];
  const reflector = createReflector<string>(
    { ...settings, path: CONFIG_MAPS, labelSelector: 'watched=yes', toItem: (record) => record.metadata.name },
    { client, clock, random: () => 0, onRetry: (_, error) => retries.push((error as Error).message) },
  );
  try {
    await reflector.start();
    await test({ reflector, names: () => [...reflector.items()].sort(), retries });
  } finally {
    proxy.open();
    await reflector.close();
    await client.close();
  }
}

const shows = (watch: Watching, ...names: string[]) =>
  until(
    () => names.every((name) => watch.names().includes(name)),
    () => `${names.join(', ')} not in ${watch.names().join(', ')}; retries: ${watch.retries.join('; ')}`,
  );

describe('a reflector', () => {
  it('lists in pages, follows additions, edits and deletions, and its version never goes back', () =>
    watching({ pageSize: 2 }, async (watch) => {
      for (const name of ['a1', 'a2', 'a3']) await create(name);
      await shows(watch, 'a1', 'a2', 'a3');
      const before = watch.reflector.version()!;
      await remove('a2');
      await until(
        () => !watch.names().includes('a2'),
        () => 'a2 stays',
      );
      expect(BigInt(watch.reflector.version()!)).toBeGreaterThan(BigInt(before));
      expect(watch.reflector.state()).toMatchObject({ synced: true, connected: true, lists: 1, missed: 0 });
    }));

  it('goes on where it was when its connection is dropped, without a new list', () =>
    watching({}, async (watch) => {
      await until(
        () => watch.reflector.state().connected,
        () => 'not connected',
      );
      proxy.drop();
      await create('dropped');
      await shows(watch, 'dropped');
      expect(watch.reflector.state().lists).toBe(1);
    }));

  it('notices a watch that stays open but silent, and goes on by a new one', () =>
    watching({ idleMs: 1000 }, async (watch) => {
      await until(
        () => watch.reflector.state().connected,
        () => 'not connected',
      );
      proxy.stall();
      await create('stalled');
      expect(watch.names()).not.toContain('stalled');
      await shows(watch, 'stalled');
      expect(watch.reflector.state().lists).toBe(1);
    }));

  it('lists again when its version has expired (410), and loses no deletion', () =>
    watching({}, async (watch) => {
      await create('short-lived');
      await shows(watch, 'short-lived');
      proxy.cut();
      await remove('short-lived');
      await create('after-the-gap');
      await compact(cluster);
      // A restarted API server has no memory of old versions but etcd's.
      await cluster.stopAPIServer();
      await cluster.startAPIServer();
      proxy.open();
      await shows(watch, 'after-the-gap');
      expect(watch.names()).not.toContain('short-lived');
      expect(watch.reflector.state().lists).toBe(2);
      expect(watch.retries.some((message) => /410|too old|expired/i.test(message))).toBe(true);
    }));

  it('tells how long it has heard nothing while the API server is gone, and keeps its last state', () =>
    watching({}, async (watch) => {
      const names = watch.names();
      proxy.cut();
      const { lastEventAge } = watch.reflector.state();
      await until(
        () => watch.reflector.state().lastEventAge > lastEventAge + 200 && !watch.reflector.state().connected,
        () => 'the age does not rise',
      );
      expect(watch.names()).toEqual(names);
    }));
});

/** Lets etcd forget every version before the present one. */
async function compact({ etcdURL }: Cluster): Promise<void> {
  const post = async (path: string, body: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(`${etcdURL}${path}`, { method: 'POST', body: JSON.stringify(body) });
    return (await response.json()) as Record<string, unknown>;
  };
  const range = await post('/v3/kv/range', { key: Buffer.from('none').toString('base64') });
  const { revision } = range['header'] as { revision: string };
  await post('/v3/kv/compaction', { revision, physical: true });
}

const LEASE_TIMING = { namespace: NAMESPACE, durationMs: 1500, validMs: 1000, retryMs: 100 };

function candidate(name: string, client: KubeClient): { lease: Leadership; terms: boolean[] } {
  const identity = leaseIdentity(name, bytes);
  const lease = createLease({ ...LEASE_TIMING, name: 'elected', identity }, { client, clock });
  const terms: boolean[] = [];
  lease.onChange((leader) => terms.push(leader));
  return { lease, terms };
}

describe('the Lease', () => {
  it('has one holder at a time: who is cut off stops acting before another takes over', async () => {
    const client = clientOf(cluster, { port: proxy.port, timeout: 500 });
    const [first, second] = [candidate('first', client), candidate('second', admin)];
    first.lease.start();
    await until(
      () => first.lease.isLeader(),
      () => 'first does not lead',
    );
    second.lease.start();
    proxy.cut();
    let both = 0;
    await until(
      () => {
        if (first.lease.isLeader() && second.lease.isLeader()) both += 1;
        return second.lease.isLeader();
      },
      () => 'second does not take over',
      10_000,
      5,
    );
    expect(both).toBe(0);
    expect(() => first.lease.assertLeader()).toThrow(NotLeader);
    proxy.open();
    await until(
      () => first.terms.length === 2,
      () => 'first does not notice',
    );
    expect(first.lease.isLeader()).toBe(false);
    await Promise.all([first.lease.close(), second.lease.close()]);
    await client.close();
  });

  it('passes on at once when its holder closes', async () => {
    const [first, second] = [candidate('third', admin), candidate('fourth', admin)];
    first.lease.start();
    await until(
      () => first.lease.isLeader(),
      () => 'third does not lead',
    );
    second.lease.start();
    await first.lease.close();
    await until(
      () => second.lease.isLeader(),
      () => 'fourth does not lead',
      5000,
      5,
    );
    expect(first.terms).toEqual([true, false]);
    await second.lease.close();
  });
});

describe('the publisher', () => {
  const zone = { uid: '00000000-0000-4000-8000-000000000001', id: 'shop.zone' };
  const secretPath = `${secretsPath('caracal-system')}/caracal-keys-${zone.uid}`;
  const read = async (): Promise<KeySecret> =>
    toKeySecret(parseRecord(await admin.request({ method: 'GET', path: secretPath })));
  const publisher = (known: KeySecret | undefined, assertLeader: () => void = () => undefined) =>
    createKubePublisher(
      { namespace: 'caracal-system', identity: 'test' },
      { client: admin, clock, assertLeader, keySecret: () => known },
    );
  const status = (error: unknown) => (error instanceof KubeError ? error.status : error);

  it('makes a key Secret once, and replaces only the version it has seen', async () => {
    const keys = [generateZoneKey(1000, 1000), generateZoneKey(1000)];
    await publisher(undefined).writeKeySet(zone, keys);
    await expect(publisher(undefined).writeKeySet(zone, keys).catch(status)).resolves.toBe(409);
    const seen = await read();
    expect(seen.keys).toEqual({ ok: true, keys });
    const rotated = [...keys, generateZoneKey(2000)];
    await publisher(seen).writeKeySet(zone, rotated);
    await expect(publisher(seen).writeKeySet(zone, keys).catch(status)).resolves.toBe(409);
    expect((await read()).keys).toEqual({ ok: true, keys: rotated });
  });

  it('deletes a key Secret only in the version it has seen', async () => {
    const seen = await read();
    const older = { ...seen, resourceVersion: '1' };
    await expect(publisher(older).writeKeySet(zone, []).catch(status)).resolves.toBe(409);
    await publisher(seen).writeKeySet(zone, []);
    await expect(read().catch(status)).resolves.toBe(404);
  });

  it('sends nothing when it does not lead', async () => {
    const standby = publisher(undefined, () => {
      throw new NotLeader('stands by');
    });
    await expect(standby.writeKeySet(zone, [generateZoneKey(1000, 1000)])).rejects.toThrow(NotLeader);
    await expect(read().catch(status)).resolves.toBe(404);
  });
});

// A client must end with its requests: an agent that lingers would keep the process alive.
it('a client that is closed ends its watches', async () => {
  const client = clientOf(cluster);
  const stream = await client.watch({ path: CONFIG_MAPS, query: { watch: 'true' } });
  const ended = (async () => {
    for await (const _ of stream.body) await delay(0);
  })().catch(() => 'ended');
  await client.close();
  await expect(ended).resolves.toBe('ended');
});
