/** The CRDs and admission policies on a real API server, and the offline validator beside them. */
import * as fc from 'fast-check';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { KINDS } from '../../src/api/kinds.ts';
import { API_VERSION } from '../../src/api/meta.ts';
import { validateObject } from '../../src/api/validate.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { CONTROLLER, create, remove, replace, type Manifest, type SendOptions } from './apiServer.ts';
import { mutate, mutation } from './mutation.ts';
import { SAMPLES } from './samples.ts';

const root = join(import.meta.dirname, '../../examples');

const examples = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.yaml'))
  .sort()
  .flatMap((path) =>
    parseAllDocuments(readFileSync(join(root, path), 'utf8')).map((document) => document.toJS() as Manifest),
  )
  .filter(({ apiVersion }) => apiVersion === API_VERSION)
  .map(({ apiVersion, kind, metadata: { name }, spec }) => ({ apiVersion, kind, metadata: { name }, spec }));

const writerOf = ({ kind }: Manifest): SendOptions => (kind === 'PolicySetRevision' ? { as: CONTROLLER } : {});
const titled = (objects: readonly Manifest[]) =>
  objects.map((object, index) => ({ title: `${index} ${object.kind} ${object.metadata.name}`, object }));

/** What each side says, comparable: the stored spec, or that it is refused. */
async function judge(cluster: Cluster, object: Manifest) {
  const server = await create(cluster, object, writerOf(object));
  const offline = validateObject(object);
  return {
    server: server.ok ? server.object['spec'] : 'refused',
    offline: offline.ok ? JSON.parse(JSON.stringify(offline.object.spec)) : 'refused',
    why: `server: ${server.message}\noffline: ${offline.ok ? '' : JSON.stringify(offline.refused)}`,
  };
}

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await cluster.installCRDs();
  await cluster.kubectl(['create', 'namespace', 'caracal-system']);
}, 120_000);
afterAll(() => cluster?.stop());

describe('what is valid', () => {
  it.each(titled([...examples, ...SAMPLES]))('$title is taken by both, with the same defaults', async ({ object }) => {
    const { server, offline, why } = await judge(cluster, object);
    expect(server, why).not.toBe('refused');
    expect(offline).toEqual(server);
  });

  it('comes back unchanged when it is applied again: defaults leave no difference', async () => {
    const zone = SAMPLES[0]!;
    const stored = await create(cluster, { ...zone, metadata: { name: 'again' } }, { dryRun: false });
    const replaced = await replace(cluster, { ...zone, metadata: { name: 'again' } }, { dryRun: false });
    expect(replaced.object['spec']).toEqual(stored.object['spec']);
    expect(replaced.object['metadata']).toMatchObject({ generation: 1 });
  });

  it('takes no list for an instant, which the schema alone would let pass', async () => {
    const grant = SAMPLES.find(({ kind }) => kind === 'Grant')!;
    const listed = { ...grant, spec: { ...(grant.spec as object), expiresAt: ['2099-01-01T00:00:00Z'] } };
    expect(await judge(cluster, listed)).toMatchObject({ server: 'refused', offline: 'refused' });
  });

  it('agrees on 200 objects with something changed at random', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...SAMPLES), mutation, async (sample, change) => {
        const { server, offline, why } = await judge(cluster, mutate(sample, change));
        expect(offline, why).toEqual(server);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});

describe('the kinds on the API server', () => {
  it('are found by short name and by category', async () => {
    const resources = await cluster.kubectl(['api-resources', '--api-group=caracal.run', '--categories=caracal']);
    const rows = resources.trim().split('\n').slice(1);
    expect(rows.map((row) => row.split(/\s+/).slice(0, 2))).toEqual(
      KINDS.map(({ plural, shortNames }) => [plural, shortNames.join(',')]).sort(),
    );
  });

  it.each(KINDS)('shows at most five columns besides Age of $kind by default', ({ printerColumns }) => {
    expect(printerColumns.filter(({ priority }) => priority !== 1).length).toBeLessThanOrEqual(5);
  });

  it('can be filtered by the fields that watchers select', async () => {
    const grant = SAMPLES.find(({ kind }) => kind === 'Grant')!;
    await create(cluster, grant, { dryRun: false });
    const named = (selector: string) =>
      cluster.kubectl(['get', 'grants', '--field-selector', `spec.zoneRef.name=${selector}`, '-o', 'name']);
    expect(await named('shop')).toBe('grant.caracal.run/sample\n');
    expect(await named('other')).toBe('');
  });

  it('take no field of status with the spec, and a status with conditions on its own', async () => {
    const zone: Manifest = { ...SAMPLES[0]!, metadata: { name: 'status' } };
    const created = await create(cluster, { ...zone, status: { zoneID: 'x' } } as Manifest, { dryRun: false });
    expect(created.object['status']).toBeUndefined();
    const status = {
      observedGeneration: 1,
      zoneID: 'default.status',
      policy: { set: 'shop', revision: 2, digest: `sha256:${'0'.repeat(64)}` },
      gateways: { connected: 2, current: 1, summary: '1/2' },
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'NoPolicySet',
          message: 'names none',
          observedGeneration: 1,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    };
    const patch = JSON.stringify({ status });
    const path = ['zones.caracal.run', 'status', '--subresource=status', '--type=merge'];
    const patched = await cluster.kubectl(['patch', ...path, '-p', patch, '-o', 'json']);
    expect((JSON.parse(patched) as { status: unknown }).status).toEqual(status);
    const [head, row] = (await cluster.kubectl(['get', 'zones', 'status'])).trim().split('\n');
    expect(head!.split(/\s{2,}/).map((cell) => cell.trim())).toEqual([
      'NAME',
      'READY',
      'REVISION',
      'GATEWAYS',
      'REASON',
      'AGE',
    ]);
    expect(row!.split(/\s+/).slice(0, 5)).toEqual(['status', 'False', '2', '1/2', 'NoPolicySet']);
  });
});

describe('admission policies', () => {
  const NAME = 'names beginning caracal-sys belong to namespace caracal-system';
  const IDENTIFIER = 'identifiers caracal-sys:// belong to namespace caracal-system';
  const REVISION = 'only the controller writes PolicySetRevisions';
  const sampleOf = (kind: string): Manifest => SAMPLES.find((sample) => sample.kind === kind)!;
  const placed = (object: Manifest, namespace: string, name = object.metadata.name): Manifest => ({
    ...object,
    metadata: { name, namespace },
  });
  const identified = (identifier: string): Manifest => {
    const sample = sampleOf('Resource');
    return { ...sample, spec: { ...(sample.spec as object), identifier } };
  };

  it.each(KINDS.map(({ kind }) => kind))('refuse a reserved name of a %s outside of caracal-system', async (kind) => {
    const reserved = placed(sampleOf(kind), 'default', 'caracal-sys-1');
    const { ok, message } = await until(() => create(cluster, reserved, writerOf(reserved)));
    expect({ ok, message }).toEqual({ ok: false, message: expect.stringContaining(NAME) });
  });

  it('take a reserved name in caracal-system', async () => {
    expect((await create(cluster, placed(sampleOf('Zone'), 'caracal-system', 'caracal-sys'))).message).toBe('');
  });

  it.each(['caracal-sys://sts', 'CARACAL-SYS://sts', 'caracal-sys:sts'])(
    'refuse the identifier %s outside of caracal-system',
    async (identifier) => {
      expect((await create(cluster, placed(identified(identifier), 'default'))).message).toContain(IDENTIFIER);
      expect((await create(cluster, placed(identified(identifier), 'caracal-system'))).message).toBe('');
    },
  );

  it('take other identifiers', async () => {
    expect((await create(cluster, placed(identified('resource://caracal-sys'), 'default'))).message).toBe('');
  });

  it('let only the controller create, change and delete revisions, and the collector delete them', async () => {
    const revision = placed(sampleOf('PolicySetRevision'), 'default');
    const administrator = await create(cluster, revision);
    expect(administrator).toMatchObject({ ok: false, message: expect.stringContaining(REVISION) });
    expect((await create(cluster, revision, { as: CONTROLLER, dryRun: false })).message).toBe('');
    const labelled: Manifest = {
      ...revision,
      metadata: { ...revision.metadata, labels: { a: 'b' } } as Manifest['metadata'],
    };
    expect((await replace(cluster, labelled)).message).toContain(REVISION);
    expect((await replace(cluster, labelled, { as: CONTROLLER })).message).toBe('');
    expect((await remove(cluster, revision)).message).toContain(REVISION);
    for (const collector of ['generic-garbage-collector', 'namespace-controller']) {
      const as = `system:serviceaccount:kube-system:${collector}`;
      expect((await create(cluster, placed(revision, 'default', 'sample-2'), { as })).message).toContain(REVISION);
      expect((await remove(cluster, revision, { as })).message).toBe('');
    }
    expect((await remove(cluster, revision, { as: CONTROLLER, dryRun: false })).message).toBe('');
  });

  it.each(['system:serviceaccount:default:caracal-controller', 'system:serviceaccount:caracal-system:caracal-sts'])(
    'do not take %s for the controller',
    async (as) => {
      const revision = placed(sampleOf('PolicySetRevision'), 'default');
      expect((await create(cluster, revision, { as })).message).toContain(REVISION);
    },
  );

  /** Policies take effect a moment after they are stored. */
  async function until(ask: () => ReturnType<typeof create>): ReturnType<typeof create> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await ask();
      if (!answer.ok || attempt === 200) return answer;
    }
  }
});
