/** A stranger's manifests on a real cluster: the statuses are those that `caracal check` says without one, and those of the pages. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/processes.ts';
import { deploy, KINDS, ROOT, type Deployment } from './deployment.ts';

const STRANGER = join(import.meta.dirname, 'stranger');

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

interface Checked {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly refused: readonly { readonly path: string; readonly message: string }[];
  readonly conditions: readonly Condition[];
}

interface Shown {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string; readonly generation: number };
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
}

/** What the API server refuses before it is stored. */
const REFUSED = [
  'Application hub/two-in-one',
  'Grant hub/empty',
  'Resource hub/system',
  'Zone hub/caracal-sys-mine',
  'Zone hub/typing-mistake',
];

/** The first reason of Ready, as conditions.md promises it; what is not here is Ready. */
const REASONS: Readonly<Record<string, string>> = {
  'Application hub/astray': 'ReferenceNotFound',
  'Application hub/clerk-twin': 'Conflicted',
  'Application hub/ended': 'Expired',
  'Application hub/off-curve': 'KeysInvalid',
  'Application outside/unlabelled': 'ReferenceNotPermitted',
  'Application outside/unnamed': 'ReferenceNotPermitted',
  'Application spoke/guessing': 'ReferenceNotPermitted',
  'Application spoke/secret-two': 'Conflicted',
  'Application spoke/unasked': 'ReferenceNotPermitted',
  'Grant hub/guessing': 'ReferenceNotPermitted',
  'Grant hub/later': 'NotYetValid',
  'Grant hub/other-zone': 'ZoneMismatch',
  'Grant hub/over': 'Expired',
  'Grant hub/strange-issuer': 'IssuerNotTrusted',
  'Grant hub/to-nobody': 'ReferenceNotFound',
  'Grant hub/to-outside': 'ReferenceNotPermitted',
  'Grant hub/to-the-loser': 'ReferenceNotAccepted',
  'Grant hub/too-much': 'ScopeNotDeclared',
  'Grant spoke/anothers-resource': 'ReferenceNotFound',
  'Policy hub/no-rego': 'CompileFailed',
  'Policy hub/other-package': 'PackageInvalid',
  'Policy hub/untrue': 'TestsFailed',
  'PolicySet hub/half': 'ReferenceNotAccepted',
  'PolicySet hub/holes': 'ReferenceNotFound',
  'PolicySet hub/twice': 'PackageConflict',
  'PolicySet spoke/main': 'ReferenceNotFound',
  'Resource hub/ambiguous': 'OperationsAmbiguous',
  'Resource hub/books-copy': 'Conflicted',
  'Resource hub/undeclared': 'ScopeNotDeclared',
  'Resource spoke/https-abroad': 'IdentifierNotPermitted',
  'Resource spoke/squatted': 'IdentifierNotPermitted',
  'Zone hub/dangling': 'ReferenceNotFound',
  'Zone hub/every': 'Frozen',
  'Zone hub/pinned': 'RevisionNotFound',
  'Zone hub/unpassed': 'NoGoodRevision',
  'Zone hub/without': 'NoPolicySet',
};

let world: Deployment;
let checked: readonly Checked[];
let refusals: string;

beforeAll(async () => {
  world = await deploy();
  const [document, said] = await Promise.all([check(), applyAll()]);
  checked = (JSON.parse(document) as { objects: readonly Checked[] }).objects;
  refusals = said;
});

afterAll(() => world?.close());

const kubectl = (args: readonly string[], stdin?: string) => world.kubectl(args, stdin);
const nameOf = (kind: string, namespace: string, name: string) => `${kind} ${namespace}/${name}`;

/** `caracal check`, which ends with 1: there is much to complain about. */
async function check(): Promise<string> {
  const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/main.ts'), 'check', STRANGER];
  const child = spawn(process.execPath, [...args, '--output', 'json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise((resolve) => {
    child.on('close', resolve);
  });
  expect(code).toBe(1);
  return output;
}

/** Applies every file; returns what kubectl said of what was refused. */
async function applyAll(): Promise<string> {
  let said = '';
  for (const name of readdirSync(STRANGER).toSorted()) {
    const applied = kubectl(['apply', '-f', join(STRANGER, name)]);
    said += await applied.then(
      () => '',
      (error: Error) => error.message,
    );
  }
  return said;
}

/** Type, status and reason of each condition, by object. */
type Table = Readonly<Record<string, readonly string[]>>;

function toRows(conditions: readonly Condition[]): readonly string[] {
  return conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`).toSorted();
}

function expected(): Table {
  const stored = checked.filter(({ kind, namespace, name }) => !REFUSED.includes(nameOf(kind, namespace, name)));
  return Object.fromEntries(
    stored.map(({ kind, namespace, name, conditions }) => [nameOf(kind, namespace, name), toRows(conditions)]),
  );
}

async function shown(): Promise<readonly Shown[]> {
  const answer = await kubectl(['get', KINDS.join(','), '-A', '-o', 'json']);
  return (JSON.parse(answer) as { items: readonly Shown[] }).items;
}

async function onCluster(): Promise<Table> {
  const current = (await shown()).filter(({ metadata, status }) => status?.observedGeneration === metadata.generation);
  return Object.fromEntries(
    current.map(({ kind, metadata, status }) => [
      nameOf(kind, metadata.namespace, metadata.name),
      toRows(status?.conditions ?? []),
    ]),
  );
}

/** Polls the cluster until it shows `table`; the last comparison is the assertion. */
async function untilShown(table: () => Table | Promise<Table>, wanted: Table): Promise<void> {
  const text = JSON.stringify(sorted(wanted));
  let seen: Table = {};
  await until(
    async () => {
      seen = await table();
      return JSON.stringify(sorted(seen)) === text;
    },
    () => 'unreachable',
    30_000,
    200,
  ).catch(() => undefined);
  expect(sorted(seen)).toEqual(sorted(wanted));
}

const sorted = (table: Table): Table =>
  Object.fromEntries(Object.entries(table).toSorted(([left], [right]) => (left < right ? -1 : 1)));

describe('a stranger’s manifests', () => {
  it('are refused at admission where one object alone decides it', () => {
    const isReserved = ({ conditions }: Checked) => conditions.some(({ reason }) => reason === 'ReservedName');
    const refused = checked.filter((object) => object.refused.length > 0 || isReserved(object));
    expect(refused.map(({ kind, namespace, name }) => nameOf(kind, namespace, name)).toSorted()).toEqual(REFUSED);
    // The message up to what only one of the two adds to it.
    const messages = refused.flatMap((object) => object.refused.map(({ message }) => message.split(': ')[0]));
    for (const message of [...messages, 'names beginning caracal-sys', 'identifiers caracal-sys://'])
      expect(refusals).toContain(message);
  });

  it('show on the cluster, condition by condition, what `caracal check` says of the same files', async () => {
    await untilShown(onCluster, expected());
  });

  it('have the reasons that the table of conditions promises', async () => {
    const ready = (await shown()).flatMap(({ kind, metadata, status }) => {
      const { status: value, reason } = status!.conditions!.find(({ type }) => type === 'Ready')!;
      const isPlain = value === 'True' && reason === 'Ready';
      return isPlain ? [] : [[nameOf(kind, metadata.namespace, metadata.name), reason] as const];
    });
    expect(Object.fromEntries(ready)).toEqual(REASONS);
  });

  it('have messages that name the object, as `caracal check` has', async () => {
    const said = new Map(
      checked.map(({ kind, namespace, name, conditions }) => [nameOf(kind, namespace, name), conditions]),
    );
    const anyKey = (text: string) => text.replace(/key [\w-]{43} signs/, 'key KID signs');
    for (const { kind, metadata, status } of await shown()) {
      const name = nameOf(kind, metadata.namespace, metadata.name);
      const here = status!.conditions!.map(({ type, message }) => `${type}: ${anyKey(message)}`);
      const there = said.get(name)!.map(({ type, message }) => `${type}: ${anyKey(message)}`);
      expect([name, ...here.toSorted()]).toEqual([name, ...there.toSorted()]);
    }
  });
});

describe('what changes on the cluster', () => {
  const reasons = async (): Promise<Table> => {
    const names = ['Application hub/aaa-late', 'Application hub/clerk', 'Application hub/clerk-twin'];
    const found = await onCluster();
    const accepted = (name: string) => (found[name] ?? []).filter((row) => row.startsWith('Accepted'));
    return Object.fromEntries(names.map((name) => [name, accepted(name)]));
  };
  const accepted = ['Accepted True Accepted'];
  const conflicted = ['Accepted False Conflicted'];

  it('of two that claim one identity the oldest has it, and when it goes the next oldest', async () => {
    const late = {
      apiVersion: 'caracal.run/v1alpha1',
      kind: 'Application',
      metadata: { name: 'aaa-late', namespace: 'hub' },
    };
    const spec = { zoneRef: { name: 'main' }, identities: [{ serviceAccount: { name: 'clerk' } }] };
    await kubectl(['apply', '-f', '-'], JSON.stringify({ ...late, spec }));
    await untilShown(reasons, {
      'Application hub/aaa-late': conflicted,
      'Application hub/clerk': accepted,
      'Application hub/clerk-twin': conflicted,
    });
    await kubectl(['delete', 'application.caracal.run', 'clerk', '-n', 'hub']);
    await untilShown(reasons, {
      'Application hub/aaa-late': conflicted,
      'Application hub/clerk': [],
      'Application hub/clerk-twin': accepted,
    });
  });

  it('a namespace that loses the label loses its consent, and gets it back with the label', async () => {
    const joined = async (): Promise<Table> => {
      const rows = (await onCluster())['Application spoke/clerk'] ?? [];
      return { clerk: rows.filter((row) => row.startsWith('Accepted')) };
    };
    await kubectl(['label', 'namespace', 'spoke', 'team-']);
    await untilShown(joined, { clerk: ['Accepted False ReferenceNotPermitted'] });
    await kubectl(['label', 'namespace', 'spoke', 'team=trusted']);
    await untilShown(joined, { clerk: accepted });
  });
});
