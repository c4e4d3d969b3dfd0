/** The controller on a real API server, with exactly the rights of install/rbac.yaml. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyChecker } from '../../src/policy/checker.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { startProcess, until } from '../support/processes.ts';
import type { TestReplica } from '../support/replica.ts';
import { clock } from '../support/kubeClients.ts';
import {
  awaitCondition,
  conditionOf,
  documentsOf,
  get,
  installRoles,
  list,
  openChecker,
  ROOT,
  startController,
  startReplica,
  SYSTEM,
  type RunningController,
  type Shown,
} from './harness.ts';

const KINDS = ['zones', 'applications', 'resources', 'grants', 'policies', 'policysets'] as const;
const QUICKSTART = join(ROOT, 'examples/quickstart');
const MANIFESTS = readdirSync(QUICKSTART)
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((name) => documentsOf(readFileSync(join(QUICKSTART, name), 'utf8')))
  // To kubectl, which reads YAML 1.1, a bare y is a boolean.
  .map((document) => document.replace(/^( *)y:/m, '$1"y":'));

const LEADER_PROCESS = fileURLToPath(new URL('./leaderProcess.ts', import.meta.url));
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let cluster: Cluster;
let checker: PolicyChecker;
let replica: TestReplica;
let running: RunningController;
/** Wall clock skew of the running controller, in milliseconds. */
let skew = 0;

const kubectl = (args: readonly string[], stdin?: string) => cluster.kubectl(args, stdin);
const start = () =>
  startController(
    cluster,
    { replica, checker },
    { clock: { now: () => Date.now() + skew, monotonic: clock.monotonic }, orphanedKeysMs: 500 },
  );

beforeAll(async () => {
  cluster = await startCluster();
  await installRoles(cluster);
  checker = openChecker(join(cluster.directory, 'opa'));
  replica = await startReplica(cluster);
  running = await start();
});

afterAll(async () => {
  await running?.close();
  await replica?.close();
  await checker?.close();
  await cluster?.stop();
});

const inNamespace = (document: string, namespace: string) =>
  document.replace(/namespace: quickstart/g, `namespace: ${namespace}`);

async function apply(namespace: string, documents: readonly string[]): Promise<void> {
  await kubectl(['apply', '-f', '-'], documents.map((document) => inNamespace(document, namespace)).join('\n---\n'));
}

/** Applies the quickstart, waits until all is Ready. */
async function settle(namespace: string): Promise<void> {
  await kubectl([
    'wait',
    '--for=condition=Ready',
    `${KINDS.map((kind) => `${kind}.caracal.run`).join(',')}`,
    '--all',
    '-n',
    namespace,
    '--timeout=30s',
  ]);
}

async function createZone(namespace: string): Promise<void> {
  await kubectl(['create', 'namespace', namespace]);
  await apply(namespace, MANIFESTS);
  await settle(namespace);
}

/** All statuses of a namespace without times, ids of keys and the namespace's name. */
async function statuses(namespace: string): Promise<unknown> {
  const shown = await Promise.all([...KINDS, 'policysetrevisions'].map((kind) => list(kubectl, namespace, kind)));
  const text = JSON.stringify(
    shown.flat().map(({ kind, metadata, status }) => [kind, metadata.name, status]),
    (key, value: unknown) => (key === 'lastTransitionTime' || key === 'signingKey' ? undefined : value),
  );
  return JSON.parse(text.replaceAll(namespace, 'NAMESPACE').replace(/key [\w-]{43} signs/g, 'key KID signs'));
}

/** Waits until a change made before this call was compiled and everything that follows from it was written. */
async function quiet(): Promise<void> {
  const name = `quiet-${performance.now()}`.replace('.', '-');
  await kubectl(['create', 'namespace', name]);
  let count = -1;
  let since = performance.now();
  await until(
    () => {
      const { length } = running.client.writes;
      if (length !== count) [count, since] = [length, performance.now()];
      return performance.now() - since > 700;
    },
    () => 'writes do not end',
  );
}

const edit = (namespace: string, kind: string, name: string, patch: unknown) =>
  kubectl(['patch', `${kind}.caracal.run`, name, '-n', namespace, '--type=merge', '-p', JSON.stringify(patch)]);
const remove = (namespace: string, kind: string, name: string) =>
  kubectl(['delete', `${kind}.caracal.run`, name, '-n', namespace, '--wait=false']);
const at = (namespace: string, kind: string, name: string) => [namespace, kind, name] as const;

describe('apply', () => {
  it('in any order converges to the same statuses, all Ready', async () => {
    const orders = [MANIFESTS, [...MANIFESTS].reverse(), [...MANIFESTS.slice(4), ...MANIFESTS.slice(0, 4)]];
    const names = ['forward', 'backward', 'turned'];
    for (const [index, order] of orders.entries()) {
      await kubectl(['create', 'namespace', names[index]!]);
      for (const document of order) await apply(names[index]!, [document]);
    }
    for (const name of names) await settle(name);
    await quiet();
    const [forward, ...others] = await Promise.all(names.map(statuses));
    for (const other of others) expect(other).toEqual(forward);
  });

  it('ends in a revision, a key Secret and a zone that names both', async () => {
    const zone = await get(kubectl, 'forward', 'zone', 'shop');
    const revision = await get(kubectl, 'forward', 'policysetrevision', 'shop-1');
    expect(zone.status).toMatchObject({
      zoneID: 'forward.shop',
      issuer: 'https://sts.test',
      jwksURI: 'https://sts.test/.well-known/jwks.json?zone_id=forward.shop',
      policy: { set: 'shop', revision: 1, digest: revision.spec['digest'] },
      gateways: { connected: 0, current: 0, summary: '0/0' },
    });
    expect(conditionOf(revision, 'Active')).toBe('True');
    const { signingKey } = zone.status as unknown as { signingKey: { kid: string } };
    expect(
      replica
        .snapshot()
        .zones.get('forward.shop')
        ?.keys.map(({ kid }) => kid),
    ).toContain(signingKey.kid);
    const secret = await kubectl(['get', 'secret', `caracal-keys-${zone.metadata.uid}`, '-n', SYSTEM, '-o', 'name']);
    expect(secret.trim()).toBe(`secret/caracal-keys-${zone.metadata.uid}`);
  });

  it('shows every kind by kubectl get caracal', async () => {
    const table = await kubectl(['get', 'caracal', '-n', 'forward']);
    for (const kind of ['zone', 'application', 'resource', 'grant', 'policy', 'policyset', 'policysetrevision'])
      expect(table).toContain(`${kind}.caracal.run/`);
  });

  it('needs no right that install/rbac.yaml does not give', () => {
    expect(running.client.refusals.filter((refusal) => refusal.includes('forbidden'))).toEqual([]);
  });
});

describe('install/', () => {
  const can = (account: string, ...args: readonly string[]) =>
    kubectl(['auth', 'can-i', ...args, `--as=system:serviceaccount:${SYSTEM}:${account}`]).then(
      () => true,
      () => false,
    );

  it('is accepted by the API server without a warning, Pod Security included', async () => {
    await kubectl(['apply', '--dry-run=server', '--warnings-as-errors', '-f', join(ROOT, 'install')]);
  });

  it('gives no wildcard', () => {
    expect(readFileSync(join(ROOT, 'install/rbac.yaml'), 'utf8')).not.toContain('*');
  });

  it.each(['caracal-controller', 'caracal-sts'])('lets %s read Secrets in its own namespace only', async (account) => {
    expect(await can(account, 'list', 'secrets', '-n', SYSTEM)).toBe(true);
    expect(await can(account, 'list', 'secrets', '-n', 'forward')).toBe(false);
    expect(await can(account, 'update', 'zones.caracal.run', '-n', 'forward')).toBe(false);
  });

  it('lets the STS write nothing', async () => {
    for (const what of ['secrets', 'policysetrevisions.caracal.run', 'events.events.k8s.io'])
      expect(await can('caracal-sts', 'create', what, '-n', SYSTEM)).toBe(false);
  });
});

describe('at rest', () => {
  it('nothing is written, whatever wakes the loop', async () => {
    await quiet();
    const before = running.client.writes.length;
    for (const index of [1, 2, 3]) await kubectl(['label', 'namespace', 'forward', `woken=${index}`, '--overwrite']);
    await quiet();
    expect(running.client.writes.slice(before)).toEqual([]);
  });

  it('a controller that starts anew finds nothing to write', async () => {
    await quiet();
    await running.close();
    running = await start();
    await until(
      () => running.log.some((line) => line.startsWith('leading')),
      () => running.log.join('\n'),
    );
    await quiet();
    expect(running.client.writes).toEqual([]);
  });

  it('one edit makes one status write', async () => {
    await quiet();
    const before = running.client.writes.length;
    await edit('forward', 'grant', 'support-refunds', { spec: { scopes: ['orders:read'] } });
    await awaitCondition(kubectl, at('forward', 'grant', 'support-refunds'), 'Ready', 'True');
    await quiet();
    expect(running.client.writes.slice(before)).toEqual([
      'PATCH /apis/caracal.run/v1alpha1/namespaces/forward/grants/support-refunds/status',
    ]);
  });

  it('a status changed by hand is put right', async () => {
    const patch = JSON.stringify({ status: { observedGeneration: 99 } });
    await kubectl([
      'patch',
      'grants.caracal.run',
      'support-refunds',
      '-n',
      'forward',
      '--subresource=status',
      '--type=merge',
      '-p',
      patch,
    ]);
    await awaitCondition(kubectl, at('forward', 'grant', 'support-refunds'), 'Ready', 'True');
  });
});

describe('changes', () => {
  const grant = at('backward', 'grant', 'assistant-orders');

  it('an edit that asks too much is refused with its reason, and settles again when undone', async () => {
    await edit('backward', 'grant', 'assistant-orders', { spec: { scopes: ['orders:read', 'orders:fly'] } });
    const refused = await awaitCondition(kubectl, grant, 'Ready', 'False ScopeNotDeclared');
    expect(conditionOf(refused, 'Stalled')).toBe('True');
    expect(conditionOf(refused, 'Programmed')).toBe('False NotAccepted');
    await edit('backward', 'grant', 'assistant-orders', { spec: { scopes: ['orders:read'] } });
    const settled = await awaitCondition(kubectl, grant, 'Ready', 'True');
    expect(conditionOf(settled, 'Stalled')).toBe('absent');
  });

  it('tells each transition of Ready as one Event', async () => {
    const reasons = async (): Promise<string[]> => {
      const answer = JSON.parse(await kubectl(['get', 'events.events.k8s.io', '-n', 'backward', '-o', 'json'])) as {
        items: { type: string; reason: string; eventTime: string; regarding: { kind: string; name: string } }[];
      };
      const ofGrant = answer.items.filter(
        ({ regarding }) => regarding.kind === 'Grant' && regarding.name === 'assistant-orders',
      );
      return ofGrant
        .sort((a, b) => (a.eventTime < b.eventTime ? -1 : 1))
        .map(({ type, reason }) => `${type} ${reason}`);
    };
    await until(
      async () => (await reasons()).at(-1) === 'Normal Ready',
      () => 'no Event',
    );
    expect((await reasons()).slice(-2)).toEqual(['Warning ScopeNotDeclared', 'Normal Ready']);
  });

  it('deleting an Application takes its Grants with it; re-created it gives them back', async () => {
    const application = MANIFESTS.find((document) => document.includes('kind: Application'))!;
    await remove('backward', 'application', 'assistant');
    await awaitCondition(kubectl, grant, 'Ready', 'False ReferenceNotFound');
    await apply('backward', [application]);
    await awaitCondition(kubectl, grant, 'Ready', 'True');
  });

  it('a renamed Resource leaves Grants of the old name behind until they follow', async () => {
    const resource = MANIFESTS.find((document) => document.includes('kind: Resource'))!;
    await remove('backward', 'resource', 'orders');
    await apply('backward', [resource.replace('name: orders\n', 'name: purchases\n')]);
    await awaitCondition(kubectl, at('backward', 'resource', 'purchases'), 'Ready', 'True');
    await awaitCondition(kubectl, grant, 'Ready', 'False ReferenceNotFound');
    await edit('backward', 'grant', 'assistant-orders', { spec: { resourceRef: { name: 'purchases' } } });
    await awaitCondition(kubectl, grant, 'Ready', 'True');
  });

  it('a Zone re-created under its name gets other keys, and those of the old one go', async () => {
    const before = await get(kubectl, 'backward', 'zone', 'shop');
    await remove('backward', 'zone', 'shop');
    await awaitCondition(kubectl, grant, 'Ready', 'False ReferenceNotFound');
    await apply('backward', [MANIFESTS.find((document) => document.includes('kind: Zone'))!]);
    const after = await awaitCondition(kubectl, at('backward', 'zone', 'shop'), 'Ready', 'True');
    expect(after.status?.['signingKey']).not.toEqual(before.status?.['signingKey']);
    await awaitCondition(kubectl, grant, 'Ready', 'True');
    // What vanished is looked at when something wakes the loop, and at the latest with the next idle look.
    const secret = ['get', 'secret', `caracal-keys-${before.metadata.uid}`, '-n', SYSTEM, '--ignore-not-found'];
    await until(
      async () => (await kubectl(secret)) === '',
      () => 'the old keys stay',
      20_000,
      200,
    );
  });
});

describe('what is served', () => {
  const resource = at('turned', 'resource', 'orders');

  it('is Programmed only when every ready replica serves it', async () => {
    replica.follow(false);
    await edit('turned', 'resource', 'orders', {
      spec: { scopes: [...['read', 'write', 'refund', 'list'].map((name) => ({ name: `orders:${name}` }))] },
    });
    const pending = await awaitCondition(kubectl, resource, 'Ready', 'False Pending');
    expect([
      conditionOf(pending, 'Programmed'),
      conditionOf(pending, 'Enforced'),
      conditionOf(pending, 'Reconciling'),
    ]).toEqual(['False Pending', 'False NotProgrammed', 'True']);
    replica.follow(true);
    await awaitCondition(kubectl, resource, 'Ready', 'True');
  });

  it('is Unknown when no replica is ready', async () => {
    replica.setReady(false);
    await edit('turned', 'resource', 'orders', { spec: { operationEnforcement: 'Uniform' } });
    const unknown = await awaitCondition(kubectl, resource, 'Ready', 'Unknown NoReplica');
    expect(conditionOf(unknown, 'Reconciling')).toBe('True');
    replica.setReady(true);
    await awaitCondition(kubectl, resource, 'Ready', 'True');
  });

  it('shows how many gateways enforce it', async () => {
    replica.setGateways({ connected: 12, current: 11 });
    await until(
      async () => (await get(kubectl, ...resource)).status?.['gateways'] !== undefined,
      () => 'no counts',
    );
    const summary = (shown: Shown) => (shown.status?.['gateways'] as { summary?: string } | undefined)?.summary;
    await until(
      async () => summary(await get(kubectl, ...resource)) === '11/12',
      () => 'counts stay',
      25_000,
      200,
    );
    expect(conditionOf(await get(kubectl, ...resource), 'Enforced')).toBe('False Pending');
    replica.setGateways({ connected: 0, current: 0 });
  });
});

describe('revocations', () => {
  const toText = (name: string, more: string) => `apiVersion: caracal.run/v1alpha1
kind: Revocation
metadata: {name: ${name}, namespace: revoking}
spec:
  zoneRef: {name: shop}
  reason: incident
${more}`;
  const gone = async (name: string) => {
    const names = (await list(kubectl, 'revoking', 'revocations')).map(({ metadata }) => metadata.name);
    return !names.includes(name);
  };

  it('are Ready with their target, Complete in time, and deleted by us only with ttlAfterComplete', async () => {
    await createZone('revoking');
    const past = "  issuedBefore: '2026-01-01T00:00:00Z'\n";
    const documents = [
      toText('now', '  target: {application: {name: assistant}}\n'),
      toText('past', `  target: {resource: {name: orders}}\n${past}`),
      toText('brief', `  target: {everything: {}}\n${past}  ttlAfterComplete: 1s\n`),
      toText('wrong', '  target: {application: {name: nobody}}\n  ttlAfterComplete: 1s\n'),
    ];
    await kubectl(['apply', '-f', '-'], documents.join('---\n'));
    const now = await awaitCondition(kubectl, at('revoking', 'revocation', 'now'), 'Ready', 'True');
    expect(now.status).toMatchObject({ target: 'application revoking/assistant', gateways: { summary: '0/0' } });
    expect(['Accepted', 'Programmed', 'Enforced', 'Complete'].map((type) => conditionOf(now, type))).toEqual([
      ...['True', 'True', 'True', 'absent'],
    ]);
    await awaitCondition(kubectl, at('revoking', 'revocation', 'past'), 'Complete', 'True');
    await awaitCondition(kubectl, at('revoking', 'revocation', 'wrong'), 'Ready', 'False ReferenceNotFound');
    await until(
      () => gone('brief'),
      () => 'the one with ttlAfterComplete stays',
    );
    expect(await Promise.all(['now', 'past', 'wrong'].map(gone))).toEqual([false, false, false]);
    const table = await kubectl(['get', 'revocations', '-n', 'revoking']);
    expect(table).toMatch(/NAME +ZONE +TARGET +ENFORCED +REASON +AGE\n/);
    expect(table).toMatch(/past +shop +resource revoking\/orders +True +Ready +/);
  });

  it('are immutable', async () => {
    const patch = edit('revoking', 'revocation', 'now', { spec: { target: { application: { name: 'other' } } } });
    await expect(patch).rejects.toThrow('is immutable');
  });
});

describe('policy', () => {
  const zone = at('policies', 'zone', 'shop');
  const rego = (hours: string) =>
    `package caracal.policy.working_set\n\n# ${hours}\nallow if input.resource.identifier == "resource://orders"\n`;
  const change = (hours: string) => edit('policies', 'policy', 'working-set', { spec: { rego: rego(hours) } });
  const active = (number: number) =>
    until(
      async () =>
        ((await get(kubectl, ...zone)).status?.['policy'] as { revision?: number } | undefined)?.revision === number,
      () => `revision ${number} is not active`,
      20_000,
      100,
    );
  const revisions = async () =>
    (await list(kubectl, 'policies', 'policysetrevisions')).map(({ spec }) => spec['number']).sort();

  it('gets a revision for each content that passes, numbered on, also when an old content comes back', async () => {
    await createZone('policies');
    await active(1);
    for (const [number, hours] of [
      [2, 'nine to five'],
      [3, 'always'],
      [4, 'nine to five'],
    ] as const) {
      await change(hours);
      await active(number);
    }
    const all = await list(kubectl, 'policies', 'policysetrevisions');
    const digests = new Map(all.map(({ spec }) => [spec['number'], spec['digest']]));
    expect(digests.get(4)).toBe(digests.get(2));
    expect(await revisions()).toEqual([1, 2, 3, 4]);
  });

  it('keeps the last good revision when the content fails, and says so', async () => {
    await edit('policies', 'policy', 'working-set', {
      spec: { rego: 'package caracal.policy.working_set\n\nallow if {' },
    });
    await awaitCondition(kubectl, at('policies', 'policy', 'working-set'), 'Ready', 'False CompileFailed');
    await awaitCondition(kubectl, at('policies', 'policyset', 'shop'), 'Ready', 'False ReferenceNotAccepted');
    const reason = async () =>
      (await get(kubectl, ...zone)).status?.conditions?.find(({ type }) => type === 'PolicyActive')?.reason;
    await until(
      async () => (await reason()) === 'LastGoodRevision',
      () => 'not the last good one',
    );
    expect(await revisions()).toEqual([1, 2, 3, 4]);
    await change('nine to five');
    await awaitCondition(kubectl, at('policies', 'policyset', 'shop'), 'Ready', 'True');
    expect(await revisions()).toEqual([1, 2, 3, 4]);
  });

  it('rolls back by a pin and forward by taking it away', async () => {
    await edit('policies', 'zone', 'shop', { spec: { policySetRef: { name: 'shop', revision: 2 } } });
    await active(2);
    expect(conditionOf(await get(kubectl, 'policies', 'policysetrevision', 'shop-2'), 'Active')).toBe('True');
    await edit('policies', 'zone', 'shop', { spec: { policySetRef: { revision: 77 } } });
    await awaitCondition(kubectl, zone, 'PolicyActive', 'False RevisionNotFound');
    await edit('policies', 'zone', 'shop', { spec: { policySetRef: { revision: 2 } } });
    await active(2);
  });

  it('prunes the oldest revisions, never the pinned one', async () => {
    await edit('policies', 'policyset', 'shop', { spec: { historyLimit: 1 } });
    await until(
      async () => (await revisions()).join() === '2,4',
      () => 'not pruned',
    );
    await kubectl([
      'patch',
      'zones.caracal.run',
      'shop',
      '-n',
      'policies',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/spec/policySetRef/revision"}]',
    ]);
    await active(4);
    await until(
      async () => (await revisions()).join() === '4',
      () => 'not pruned',
    );
  });
});

describe('signing keys', () => {
  const signing = async () =>
    ((await get(kubectl, 'forward', 'zone', 'shop')).status as unknown as { signingKey: { kid: string } }).signingKey
      .kid;
  const served = () => replica.snapshot().zones.get('forward.shop')!.keys;

  const wake = () => kubectl(['label', 'namespace', 'forward', `woken=at-${skew}`, '--overwrite']);
  const kids = () => served().map(({ kid }) => kid);

  it('rotate: a verifier that caches the key set for 5 minutes never misses the key that signs', async () => {
    const first = await signing();
    const standby = served().find(({ activeAt }) => activeAt === undefined)!.kid;
    skew = 721 * HOUR;
    await wake();
    const hour = () => served().find(({ kid }) => kid === standby)?.activeAt;
    await until(
      () => hour() !== undefined,
      () => 'the standby gets no hour',
      20_000,
    );
    // Published now, it signs 10 minutes later: whatever a verifier fetched within 5 minutes before holds it.
    expect(hour()! - (Date.now() + skew)).toBeGreaterThan(9 * MINUTE);
    expect(await signing()).toBe(first);
    const cached = kids();
    skew += 11 * MINUTE;
    await wake();
    await until(
      async () => (await signing()) === standby,
      () => 'the standby does not sign',
      20_000,
      100,
    );
    expect(cached).toEqual(expect.arrayContaining([first, standby]));
    expect(kids()).toContain(first);
    await until(
      () => served().length === 3,
      () => 'no new standby',
    );
  });

  it('keep the old one until the last token that it signed has ended, and then drop it', async () => {
    const [old] = kids();
    skew += 23 * HOUR;
    await wake();
    await quiet();
    expect(kids()).toContain(old);
    skew += 2 * HOUR;
    await wake();
    await until(
      () => !kids().includes(old!),
      () => 'the old key stays',
      20_000,
    );
    expect(served()).toHaveLength(2);
  });

  it('a revoked key is gone at once and the published standby signs', async () => {
    const revoked = await signing();
    const standby = served().find(({ activeAt }) => activeAt === undefined)!.kid;
    await edit('forward', 'zone', 'shop', { spec: { keys: { revoke: [revoked] } } });
    await until(
      async () => (await signing()) === standby,
      () => 'the standby does not sign',
      20_000,
      100,
    );
    await until(
      () => served().every(({ kid }) => kid !== revoked),
      () => 'the revoked key stays',
    );
  });

  it('an unusable Secret is told, left alone, and heals when it is restored', async () => {
    const { metadata } = await get(kubectl, 'turned', 'zone', 'shop');
    const secret = ['secret', `caracal-keys-${metadata.uid}`, '-n', SYSTEM];
    const before = JSON.parse(await kubectl(['get', ...secret, '-o', 'json'])) as { data: Record<string, string> };
    const write = (value: string) =>
      kubectl(['patch', ...secret, '--type=merge', '-p', JSON.stringify({ data: { 'keys.json': value } })]);
    await write(Buffer.from('{}').toString('base64'));
    const broken = await awaitCondition(kubectl, at('turned', 'zone', 'shop'), 'Ready', 'False KeysInvalid');
    expect(conditionOf(broken, 'Stalled')).toBe('True');
    await write(before.data['keys.json']!);
    await awaitCondition(kubectl, at('turned', 'zone', 'shop'), 'Ready', 'True');
  });
});

describe('outages', () => {
  const grant = at('forward', 'grant', 'assistant-orders');

  it('a controller stands by while another leads, and takes over when that one is killed', async () => {
    await running.close();
    const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', 'https://kubernetes.default.svc');
    const config = JSON.stringify({
      kubeconfig: cluster.kubeconfigFor(token),
      cacheDir: join(cluster.directory, 'opa'),
    });
    const leader = startProcess(process.execPath, [LEADER_PROCESS, config], join(cluster.directory, 'leader.log'));
    await until(
      () => leader.log().includes('leading'),
      () => leader.log(),
    );
    running = await start();
    await edit('forward', 'grant', 'assistant-orders', { spec: { scopes: ['orders:nothing'] } });
    await awaitCondition(kubectl, grant, 'Ready', 'False ScopeNotDeclared');
    expect(running.client.writes).toEqual([]);
    process.kill(leader.pid, 'SIGKILL');
    await edit('forward', 'grant', 'assistant-orders', { spec: { scopes: ['orders:read'] } });
    await awaitCondition(kubectl, grant, 'Ready', 'True');
    expect(running.client.writes.length).toBeGreaterThan(0);
  });

  it('goes on when the API server was stopped and started again', async () => {
    await cluster.stopAPIServer();
    await until(
      () => running.client.refusals.length > 0,
      () => 'the outage is not noticed',
    );
    await cluster.startAPIServer();
    await edit('forward', 'grant', 'assistant-orders', { spec: { scopes: ['orders:write'] } });
    await awaitCondition(kubectl, grant, 'Ready', 'True');
  });

  it('goes on when etcd was stopped and started again', async () => {
    await cluster.restartEtcd();
    await until(
      () =>
        edit('forward', 'grant', 'assistant-orders', { spec: { scopes: ['orders:nothing'] } }).then(
          () => true,
          () => false,
        ),
      () => 'the API server does not recover',
    );
    await awaitCondition(kubectl, grant, 'Ready', 'False ScopeNotDeclared');
    expect(running.controller.ready()).toEqual({ ready: true });
  });
});
