/** What test/controller/cluster.test.ts holds of a cluster, held of a folder: the same edits give the same statuses. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { untilReport, untilWorld } from './folder.ts';
import { find, readCondition, reconcile, type Reconciled } from './reconciled.ts';

const QUICKSTART = join(import.meta.dirname, '../../examples/quickstart');
const FILES = Object.fromEntries(
  readdirSync(QUICKSTART)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => [name, readFileSync(join(QUICKSTART, name), 'utf8')]),
);

let folder: Reconciled;
afterEach(() => folder?.close());

async function start(): Promise<Reconciled> {
  folder = await reconcile(FILES);
  await settled();
  return folder;
}

const OBJECTS = [
  ['Zone', 'shop'],
  ['Application', 'assistant'],
  ['Resource', 'orders'],
  ['Grant', 'assistant-orders'],
  ['Grant', 'support-refunds'],
  ['Policy', 'working-set'],
  ['PolicySet', 'shop'],
] as const;

const settled = () =>
  untilWorld(folder.source, (world) =>
    OBJECTS.every(([kind, name]) => readCondition(world, kind, name, 'Ready') === 'True'),
  );

const edit = (file: string, from: string | RegExp, to: string) => folder.save(file, FILES[file]!.replace(from, to));

describe('a folder', () => {
  it('converges to all Ready, with a revision, keys and links to what is served', async () => {
    const world = (await start()).source.world();
    const zone = find(world, 'Zone', 'shop')!;
    expect(zone.status).toMatchObject({
      zoneID: 'quickstart.shop',
      issuer: 'http://127.0.0.1:7400',
      jwksURI: 'http://127.0.0.1:7400/.well-known/jwks.json?zone_id=quickstart.shop',
      policy: { set: 'shop', revision: 1, digest: world.policySetRevisions[0]!.spec.digest },
      signingKey: { kid: folder.source.keys(zone.metadata.uid)[0]!.kid },
    });
    expect(world.policySetRevisions.map(({ metadata }) => metadata.name)).toEqual(['shop-1']);
  });

  it('tells an edit that asks too much by its reason, and settles again when it is undone', async () => {
    await start();
    await edit('grants.yaml', 'orders:read, orders:write', 'orders:read, orders:fly');
    const world = await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'False ScopeNotDeclared');
    expect(readCondition(world, 'Grant', 'assistant-orders', 'Stalled')).toBe('True');
    expect(readCondition(world, 'Grant', 'assistant-orders', 'Programmed')).toBe('False NotAccepted');
    expect(readCondition(world, 'Grant', 'support-refunds', 'Ready')).toBe('True');
    await folder.save('grants.yaml', FILES['grants.yaml']!);
    const undone = await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'True');
    expect(readCondition(undone, 'Grant', 'assistant-orders', 'Stalled')).toBe('absent');
  });

  it('lets a deleted Application take its Grants with it, and a re-created one give them back', async () => {
    const before = find((await start()).source.world(), 'Application', 'assistant')!;
    await folder.remove('application.yaml');
    await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'False ReferenceNotFound');
    await folder.write('application.yaml', FILES['application.yaml']!);
    const world = await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'True');
    expect(find(world, 'Application', 'assistant')!.metadata.uid).not.toBe(before.metadata.uid);
  });

  it('leaves Grants of a renamed Resource behind until they follow', async () => {
    await start();
    await edit('resource.yaml', 'name: orders\n', 'name: purchases\n');
    await folder.awaitCondition('Resource', 'purchases', 'Ready', 'True');
    await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'False ReferenceNotFound');
    await edit('grants.yaml', /name: orders\n/g, 'name: purchases\n');
    await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'True');
  });

  it('gives a Zone re-created under its name other keys, and forgets those of the old one', async () => {
    const before = find((await start()).source.world(), 'Zone', 'shop')!;
    const kids = folder.source.keys(before.metadata.uid).map(({ kid }) => kid);
    await folder.remove('zone.yaml');
    await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'False ReferenceNotFound');
    expect(folder.source.keys(before.metadata.uid)).toEqual([]);
    await folder.write('zone.yaml', FILES['zone.yaml']!);
    const after = find(await settled(), 'Zone', 'shop')!;
    const next = folder.source.keys(after.metadata.uid).map(({ kid }) => kid);
    expect(next.length).toBeGreaterThan(0);
    expect(next.filter((kid) => kids.includes(kid))).toEqual([]);
    expect(readdirSync(join(folder.data, 'keys'))).toEqual([`${after.metadata.uid}.json`]);
  });

  it('keeps what a broken file last said, statuses too, and reports the line', async () => {
    const before = (await start()).source.world();
    await edit('grants.yaml', 'scopes: [orders:read, orders:write]', 'scopes: [orders:read, orders:write');
    const { problems } = await untilReport(folder.source, (report) => report.problems.length > 0);
    expect(problems[0]!.file).toBe(join(folder.manifests, 'grants.yaml'));
    expect(folder.source.world().grants).toEqual(before.grants);
    await edit('grants.yaml', 'orders:read, orders:write', 'orders:read');
    await untilReport(folder.source, (report) => report.problems.length === 0);
    await folder.awaitCondition('Grant', 'assistant-orders', 'Ready', 'True');
    expect(
      folder.source.world().grants.find(({ metadata }) => metadata.name === 'assistant-orders')!.spec.scopes,
    ).toEqual(['orders:read']);
  });

  it('keeps one object that comes to be in two files as it was, reports both, and goes on when one is left', async () => {
    await start();
    await folder.write('copy.yaml', FILES['application.yaml']!.replace('Shop assistant', 'Impostor'));
    const { problems } = await untilReport(folder.source, (report) => report.problems.length === 2);
    expect(problems.map(({ file }) => file)).toEqual(
      ['application.yaml', 'copy.yaml'].map((name) => join(folder.manifests, name)),
    );
    expect(folder.source.world().applications[0]!.spec.displayName).toBe('Shop assistant');
    await folder.remove('application.yaml');
    await untilReport(folder.source, (report) => report.problems.length === 0);
    const world = await untilWorld(
      folder.source,
      ({ applications }) => applications[0]?.spec.displayName === 'Impostor',
    );
    expect(world.applications).toHaveLength(1);
    await folder.awaitCondition('Application', 'assistant', 'Ready', 'True');
  });

  it('is Programmed only once it is served', async () => {
    await start();
    folder.replica.follow(false);
    await edit('grants.yaml', 'orders:read, orders:write', 'orders:read');
    await folder.awaitCondition('Grant', 'assistant-orders', 'Programmed', 'False Pending');
    folder.replica.follow(true);
    await folder.awaitCondition('Grant', 'assistant-orders', 'Programmed', 'True');
  });
});

describe('a Revocation in a folder', () => {
  const STOP = `apiVersion: caracal.run/v1alpha1
kind: Revocation
metadata: {name: stop, namespace: quickstart}
spec:
  zoneRef: {name: shop}
  reason: incident
  target: {application: {name: assistant}}
  issuedBefore: '2026-01-01T00:00:00Z'
  ttlAfterComplete: 0s
`;

  it('is Ready and Complete, tells a wrong name, and its file stays', async () => {
    await start();
    await folder.write('stop.yaml', STOP);
    await folder.awaitCondition('Revocation', 'stop', 'Complete', 'True');
    const world = await folder.awaitCondition('Revocation', 'stop', 'Ready', 'True');
    expect(find(world, 'Revocation', 'stop')!.status).toMatchObject({ target: 'application quickstart/assistant' });
    await folder.write(
      'typo.yaml',
      STOP.replace('name: stop', 'name: typo').replace('name: assistant', 'name: asistant'),
    );
    const after = await folder.awaitCondition('Revocation', 'typo', 'Ready', 'False ReferenceNotFound');
    expect(after.revocations.map(({ metadata }) => metadata.name).toSorted()).toEqual(['stop', 'typo']);
  });
});

describe('policy in a folder', () => {
  const withComment = (words: string) =>
    folder.save('policies.yaml', FILES['policies.yaml']!.replace('    allow if', `    # ${words}\n    allow if`));
  const active = async (revision: number) => {
    const world = await untilWorld(folder.source, ({ zones }) => zones[0]?.status?.policy?.revision === revision);
    return world.policySetRevisions;
  };

  it('gets a revision for each content that passes, also when an old one comes back, and rolls back by a pin', async () => {
    await start();
    await withComment('nine to five');
    await active(2);
    await folder.save('policies.yaml', FILES['policies.yaml']!);
    const revisions = await active(3);
    const digests = new Map(revisions.map(({ spec }) => [spec.number, spec.digest]));
    expect([...digests.keys()]).toEqual([1, 2, 3]);
    expect(digests.get(3)).toBe(digests.get(1));

    await edit('zone.yaml', '    name: shop\n  tokens', '    name: shop\n    revision: 2\n  tokens');
    await active(2);
    await folder.awaitCondition('PolicySetRevision', 'shop-2', 'Active', 'True');
    await folder.awaitCondition('PolicySetRevision', 'shop-3', 'Active', 'False Inactive');
    await edit('zone.yaml', '    name: shop\n  tokens', '    name: shop\n    revision: 77\n  tokens');
    await folder.awaitCondition('Zone', 'shop', 'PolicyActive', 'False RevisionNotFound');
    await folder.save('zone.yaml', FILES['zone.yaml']!);
    await active(3);
  });

  it('keeps the last good revision when the content fails, and says so', async () => {
    await start();
    await edit('policies.yaml', 'allow if input.resource', 'allow if {{ input.resource');
    await folder.awaitCondition('Policy', 'working-set', 'Ready', 'False CompileFailed');
    await folder.awaitCondition('PolicySet', 'shop', 'Ready', 'False ReferenceNotAccepted');
    const world = await untilWorld(
      folder.source,
      ({ zones }) =>
        zones[0]?.status?.conditions?.find(({ type }) => type === 'PolicyActive')?.reason === 'LastGoodRevision',
    );
    expect(world.policySetRevisions.map(({ spec }) => spec.number)).toEqual([1]);
    expect(readCondition(world, 'Zone', 'shop', 'Ready')).toBe('True');
    await folder.save('policies.yaml', FILES['policies.yaml']!);
    await settled();
    expect(folder.source.world().policySetRevisions.map(({ spec }) => spec.number)).toEqual([1]);
  });

  it('writes nothing at rest', async () => {
    await start();
    const before = folder.source.versions();
    await folder.write('note.txt', 'wakes the watcher, changes nothing');
    await folder.write('other.yaml', '# nothing\n');
    await folder.source.publisher.emitEvent(
      { kind: 'Zone', namespace: 'quickstart', name: 'shop', uid: '', resourceVersion: '' },
      'Normal',
      'Ready',
      '',
    );
    expect(folder.source.versions()).toEqual(before);
  });
});
