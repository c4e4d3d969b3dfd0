/** kubectl on the runtime API of a real API server: what runs is seen, ended and decided by those whom RBAC lets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../cli/run.ts';
import { NAMESPACE, ZONE } from '../cluster/deployment.ts';
import { until } from '../support/processes.ts';
import { follow, startFrontWorld, type FrontWorld } from './world.ts';

let world: FrontWorld;

beforeAll(async () => {
  world = await startFrontWorld();
});
afterAll(() => world?.remove());

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const BASE = '/apis/runtime.caracal.run/v1alpha1';
const SESSIONS = `${BASE}/namespaces/${NAMESPACE}/agentsessions`;
const READ = { resource: 'resource://orders', scope: 'orders:read' };

const kubectl = (args: readonly string[], stdin?: string) => world.kubectl(args, stdin);
/** Standard output, or what kubectl complains of. */
const said = (args: readonly string[], stdin?: string) =>
  kubectl(args, stdin).catch((error: Error & { readonly stderr: string }) => error.stderr);

async function exchange(form: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>> {
  const assertion = await world.clientToken('assistant', 'assistant');
  const body = new URLSearchParams({
    ...{ zone_id: ZONE, client_assertion_type: ASSERTION, client_assertion: assertion },
    ...form,
  });
  const response = await fetch(`${world.issuer}/oauth/2/token`, { method: 'POST', body });
  return (await response.json()) as Record<string, unknown>;
}

async function startAgent(): Promise<string> {
  const { access_token: mandate } = await exchange({ scope: 'agent:lifecycle' });
  const response = await fetch(`${world.issuer}/zones/${ZONE}/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${String(mandate)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ application_id: 'quickstart.assistant' }),
  });
  return ((await response.json()) as { agent_session_id: string }).agent_session_id;
}

let ttl = 30;
/** A new one each time: another lifetime is another act. */
async function hold(): Promise<string> {
  const answer = await exchange({ ...READ, ttl_seconds: String((ttl += 1)) });
  return String(answer['challenge_id']);
}

async function decisionOf(id: string): Promise<{ readonly path: string; readonly body: string }> {
  const challenge = JSON.parse(await kubectl(['get', 'stepupchallenge', id, '-n', NAMESPACE, '-o', 'json'])) as {
    spec: { binding: string };
  };
  const path = `${BASE}/namespaces/${NAMESPACE}/stepupchallenges/${id}/decision`;
  const { binding } = challenge.spec;
  const kind = { apiVersion: 'runtime.caracal.run/v1alpha1', kind: 'StepUpDecision' };
  return { path, body: JSON.stringify({ ...kind, decision: 'approved', binding }) };
}

describe('kubectl', () => {
  it('gets agent sessions as a table, by name, by label and by field', async () => {
    const session = await startAgent();
    const table = await kubectl(['get', 'agentsessions', '-n', NAMESPACE]);
    expect(table.split('\n')[0]).toMatch(/^NAME +ZONE +APPLICATION +STATE +LEFT +AGE$/);
    expect(table).toMatch(new RegExp(`^${session} +shop +quickstart.assistant +active`, 'm'));
    expect(await kubectl(['get', 'casess', '-A', '-o', 'wide'])).toMatch(/LIFECYCLE +PARENT +SUBJECT/);
    const byLabel = ['-l', 'caracal.run/application=assistant', '-o', 'name'];
    expect(await kubectl(['get', 'agentsessions', '-n', NAMESPACE, ...byLabel])).toContain(
      `agentsession.runtime.caracal.run/${session}`,
    );
    const byField = ['--field-selector', 'status.state=suspended'];
    expect(await said(['get', 'agentsessions', '-n', NAMESPACE, ...byField])).not.toContain(session);
  });

  it('watches: what begins is told while it waits', async () => {
    const text = follow(world, ['get', 'agentsessions', '-n', NAMESPACE, '-w']);
    await until(
      () => text().includes('NAME'),
      () => `no table: ${text()}`,
    );
    const session = await startAgent();
    await until(
      () => text().includes(session),
      () => `no ${session} in ${text()}`,
    );
  });

  it('deletes a session, waits until it is gone, and what rests on it is refused', async () => {
    const session = await startAgent();
    const within = () => exchange({ ...READ, agent_session_id: session, use: 'resource' });
    expect((await within())['token_type']).toBe('Bearer');
    expect(await kubectl(['delete', 'agentsession', session, '-n', NAMESPACE])).toContain(`"${session}" deleted`);
    expect(await within()).toMatchObject({ reason: 'SessionNotActive' });
    expect(await said(['get', 'agentsession', session, '-n', NAMESPACE])).toContain('NotFound');
  });

  it('describes a challenge, and explains what its members are', async () => {
    const id = await hold();
    const text = await kubectl(['describe', 'stepupchallenge', id, '-n', NAMESPACE]);
    expect(text).toMatch(/Binding: +[0-9a-f]{64}/);
    expect(text).toMatch(/Tier: +money/);
    expect(text).toMatch(/State: +pending/);
    const explained = await kubectl(['explain', 'stepupchallenge.spec.binding']);
    expect(explained).toMatch(/a decision repeats\s+it/);
  });

  it('lists the resources of the group with their verbs', async () => {
    const resources = await kubectl(['api-resources', '--api-group=runtime.caracal.run', '-o', 'wide']);
    expect(resources).toMatch(/^agentsessions +casess .* true +AgentSession +delete,get,list,watch/m);
    expect(resources).toMatch(/^stepupchallenges +cstep .* true +StepUpChallenge +get,list,watch/m);
  });
});

describe('a decision', () => {
  const as = (user: string, ...groups: readonly string[]) => [
    '--as',
    user,
    ...groups.flatMap((group) => ['--as-group', group]),
  ];
  const decide = async (id: string, who: readonly string[]) => {
    const { path, body } = await decisionOf(id);
    return said(['create', '--raw', path, '-f', '-', ...who], body);
  };

  it('is made by whoever has the verb approve, and recorded with the name', async () => {
    await kubectl([
      'create',
      'rolebinding',
      'approvers',
      '--clusterrole=caracal-runtime-approver',
      '--group=approvers',
      '-n',
      NAMESPACE,
    ]);
    const id = await hold();
    const decided = JSON.parse(await decide(id, as('alice@example.com', 'approvers'))) as { status: object };
    expect(decided.status).toMatchObject({ state: 'approved', decision: { by: 'operator:alice@example.com' } });
    const mandate = await exchange({ ...READ, ttl_seconds: String(ttl), challenge_id: id });
    expect(mandate['token_type']).toBe('Bearer');
  });

  it('is refused to whoever may create it and has not the verb approve', async () => {
    await kubectl([
      'create',
      'clusterrole',
      'writer',
      '--verb=create',
      '--resource=stepupchallenges.runtime.caracal.run/decision',
    ]);
    await kubectl(['create', 'rolebinding', 'writers', '--clusterrole=writer', '--group=writers', '-n', NAMESPACE]);
    const id = await hold();
    expect(await decide(id, as('bob@example.com', 'writers'))).toContain('cannot approve resource');
    expect(await decide(id, as('nobody@example.com'))).toContain('forbidden');
  });

  it('is refused to a ServiceAccount that holds everything, unless the Zone allows ServiceAccounts', async () => {
    await kubectl([
      'create',
      'clusterrolebinding',
      'gitops',
      '--clusterrole=cluster-admin',
      '--serviceaccount=argocd:argocd',
    ]);
    const machine = as('system:serviceaccount:argocd:argocd', 'system:serviceaccounts', 'system:authenticated');
    const id = await hold();
    expect(await decide(id, machine)).toContain('service_account');
    await world.patch('zones', 'shop', { stepUp: { allowServiceAccounts: true } });
    await until(
      async () => (await decide(id, machine)).includes('"state":"approved"'),
      () => 'it is refused though the Zone allows it',
    );
    await world.patch('zones', 'shop', { stepUp: { allowServiceAccounts: null } });
  });
});

describe('rights', () => {
  const as = ['--as', 'carol@example.com'];

  it('are those of RBAC, in the namespace of the Zone', async () => {
    const session = await startAgent();
    expect(await said(['get', 'agentsessions', '-n', NAMESPACE, ...as])).toContain('forbidden');
    const bind = [
      'create',
      'rolebinding',
      'viewers',
      '--clusterrole=caracal-runtime-viewer',
      '--user=carol@example.com',
    ];
    await kubectl([...bind, '-n', NAMESPACE]);
    await until(
      async () => (await said(['get', 'agentsessions', '-n', NAMESPACE, ...as])).includes(session),
      () => 'the right is not seen',
    );
    expect(await said(['get', 'agentsessions', '-A', ...as])).toContain('forbidden');
    expect(await said(['delete', 'agentsession', session, '-n', NAMESPACE, ...as])).toContain('cannot delete resource');
  });

  it('are nobody’s past the API server: headers say nothing without its certificate', async () => {
    const headers = { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' };
    expect(await world.direct(SESSIONS, { headers })).toBe(401);
    expect(await world.direct(SESSIONS, { headers, peer: world.stranger })).toBe(401);
    expect(await world.direct(BASE)).toBe(200);
  });
});

describe('caracal, against the cluster', () => {
  it('shows, freezes and ends as it does against caracal up', async () => {
    const session = await startAgent();
    const caracal = (...args: readonly string[]) => run([...args, '--kubeconfig', world.cluster.kubeconfig]);
    expect((await caracal('sessions')).out).toContain(session);
    expect((await caracal('tree')).out).toContain(`quickstart.assistant (${session})`);
    const frozen = await caracal('freeze', ZONE, '--reason', 'drill');
    expect([frozen.exit, frozen.out]).toEqual([0, `${ZONE}: frozen by command of admin (drill)\n`]);
    expect(await exchange(READ)).toMatchObject({ reason: 'ZoneFrozen' });
    expect((await caracal('status')).out).toMatch(/^quickstart.shop .*frozen by command of admin \(drill\)$/m);
    const zone = ['zones.caracal.run/shop', '-n', NAMESPACE];
    await kubectl(['wait', '--for=condition=Frozen', ...zone, '--timeout=30s']);
    const message = ['-o', 'jsonpath={.status.conditions[?(@.type=="Frozen")].message}'];
    expect(await kubectl(['get', ...zone, ...message])).toBe('drill (by command)');
    expect((await caracal('unfreeze', ZONE)).exit).toBe(0);
    expect((await caracal('revoke', 'session', session)).exit).toBe(0);
    const who = await caracal('who-can', 'resource://orders', '--zone', ZONE, '--scope', 'orders:read');
    expect(who.out).toMatch(/^quickstart.assistant +itself +orders:read +Allowed/m);
  });
});

describe('with every STS down', () => {
  const METADATA = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';

  it('discovery answers, people are told, and nothing keeps a namespace from its end', async () => {
    await startAgent();
    const listed = await world.get(SESSIONS, METADATA);
    expect([listed.status, (listed.body['items'] as unknown[]).length > 0]).toEqual([200, true]);
    await world.sts.stop(5000);
    // What the namespace controller and garbage collection ask: which resources, then what is left of each.
    expect((await world.get(BASE)).status).toBe(200);
    const left = await world.get(SESSIONS, METADATA);
    expect([left.status, left.body['items']]).toEqual([200, []]);
    expect((await world.get(`${BASE}/delegationedges`, METADATA)).body['items']).toEqual([]);
    const people = await world.get(SESSIONS);
    expect([people.status, people.body['reason']]).toEqual([503, 'ServiceUnavailable']);
    const condition = [
      'get',
      'apiservice',
      'v1alpha1.runtime.caracal.run',
      '-o',
      'jsonpath={.status.conditions[0].status}',
    ];
    expect(await kubectl(condition)).toBe('True');
    expect(await kubectl(['api-resources', '--api-group=runtime.caracal.run'])).toContain('delegationedges');
    expect(await said(['delete', 'agentsession', '0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31', '-n', NAMESPACE])).toContain(
      'no STS answers now',
    );
  });
});
