/** A watched folder behaves as an API server does: identity, generations, last good state, one object in one place. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { World } from '../../src/compiler/world.ts';
import type { FolderSource } from '../../src/up/source.ts';
import { application, createFolder, untilReport, untilWorld, ZONE, type Folder } from './folder.ts';

let folder: Folder;
afterEach(() => folder.close());

const names = (world: World) => world.applications.map(({ metadata }) => metadata.name).sort();
const app = (world: World, name: string) => world.applications.find(({ metadata }) => metadata.name === name);

const KEY = { kid: 'k', x: 'A'.repeat(43), y: 'B'.repeat(43), d: 'C'.repeat(43), createdAt: 1, activeAt: undefined };

describe('a folder of manifests', () => {
  it('is a world with defaults, namespaces and identities', async () => {
    folder = await createFolder({ 'zone.yaml': ZONE, 'apps/agents.yaml': application('agent', 'agent') });
    const world = (await folder.open()).world();
    expect(world.zones[0]!.spec.tokens).toEqual({ mandateTTL: '5m', sessionTTL: '60m' });
    expect(names(world)).toEqual(['agent']);
    expect(world.namespaces.map(({ metadata }) => [metadata.name, metadata.labels])).toEqual([
      ['shop', { 'kubernetes.io/metadata.name': 'shop' }],
    ]);
    expect(world.zones[0]!.metadata).toMatchObject({ generation: 1, namespace: 'shop', name: 'shop' });
  });

  it('takes labels from Namespace objects, puts what names none into `default`, and passes over what is not ours', async () => {
    folder = await createFolder({
      'all.yaml': [
        'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n',
        'apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: agent, namespace: shop}\n',
        'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n',
        'apiVersion: caracal.run/v1alpha1\nkind: Zone\nmetadata: {name: main}\nspec: {}\n',
      ].join('---\n'),
    });
    const source = await folder.open();
    expect(source.world().namespaces.map(({ metadata }) => [metadata.name, metadata.labels?.team])).toEqual([
      ['default', undefined],
      ['shop', 'a'],
    ]);
    expect(source.report().problems).toEqual([]);
    expect(source.report().notes.map(({ line, message }) => [line, message.split(' ')[0]])).toEqual([
      [5, 'ServiceAccount'],
      [9, 'Deployment'],
    ]);
  });

  it('keeps an object’s identity through an edit and raises its generation', async () => {
    folder = await createFolder({ 'app.yaml': application('agent', 'one') });
    const source = await folder.open();
    const before = app(source.world(), 'agent')!.metadata;
    await folder.save('app.yaml', application('agent', 'two'));
    const after = app(await untilWorld(source, (w) => app(w, 'agent')?.metadata.generation === 2), 'agent')!.metadata;
    expect([after.uid, after.creationTimestamp]).toEqual([before.uid, before.creationTimestamp]);
    expect(Number(after.resourceVersion)).toBeGreaterThan(Number(before.resourceVersion));
  });

  it('gives a re-created object a new identity, and a moved one its old', async () => {
    folder = await createFolder({ 'a.yaml': application('moved', 'm'), 'b.yaml': application('again', 'a') });
    const source = await folder.open();
    const before = source.world();
    await folder.move('a.yaml', 'c.yaml');
    await folder.remove('b.yaml');
    const between = await untilWorld(source, (world) => !app(world, 'again'));
    expect(app(between, 'moved')).toBe(app(before, 'moved'));
    await folder.write('b.yaml', application('again', 'a'));
    const after = await untilWorld(source, (world) => app(world, 'again') !== undefined);
    expect(app(after, 'again')!.metadata.uid).not.toBe(app(before, 'again')!.metadata.uid);
  });

  it('keeps identities, statuses and keys over a restart', async () => {
    folder = await createFolder({ 'zone.yaml': ZONE });
    const first = await folder.open();
    const zone = first.world().zones[0]!;
    await first.publisher.writeKeySet({ uid: zone.metadata.uid, id: 'shop.shop' }, [KEY]);
    await first.publisher.writeStatus(
      {
        kind: 'Zone',
        namespace: 'shop',
        name: 'shop',
        uid: zone.metadata.uid,
        resourceVersion: zone.metadata.resourceVersion,
      },
      { observedGeneration: 1 },
    );
    await first.close();
    const second = await folder.open();
    expect(second.world().zones[0]!.metadata.uid).toBe(zone.metadata.uid);
    expect(second.world().zones[0]!.status).toEqual({ observedGeneration: 1 });
    expect(second.keys(zone.metadata.uid)).toEqual([KEY]);
    expect(second.world().keySets.get(zone.metadata.uid)).toEqual({
      ok: true,
      keys: [{ kid: 'k', x: KEY.x, y: KEY.y, activeAt: undefined }],
    });
    expect((await stat(join(folder.data, 'keys', `${zone.metadata.uid}.json`))).mode & 0o777).toBe(0o600);
  });

  it('throws the keys away with the zone', async () => {
    folder = await createFolder({ 'zone.yaml': ZONE });
    const source = await folder.open();
    const { uid } = source.world().zones[0]!.metadata;
    await source.publisher.writeKeySet({ uid, id: 'shop.shop' }, [KEY]);
    expect(source.keys(uid)).toEqual([KEY]);
    await folder.remove('zone.yaml');
    const world = await untilWorld(source, ({ zones }) => zones.length === 0);
    expect(world.keySets.size).toBe(0);
    expect(source.keys(uid)).toEqual([]);
    expect(await readdir(join(folder.data, 'keys'))).toEqual([]);
  });

  it('says which key file is damaged, and nothing of what is in it', async () => {
    folder = await createFolder({ 'zone.yaml': ZONE });
    const first = await folder.open();
    const { uid } = first.world().zones[0]!.metadata;
    await first.close();
    await writeFile(join(folder.data, 'keys', `${uid}.json`), '{"keys":[{"d":"secret"}]}');
    const state = (await folder.open()).world().keySets.get(uid);
    expect(state).toEqual({ ok: false, message: expect.stringContaining(`${uid}.json`) as string });
    expect(JSON.stringify(state)).not.toContain('secret');
  });

  it('refuses to begin with a damaged state rather than to hand out new identities', async () => {
    folder = await createFolder({ 'zone.yaml': ZONE });
    await (await folder.open()).close();
    await writeFile(join(folder.data, 'state.json'), '{');
    await expect(folder.open()).rejects.toThrow('state.json cannot be used');
  });
});

describe('a file that cannot be used', () => {
  it('is reported with line and field while its last good state stays', async () => {
    folder = await createFolder({ 'apps.yaml': `${application('one', 'one')}---\n${application('two', 'two')}` });
    const source = await folder.open();
    const before = source.world();
    await folder.save(
      'apps.yaml',
      `${application('one', 'changed')}---\n${application('two', 'two').replace('zoneRef', 'zoneref')}`,
    );
    const { problems } = await untilReport(source, (report) => report.problems.length > 0);
    expect(problems.map(({ file, line, object }) => [file, line, object])[0]).toEqual([
      join(folder.manifests, 'apps.yaml'),
      9,
      'Application shop/two',
    ]);
    expect(problems.map(({ path }) => path).join()).toContain('zoneref');
    expect(source.world().applications).toEqual(before.applications);
    await folder.save('apps.yaml', application('one', 'changed'));
    expect((await untilReport(source, (report) => report.problems.length === 0)).problems).toEqual([]);
    expect(names(await untilWorld(source, (world) => !app(world, 'two')))).toEqual(['one']);
  });

  it('keeps its last good state when it is not even YAML, also over a restart', async () => {
    folder = await createFolder({ 'apps.yaml': application('one', 'one') });
    const first = await folder.open();
    const before = app(first.world(), 'one');
    await folder.save('apps.yaml', 'spec: [');
    await untilReport(first, (report) => report.problems.length > 0);
    await first.close();
    const second = await folder.open();
    expect(app(second.world(), 'one')).toEqual(before);
    expect(second.report().problems[0]!.message).toMatch(/not valid YAML/);
  });

  it('hinders no other file', async () => {
    folder = await createFolder({ 'bad.yaml': 'kind: [', 'good.yaml': application('one', 'one') });
    expect(names((await folder.open()).world())).toEqual(['one']);
  });

  it('cannot change what is immutable', async () => {
    folder = await createFolder({ 'app.yaml': application('one', 'one') });
    const source = await folder.open();
    await folder.save('app.yaml', application('one', 'one', 'other'));
    const { problems } = await untilReport(source, (report) => report.problems.length > 0);
    expect(problems[0]).toMatchObject({ path: expect.stringContaining('zoneRef') as string, line: 4 });
    expect(app(source.world(), 'one')!.spec.zoneRef).toEqual({ name: 'shop' });
    await folder.remove('app.yaml');
    await untilWorld(source, (world) => world.applications.length === 0);
    await folder.write('app.yaml', application('one', 'one', 'other'));
    const world = await untilWorld(source, (world) => world.applications.length === 1);
    expect(app(world, 'one')!.spec.zoneRef).toEqual({ name: 'other' });
  });

  it('may not bring PolicySetRevisions, which only the controller writes', async () => {
    folder = await createFolder({
      'r.yaml': 'apiVersion: caracal.run/v1alpha1\nkind: PolicySetRevision\nmetadata: {name: s-1}\nspec: {}\n',
    });
    const source = await folder.open();
    expect(source.report().problems[0]!.message).toContain('written by the controller only');
    expect(source.world().policySetRevisions).toEqual([]);
  });
});

describe('one object in two files', () => {
  it('is reported for both, and what was last good stays', async () => {
    folder = await createFolder({ 'a.yaml': application('one', 'one') });
    const source = await folder.open();
    const before = app(source.world(), 'one');
    await folder.write('b.yaml', application('one', 'stolen'));
    const { problems } = await untilReport(source, (report) => report.problems.length === 2);
    expect(problems.map(({ file, object }) => [file, object])).toEqual([
      [join(folder.manifests, 'a.yaml'), 'Application shop/one'],
      [join(folder.manifests, 'b.yaml'), 'Application shop/one'],
    ]);
    expect(problems[0]!.message).toContain('b.yaml:1');
    expect(app(source.world(), 'one')).toBe(before);
    await folder.remove('b.yaml');
    await untilReport(source, (report) => report.problems.length === 0);
    expect(app(source.world(), 'one')).toEqual(before);
  });

  it('is in force from neither when it was never good', async () => {
    folder = await createFolder({ 'a.yaml': application('one', 'x'), 'b.yaml': application('one', 'z') });
    const source = await folder.open();
    expect(source.world().applications).toEqual([]);
    expect(source.report().problems).toHaveLength(2);
  });
});

describe('one Namespace in two files', () => {
  const namespace = (team: string) =>
    `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: ${team}}}\n`;
  const teamOf = (source: FolderSource) => source.world().namespaces[0]?.metadata.labels?.['team'];

  it('with one set of labels is no fault', async () => {
    folder = await createFolder({ 'a.yaml': namespace('red'), 'b.yaml': namespace('red') });
    const source = await folder.open();
    expect([teamOf(source), source.report().problems]).toEqual(['red', []]);
  });

  it('with two is reported for both, and the labels that were last good stay', async () => {
    folder = await createFolder({ 'a.yaml': namespace('red') });
    const source = await folder.open();
    await folder.write('b.yaml', namespace('blue'));
    const { problems } = await untilReport(source, (report) => report.problems.length === 2);
    expect(problems.map(({ file, object, path }) => [file, object, path])).toEqual([
      [join(folder.manifests, 'a.yaml'), 'Namespace shop', 'metadata.labels'],
      [join(folder.manifests, 'b.yaml'), 'Namespace shop', 'metadata.labels'],
    ]);
    expect(problems[0]!.message).toContain('b.yaml:1');
    expect(teamOf(source)).toBe('red');
    await folder.remove('a.yaml');
    await untilReport(source, (report) => report.problems.length === 0);
    expect(teamOf(source)).toBe('blue');
  });

  it('with two gives no consent from either when it was never good', async () => {
    folder = await createFolder({ 'a.yaml': namespace('red'), 'b.yaml': namespace('blue'), 'zone.yaml': ZONE });
    const source = await folder.open();
    expect(source.report().problems).toHaveLength(2);
    expect([source.world().namespaces.length, teamOf(source)]).toEqual([1, undefined]);
  });

  it('with two, of which one is in a file that is broken now, keeps what that one last said', async () => {
    folder = await createFolder({ 'a.yaml': namespace('red') });
    const source = await folder.open();
    await folder.write('a.yaml', 'kind: [');
    await untilReport(source, (report) => report.problems.length === 1);
    await folder.write('b.yaml', namespace('blue'));
    const { problems } = await untilReport(source, (report) => report.problems.length === 2);
    expect(problems[1]!.message).toContain('the last good state of');
    expect(teamOf(source)).toBe('red');
  });
});

describe('writes of the controller', () => {
  it('fail rather than overwrite something newer', async () => {
    folder = await createFolder({ 'zone.yaml': ZONE });
    const source = await folder.open();
    const { uid, resourceVersion } = source.world().zones[0]!.metadata;
    const reference = { kind: 'Zone', namespace: 'shop', name: 'shop', uid, resourceVersion } as const;
    await source.publisher.writeStatus(reference, { observedGeneration: 1 });
    await expect(source.publisher.writeStatus(reference, { observedGeneration: 2 })).rejects.toThrow('not at version');
    expect(source.world().zones[0]!.status).toEqual({ observedGeneration: 1 });
  });

  it('never change a revision, and drop it with the set that owns it', async () => {
    const set =
      'apiVersion: caracal.run/v1alpha1\nkind: PolicySet\nmetadata: {name: s, namespace: shop}\nspec: {policies: [{name: p}]}\n';
    folder = await createFolder({ 'set.yaml': set });
    const source = await folder.open();
    const owner = source.world().policySets[0]!.metadata;
    const revision: Parameters<typeof source.publisher.createRevision>[0] = {
      apiVersion: 'caracal.run/v1alpha1',
      kind: 'PolicySetRevision',
      metadata: {
        name: 's-1',
        namespace: 'shop',
        ownerReferences: [{ apiVersion: 'caracal.run/v1alpha1', kind: 'PolicySet', name: 's', uid: owner.uid }],
      },
      spec: { set: 's', number: 1, digest: 'sha256:0', policies: [{ name: 'p', rego: 'package caracal.policy.p' }] },
    };
    await source.publisher.createRevision(revision);
    await expect(source.publisher.createRevision(revision)).rejects.toThrow('revisions never change');
    expect(JSON.parse(await readFile(join(folder.data, 'state.json'), 'utf8'))).toMatchObject({ version: 1 });
    expect(source.world().policySetRevisions).toHaveLength(1);
    await folder.remove('set.yaml');
    const world = await untilWorld(source, ({ policySets }) => policySets.length === 0);
    expect(world.policySetRevisions).toEqual([]);
  });
});
