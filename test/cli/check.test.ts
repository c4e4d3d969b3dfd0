/** `caracal check`: the very conditions a cluster would show, as JSON for machines and with lines for people. */
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OPA_PATH as OPA } from '../support/opa.ts';
import { object, writeManifests, type Manifests } from './manifests.ts';
import { ROOT, run } from './run.ts';

interface Checked {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly refused: readonly { readonly path: string; readonly message: string }[];
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

let manifests: Manifests | undefined;
afterEach(async () => {
  await manifests?.close();
  manifests = undefined;
});

const zoneRef = { name: 'main' };
const ZONE = object('Zone', 'shop', 'main', {});
const application = (name: string, serviceAccount = name) =>
  object('Application', 'shop', name, { zoneRef, identities: [{ serviceAccount: { name: serviceAccount } }] });
const RESOURCE = object('Resource', 'shop', 'api', {
  zoneRef,
  identifier: 'resource://api',
  type: 'HTTP',
  scopes: [{ name: 'read' }],
  operations: [{ methods: ['GET'], path: '/', scopes: ['read'] }],
});
const grant = (spec: object) =>
  object('Grant', 'shop', 'agent-api', {
    zoneRef,
    applicationRef: { name: 'agent' },
    resourceRef: { name: 'api' },
    scopes: ['read'],
    ...spec,
  });

async function check(files: Readonly<Record<string, string>>, ...args: readonly string[]) {
  manifests = await writeManifests(files);
  const { exit, out, err } = await manifests.run('check', '--output', 'json', ...args);
  return { exit, err, objects: (JSON.parse(out) as { objects: readonly Checked[] }).objects };
}

const summary = ({ kind, name, conditions }: Checked) => {
  const ready = conditions.find(({ type }) => type === 'Ready');
  return `${kind} ${name}: ${ready?.status} ${ready?.reason}`;
};

describe('caracal check', () => {
  it('accepts every example and says so for people', async () => {
    const { exit, out, err } = await run(['check', join(ROOT, 'examples/quickstart'), '--opa', OPA]);
    expect([exit, err]).toEqual([0, '']);
    expect(out).toMatch(/^KIND +NAMESPACE +NAME +READY +REASON\n/);
    expect(out.trim().split('\n').slice(1)).toHaveLength(8);
    expect(out).not.toContain('False');
  });

  it('shows the conditions of a programmed cluster without gateways', async () => {
    const { exit, objects } = await check({ 'zone.yaml': ZONE, 'app.yaml': application('agent') });
    expect([exit, objects.map(summary)]).toEqual([
      0,
      ['Application agent: True Ready', 'Zone main: False NoPolicySet'],
    ]);
    const [agent, zone] = objects;
    expect(agent).toEqual({
      kind: 'Application',
      namespace: 'shop',
      name: 'agent',
      file: manifests!.path('app.yaml'),
      line: 1,
      refused: [],
      conditions: [
        { type: 'Ready', status: 'True', reason: 'Ready', message: 'it is in force' },
        { type: 'Accepted', status: 'True', reason: 'Accepted', message: expect.any(String) as string },
        { type: 'Programmed', status: 'True', reason: 'Programmed', message: 'every ready STS replica serves it' },
      ],
    });
    expect(zone!.conditions.map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ['Ready', 'False', 'NoPolicySet'],
      ['Accepted', 'True', 'Accepted'],
      ['KeysReady', 'True', 'KeysReady'],
      ['PolicyActive', 'False', 'NoPolicySet'],
      ['Programmed', 'True', 'Programmed'],
      ['Enforced', 'True', 'NoGateways'],
      ['Reconciling', 'True', 'NoPolicySet'],
    ]);
  });

  it('has each passing set at revision 1', async () => {
    const { objects } = await check({
      'policy.yaml': object('Policy', 'shop', 'all', { rego: 'package caracal.policy.all\n\nallow := true\n' }),
      'set.yaml': object('PolicySet', 'shop', 'set', { policies: [{ name: 'all' }] }),
      'zone.yaml': object('Zone', 'shop', 'main', { policySetRef: { name: 'set', revision: 1 } }),
      'other.yaml': object('Zone', 'shop', 'other', { policySetRef: { name: 'set', revision: 2 } }),
    });
    expect(objects.map(summary)).toEqual([
      'Zone other: False RevisionNotFound',
      'Policy all: True Ready',
      'PolicySet set: True Ready',
      'Zone main: True Ready',
    ]);
  });

  it('refuses an unknown field with its path, and shows people its line', async () => {
    const text =
      'apiVersion: caracal.run/v1alpha1\nkind: Zone\nmetadata:\n  name: main\n  namespace: shop\nspec:\n  tokns: {}\n';
    const { exit, objects } = await check({ 'zone.yaml': text });
    expect([exit, objects[0]!.conditions]).toEqual([1, []]);
    expect(objects[0]!.refused).toEqual([{ path: 'spec.tokns', message: expect.any(String) as string }]);
    const { out } = await manifests!.run('check');
    expect(out).toContain(`${manifests!.path('zone.yaml')}:7: Zone shop/main: spec.tokns: `);
  });

  it('refuses a file that is no YAML, naming file and line, and judges the others', async () => {
    const { exit, objects } = await check({ 'bad.yaml': 'kind: [\n', 'zone.yaml': ZONE });
    expect([exit, objects.map(({ kind, line }) => [kind, line])]).toEqual([
      1,
      [
        ['', 2],
        ['Zone', 1],
      ],
    ]);
    expect(objects[0]!.refused[0]!.message).toContain('not valid YAML');
  });

  it('refuses one object in two files, in both', async () => {
    const { exit, objects } = await check({ 'a.yaml': ZONE, 'b.yaml': ZONE });
    expect(exit).toBe(1);
    expect(
      objects.map(({ refused }) => refused.map(({ path, message }) => [path, message.includes('keep one')])),
    ).toEqual([[['metadata.name', true]], [['metadata.name', true]]]);
  });

  it('refuses a Namespace with other labels in two files, in both, and takes the consent of neither', async () => {
    const namespace = (team: string) =>
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: guest, labels: {team: ${team}}}\n`;
    const { exit, objects } = await check({
      'zone.yaml': object('Zone', 'shop', 'main', {
        allowedNamespaces: { from: 'Selector', selector: { matchLabels: { team: 'red' } } },
      }),
      'a.yaml': namespace('red'),
      'b.yaml': namespace('blue'),
      'guest.yaml': object('Application', 'guest', 'agent', {
        zoneRef: { name: 'main', namespace: 'shop' },
        identities: [{ serviceAccount: { name: 'agent' } }],
      }),
    });
    expect(exit).toBe(1);
    const refused = objects.filter(({ kind }) => kind === 'Namespace');
    expect(refused.map(({ name, refused: [first] }) => [name, first!.path])).toEqual([
      ['guest', 'metadata.labels'],
      ['guest', 'metadata.labels'],
    ]);
    expect(objects.map(summary)).toContain('Application agent: False ReferenceNotPermitted');
    const { out } = await manifests!.run('check');
    expect(out).toContain(`${manifests!.path('a.yaml')}:3: Namespace guest: metadata.labels: other labels in `);
  });

  it('K-34 writes out what would move or hide text at a terminal, and no name makes a line of its own', async () => {
    const text = object('Zone', 'shop', 'main', {})
      .replace('"main"', '"\\u001b[31mmain\\u202e"')
      .replace('"shop"', '"shop\\nZone  shop  good  True  Ready"');
    manifests = await writeManifests({ 'zone.yaml': text });
    const { exit, out } = await manifests.run('check');
    expect(exit).toBe(1);
    expect(out).not.toMatch(/[^\P{C}\n]|^Zone {2}shop {2}good/mu);
    expect(out).toContain('\\u{1b}[31mmain\\u{202e}');
  });

  it('reads once what links lead to more than once, and does not walk in circles', async () => {
    manifests = await writeManifests({ 'zone.yaml': ZONE });
    await mkdir(manifests.path('more'));
    await symlink('../zone.yaml', manifests.path('more/same.yaml'));
    await symlink('..', manifests.path('more/loop'));
    const { exit, out } = await manifests.run('check', '--output', 'json');
    const { objects } = JSON.parse(out) as { objects: readonly Checked[] };
    expect([exit, objects.map(({ name, refused }) => [name, refused])]).toEqual([0, [['main', []]]]);
  });

  it('warns that a cluster accepts the oldest of objects in conflict', async () => {
    const { exit, objects, err } = await check({
      'zone.yaml': ZONE,
      'a.yaml': application('one', 'same'),
      'b.yaml': application('two', 'same'),
    });
    expect(exit).toBe(1);
    expect(objects.map(summary)).toContain('Application two: False Conflicted');
    expect(objects.map(summary)).toContain('Application one: True Ready');
    expect(err).toContain('a cluster accepts the oldest');
  });

  const times: Readonly<Record<string, readonly [now: string, exit: number, state: string]>> = {
    'is no error before its time': ['2026-01-01T00:00:00Z', 0, 'Grant agent-api: False NotYetValid'],
    'is in force in its time': ['2026-03-01T00:00:00Z', 0, 'Grant agent-api: True Ready'],
    'is an error after its time, which is exclusive': ['2026-04-01T00:00:00Z', 1, 'Grant agent-api: False Expired'],
  };
  for (const [name, [now, exit, state]] of Object.entries(times)) {
    it(`judges as of --now: a Grant ${name}`, async () => {
      const bounded = grant({ notBefore: '2026-02-01T00:00:00Z', expiresAt: '2026-04-01T00:00:00Z' });
      const result = await check(
        { a: '', 'z.yaml': ZONE, 'r.yaml': RESOURCE, 'app.yaml': application('agent'), 'g.yaml': bounded },
        '--now',
        now,
      );
      expect([result.exit, result.objects.map(summary)]).toEqual([exit, expect.arrayContaining([state])]);
    });
  }

  it('refuses a time that is none', async () => {
    const { exit, err } = await run(['check', '.', '--now', 'tomorrow']);
    expect([exit, err]).toEqual([2, expect.stringContaining('write RFC 3339')]);
  });

  it('names a path that does not exist', async () => {
    const { exit, out } = await run(['check', '/nowhere/at/all', '--opa', OPA]);
    expect([exit, out]).toEqual([1, expect.stringContaining('/nowhere/at/all')]);
  });

  it('reports what a policy test expects otherwise, with the verdict of the cluster', async () => {
    const { exit, objects } = await check({
      'p.yaml': object('Policy', 'shop', 'p', {
        rego: 'package caracal.policy.p\n\nallow if input.scope == "read"\n',
        tests: [{ name: 'writes too', input: { scope: 'write' }, expect: { allow: true } }],
      }),
    });
    expect([exit, objects.map(summary)]).toEqual([1, ['Policy p: False TestsFailed']]);
    expect(objects[0]!.conditions[0]!.message).toContain('writes too');
  });
});
