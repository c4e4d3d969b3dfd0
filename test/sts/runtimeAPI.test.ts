/** The runtime API as operators use it: what runs is listed and watched, ended and decided, and zones are frozen. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { application, grant, policy, policySet, revision, zone } from '../compiler/world.ts';
import { BY_TILL, call, edgeOf, lifecycleOf, startAgent } from './agentCalls.ts';
import { openFeed, revalidate } from './gateway.ts';
import {
  EVERYWHERE,
  IN_SHOP,
  list,
  LOCAL_TOKEN_DIGEST,
  METADATA,
  operate,
  TABLE,
  watch,
  type Sent,
} from './operator.ts';
import { BY_SECRET, errorOf, mandateOf, READ, startSTS, WAIT, type TestSTS } from './service.ts';
import { PAYMENTS, ZONE_UID } from './shop.ts';
import { cluster, ISSUER, podOf, serviceAccountClaims, signAs } from './tokens.ts';

/** `write` waits for an operator; all else is allowed. */
const REGO = `package caracal.policy.shop

allow if true

step_up contains {"tier": "money", "approver": "operator"} if input.scope == "write"
`;
const STRICT = `package caracal.policy.shop

allow if input.scope != "read"

deny contains "no reading" if input.scope == "read"
`;
const FRONT = { namespace: 'caracal-system', name: 'caracal-front' };

let sts: TestSTS;
let cart: string;
let till: string;

beforeAll(async () => {
  sts = await startSTS({ localTokenDigest: LOCAL_TOKEN_DIGEST, front: FRONT });
  const set = policySet({ policies: [{ name: 'shop' }] });
  await sts.apply((world) => ({
    ...world,
    applications: world.applications.map((one) =>
      one.metadata.name === 'cart'
        ? application({ ...one.spec, delegation: { receivers: 'Zone' } }, { name: 'cart' })
        : one,
    ),
    grants: world.grants.map((one, index) =>
      index === 0 ? grant({ ...one.spec, delegation: 'Zone' }, one.metadata) : one,
    ),
    policies: [policy({ rego: REGO }, { name: 'shop' }), ...world.policies.slice(1)],
    policySetRevisions: [
      ...world.policySetRevisions,
      revision(2, { policies: [{ name: 'shop', rego: STRICT }] }, set),
      revision(3, { policies: [{ name: 'shop', rego: REGO }] }, set),
    ],
  }));
});
afterAll(() => sts.close());
beforeEach(async () => {
  sts.advance(4 * 3600 + 400);
  cart = await lifecycleOf(sts);
  till = await lifecycleOf(sts, BY_TILL);
});

const sessions = `${IN_SHOP}/agentsessions`;
const edges = `${IN_SHOP}/delegationedges`;
const challenges = `${IN_SHOP}/stepupchallenges`;
const freeze = `${IN_SHOP}/zones/main/freeze`;

async function delegated() {
  const source = await startAgent(sts, cart, 'shop.cart', { labels: ['nightly'] });
  const target = await startAgent(sts, till, 'shop.till');
  const answer = await call(sts, cart, 'POST', '/delegations', { body: edgeOf(source, target) });
  return { source, target, edge: String(answer.body['delegation_edge_id']) };
}

const namesOf = (objects: readonly { readonly metadata: { readonly name: string } }[]) =>
  objects.map(({ metadata }) => metadata.name);
const live = async (path: string) => namesOf(await list(sts, path));
const within = (session: string) =>
  sts.token({ ...BY_SECRET, ...READ, agent_session_id: session, use: 'resource' }).then(mandateOf);
const validity = async (mandate: string) =>
  ((await revalidate(sts, [mandate])).body['results'] as [{ valid: boolean; reason?: string }])[0];
const lastAct = async () => (await sts.store().decisions(ZONE_UID, 10)).find(({ kind }) => kind === 'act')?.act;

describe('objects of the runtime API', () => {
  it('are the sessions and edges that live, in the namespace of their Zone and named by their ids', async () => {
    const { source, target, edge } = await delegated();
    const session = (await operate(sts, 'GET', `${sessions}/${source}`)).body;
    expect(session).toMatchObject({
      apiVersion: 'runtime.caracal.run/v1alpha1',
      kind: 'AgentSession',
      metadata: { name: source, namespace: 'shop', uid: source, labels: { 'caracal.run/application': 'cart' } },
      spec: { zone: 'main', application: 'shop.cart', lifecycle: 'task', labels: ['nightly'], depth: 0 },
      status: { state: 'active' },
    });
    expect(await live(sessions)).toEqual(expect.arrayContaining([source, target]));
    expect((await operate(sts, 'GET', `${edges}/${edge}`)).body).toMatchObject({
      kind: 'DelegationEdge',
      spec: { issuer: 'shop.cart', receiver: 'shop.till', sourceSession: source, scopes: ['read'], hopsLeft: 0 },
      status: { state: 'active' },
    });
    expect((await operate(sts, 'GET', `${EVERYWHERE}/namespaces/bank/agentsessions/${source}`)).status).toBe(404);
    expect(await live(`${EVERYWHERE}/agentsessions`)).toContain(source);
  });

  it.each([
    ['fieldSelector=metadata.name%3D$source', ['source']],
    ['fieldSelector=spec.application%3Dshop.till,status.state%3Dactive', ['target']],
    ['fieldSelector=spec.application!%3Dshop.till', ['source']],
    ['labelSelector=caracal.run/application%3Dtill', ['target']],
    ['labelSelector=caracal.run/application+in+(cart,till),caracal.run/zone', ['source', 'target']],
    ['labelSelector=caracal.run/application+notin+(cart)', ['target']],
    ['labelSelector=!caracal.run/zone', []],
  ])('are selected by %s', async (query, wanted) => {
    const made = await delegated();
    const found = await live(`${sessions}?${query.replace('$source', made.source)}`);
    const ours = found.filter((name) => name === made.source || name === made.target);
    expect(ours.sort()).toEqual(wanted.map((which) => made[which as 'source' | 'target']).sort());
  });

  it('are refused by a selector of a field that is not selectable, which names those that are', async () => {
    const answer = await operate(sts, 'GET', `${sessions}?fieldSelector=spec.depth%3D1`);
    expect(answer.status).toBe(400);
    expect(answer.body['message']).toContain('one of metadata.name, metadata.namespace, spec.zone');
  });

  it('come a page at a time, each once', async () => {
    await Promise.all([delegated(), delegated(), delegated()]);
    const all = await live(sessions);
    const paged: string[] = [];
    let next = '';
    do {
      const { body } = await operate(sts, 'GET', `${sessions}?limit=2&continue=${next}`);
      const items = body['items'] as { metadata: { name: string } }[];
      expect(items.length).toBeLessThanOrEqual(2);
      paged.push(...namesOf(items));
      next = (body['metadata'] as { continue?: string }).continue ?? '';
    } while (next !== '');
    expect(paged).toEqual(all);
  });

  it('are a table for kubectl, and only metadata for garbage collection', async () => {
    const { source } = await delegated();
    const table = (await operate(sts, 'GET', sessions, { accept: TABLE })).body;
    expect(table).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    const columns = (table['columnDefinitions'] as { name: string; priority: number }[]).filter((one) => !one.priority);
    expect(columns.map(({ name }) => name)).toEqual(['Name', 'Zone', 'Application', 'State', 'Left', 'Age']);
    const row = (table['rows'] as { cells: string[] }[]).find(({ cells }) => cells[0] === source)!;
    expect(row.cells.slice(0, 6)).toEqual([source, 'main', 'shop.cart', 'active', '59m', '0s']);
    const partial = (await operate(sts, 'GET', sessions, { accept: METADATA })).body;
    expect(partial['kind']).toBe('PartialObjectMetadataList');
    expect(Object.keys((partial['items'] as object[])[0]!).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
    const other = await operate(sts, 'GET', sessions, { accept: 'application/yaml' });
    expect(other.status).toBe(406);
  });

  it('are shown to nobody without the token', async () => {
    expect((await operate(sts, 'GET', sessions, { token: 'x' })).status).toBe(401);
    expect((await sts.send({ path: sessions })).status).toBe(401);
    const closed = await startSTS();
    try {
      expect((await operate(closed, 'GET', sessions)).status).toBe(404);
    } finally {
      await closed.close();
    }
  });
});

describe('a watch', () => {
  it('tells what begins and what ends, after the version that it is given', async () => {
    const { body } = await operate(sts, 'GET', sessions);
    const { resourceVersion } = body['metadata'] as { resourceVersion: string };
    const before = await delegated();
    const watched = await watch(sts, `${sessions}?watch=true&resourceVersion=${resourceVersion}`);
    await watched.wait('ADDED', before.source);
    const after = await startAgent(sts, cart, 'shop.cart');
    await watched.wait('ADDED', after);
    await operate(sts, 'DELETE', `${sessions}/${after}`);
    await watched.wait('DELETED', after);
    const versions = watched.events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(versions.every((version) => version > Number(resourceVersion))).toBe(true);
  });

  it('begins with what there is where no version is given, and says where that ends', async () => {
    const { source } = await delegated();
    const selected = `fieldSelector=metadata.name%3D${source}`;
    const plain = await watch(sts, `${sessions}?watch=true&${selected}`);
    await plain.wait('ADDED', source);
    const streamed = await watch(
      sts,
      `${sessions}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&${selected}`,
    );
    const bookmark = await streamed.wait('BOOKMARK');
    expect(bookmark.object.metadata).toMatchObject({ annotations: { 'k8s.io/initial-events-end': 'true' } });
    expect(streamed.events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK']);
  });

  it('tells a client of a selector that an object left it', async () => {
    const { source } = await delegated();
    const watched = await watch(sts, `${sessions}?watch=true&fieldSelector=status.state%3Dactive`);
    await watched.wait('ADDED', source);
    await call(sts, cart, 'PATCH', `/agents/${source}/suspend`, { body: {} });
    await watched.wait('DELETED', source);
    await call(sts, cart, 'PATCH', `/agents/${source}/resume`, { body: {} });
    await vi.waitFor(() => {
      const types = watched.events.filter(({ object }) => object.metadata.name === source).map(({ type }) => type);
      expect(types).toEqual(['ADDED', 'DELETED', 'ADDED']);
    }, WAIT);
  });

  it('prints rows for kubectl -w', async () => {
    const watched = await watch(sts, `${sessions}?watch=true`, TABLE);
    const session = await startAgent(sts, cart, 'shop.cart');
    await vi.waitFor(() => {
      const rows = watched.events.flatMap(({ object }) => object['rows'] as { cells: string[] }[]);
      expect(rows.map(({ cells }) => cells[0])).toContain(session);
    }, WAIT);
    expect(watched.events[0]!.object['kind']).toBe('Table');
  });

  it('of a version that is not known any more, or not yet, is 410: list again', async () => {
    for (const version of ['1', '9000000000000000'])
      expect((await operate(sts, 'GET', `${sessions}?watch=true&resourceVersion=${version}`)).status).toBe(410);
  });

  it('ends when its time is over', async () => {
    const watched = await watch(sts, `${sessions}?watch=true&timeoutSeconds=0`);
    await vi.waitFor(() => expect(watched.isOver()).toBe(true), WAIT);
  });

  it('tells that a challenge expired, though nothing is written then', async () => {
    const held = await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ttl_seconds: '77' });
    const id = String(held.body['challenge_id']);
    const watched = await watch(sts, `${challenges}?watch=true&fieldSelector=metadata.name%3D${id}`);
    expect((await watched.wait('ADDED', id)).object.status).toEqual({ state: 'pending' });
    sts.advance(4 * 3600 + 1);
    expect((await watched.wait('MODIFIED', id)).object.status).toEqual({ state: 'expired' });
  });
});

describe('an operator', () => {
  it('ends a session, and its mandates with it, recorded with the name', async () => {
    const { source, edge } = await delegated();
    const mandate = await within(source);
    expect((await validity(mandate)).valid).toBe(true);
    const answer = await operate(sts, 'DELETE', `${sessions}/${source}`);
    expect(answer.body).toMatchObject({ kind: 'Status', status: 'Success', details: { name: source } });
    expect(await validity(mandate)).toEqual({ valid: false, reason: 'SessionNotActive' });
    expect(await lastAct()).toMatchObject({ name: 'session.ended', by: 'operator:local-admin' });
    expect((await operate(sts, 'GET', `${sessions}/${source}`)).status).toBe(404);
    expect((await operate(sts, 'GET', `${edges}/${edge}`)).status).toBe(404);
    expect((await operate(sts, 'DELETE', `${sessions}/${source}`)).status).toBe(404);
  });

  it('revokes an edge, and what rests on it', async () => {
    const { target, edge } = await delegated();
    const under = { agent_session_id: target, delegation_edge_id: edge, use: 'resource' };
    const mandate = mandateOf(await sts.token({ ...BY_TILL, ...READ, ...under }));
    expect(
      (await operate(sts, 'DELETE', `${edges}/${edge}`, { body: { propagationPolicy: 'Background' } })).status,
    ).toBe(200);
    expect((await validity(mandate)).valid).toBe(false);
    expect(await lastAct()).toMatchObject({ name: 'delegation.revoked', by: 'operator:local-admin' });
  });

  it.each<readonly [string, Sent, string, number]>([
    ['another uid', { body: { preconditions: { uid: 'x' } } }, '', 409],
    ['another version', { body: { preconditions: { resourceVersion: '1' } } }, '', 409],
    ['a dry run', { body: { dryRun: ['All'] } }, '', 200],
    ['a dry run in the query', {}, '?dryRun=All', 200],
  ])('ends nothing by a delete with %s', async (_what, sent, query, status) => {
    const { source } = await delegated();
    expect((await operate(sts, 'DELETE', `${sessions}/${source}${query}`, sent)).status).toBe(status);
    expect(await live(sessions)).toContain(source);
  });

  it('approves a challenge, which then yields one mandate', async () => {
    const ask = (id?: string) =>
      sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ...(id !== undefined && { challenge_id: id }) });
    const id = String((await ask()).body['challenge_id']);
    const shown = (await operate(sts, 'GET', `${challenges}/${id}`)).body;
    const { binding } = shown['spec'] as { binding: string };
    expect(shown).toMatchObject({ spec: { application: 'shop.cart', tier: 'money' }, status: { state: 'pending' } });
    const body = { kind: 'StepUpDecision', decision: 'approved', binding };
    const decided = await operate(sts, 'POST', `${challenges}/${id}/decision`, { body });
    expect([decided.status, decided.body['status']]).toMatchObject([
      201,
      { state: 'approved', decision: { approved: true, by: 'operator:local-admin' } },
    ]);
    expect((await ask(id)).status).toBe(200);
    const again = await operate(sts, 'POST', `${challenges}/${id}/decision`, { body });
    expect([again.status, again.body['reason']]).toEqual([409, 'Conflict']);
  });

  it.each([
    ['another binding', { decision: 'approved', binding: '0'.repeat(64) }, 409],
    ['no binding', { decision: 'approved' }, 422],
    ['another word', { decision: 'yes', binding: '0'.repeat(64) }, 422],
    ['an unknown member', { decision: 'approved', binding: '0'.repeat(64), by: 'me' }, 422],
  ])('decides nothing with %s', async (_what, body, status) => {
    const held = await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ttl_seconds: '91' });
    const id = String(held.body['challenge_id']);
    expect((await operate(sts, 'POST', `${challenges}/${id}/decision`, { body })).status).toBe(status);
    expect((await operate(sts, 'GET', `${challenges}/${id}`)).body['status']).toEqual({ state: 'pending' });
  });

  it('cannot take a challenge away', async () => {
    const held = await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ttl_seconds: '92' });
    const path = `${challenges}/${String(held.body['challenge_id'])}`;
    expect((await operate(sts, 'DELETE', path)).status).toBe(405);
  });
});

describe('a freeze by command', () => {
  const ask = () => sts.token({ ...BY_SECRET, ...READ });
  const thaw = () => operate(sts, 'DELETE', freeze);

  it('denies new exchanges and every mandate, tells gateways, and is lifted by command', async () => {
    const feed = await openFeed(sts);
    const mandate = mandateOf(await ask());
    const frozen = await operate(sts, 'POST', freeze, { body: { reason: 'incident 7' } });
    expect(frozen.body).toMatchObject({
      kind: 'ZoneFreeze',
      status: { command: { reason: 'incident 7', by: 'operator:local-admin' } },
    });
    expect(await lastAct()).toMatchObject({ name: 'zone.frozen', by: 'operator:local-admin' });
    const denied = await ask();
    expect([denied.status, denied.body['reason']]).toEqual([403, 'ZoneFrozen']);
    expect(denied.body['error_description']).toContain('incident 7');
    expect(await validity(mandate)).toEqual({ valid: false, reason: 'ZoneFrozen' });
    await feed.wait('config', ({ frozen: said }) => said === true);
    await feed.wait('epoch', ({ change }) => (change as { all: boolean }).all);
    expect((await thaw()).body['status']).toEqual({});
    expect((await ask()).status).toBe(200);
    expect(await lastAct()).toMatchObject({ name: 'zone.unfrozen' });
  });

  it('outlives the process, and a change of the configuration', async () => {
    await operate(sts, 'POST', freeze, { body: { reason: 'kept' } });
    await sts.restart();
    expect((await ask()).body['reason']).toBe('ZoneFrozen');
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(0, -1) }));
    expect((await ask()).body['reason']).toBe('ZoneFrozen');
    await thaw();
    expect((await ask()).status).toBe(200);
  });

  it('and one in the spec each hold by themselves, and are shown by themselves', async () => {
    const inSpec = (reason: string | undefined) =>
      sts.apply((world) => ({
        ...world,
        zones: world.zones.map((one) => {
          const { freeze: _, ...spec } = one.spec;
          return one.metadata.uid === ZONE_UID
            ? zone({ ...spec, ...(reason !== undefined && { freeze: { reason } }) }, one.metadata)
            : one;
        }),
      }));
    await inSpec('in Git');
    await operate(sts, 'POST', freeze, { body: { reason: 'by hand' } });
    expect((await operate(sts, 'GET', freeze)).body['status']).toMatchObject({
      spec: { reason: 'in Git' },
      command: { reason: 'by hand' },
    });
    await thaw();
    expect((await ask()).body['reason']).toBe('ZoneFrozen');
    await operate(sts, 'POST', freeze, { body: { reason: 'by hand' } });
    await inSpec(undefined);
    expect((await ask()).body['reason']).toBe('ZoneFrozen');
    await thaw();
    expect((await ask()).status).toBe(200);
  });

  it('says why, or does nothing', async () => {
    const answer = await operate(sts, 'POST', freeze, { body: { reason: ' ' } });
    expect([answer.status, answer.body['message']]).toEqual([422, 'reason: says why']);
    expect((await operate(sts, 'POST', `${IN_SHOP}/zones/none/freeze`, { body: { reason: 'x' } })).status).toBe(404);
  });
});

describe('an authority review', () => {
  const review = async (spec: Readonly<Record<string, unknown>>) => {
    const body = { spec: { zone: 'main', application: 'shop.cart', ...spec } };
    return (await operate(sts, 'POST', `${IN_SHOP}/authorityreviews`, { body })).body;
  };
  const read = { resource: PAYMENTS, scopes: ['read'] };

  it('says what an exchange now would come to, with every check, the deciding rule and the Grants', async () => {
    const { status } = await review(read);
    expect(status).toMatchObject({
      allowed: true,
      grants: ['shop/cart-payments'],
      policySet: { set: 'base', revision: 3 },
      policies: [{ policy: 'shop', scope: 'read', outcome: 'allows', rules: [{ line: 3, text: 'allow is true' }] }],
    });
    const { checks } = status as { checks: { result: string }[] };
    expect(checks.map(({ result }) => result)).toEqual(checks.map(() => 'pass'));
  });

  it.each([
    ['a scope without a Grant', { resource: PAYMENTS, scopes: ['sealed'] }, 'ScopeNotGranted'],
    ['a step-up', { resource: PAYMENTS, scopes: ['write'] }, 'StepUpRequired'],
    ['an unknown Resource', { resource: 'resource://none', scopes: ['read'] }, 'ResourceUnknown'],
    ['an unknown application', { ...read, application: 'shop.nobody' }, 'ApplicationUnknown'],
    [
      'a request that no operation matches',
      { ...read, operation: { method: 'GET', path: '/x' } },
      'OperationNotPermitted',
    ],
  ])('says no for %s', async (_what, spec, reason) => {
    expect((await review(spec))['status']).toMatchObject({ allowed: false, reason });
  });

  it('asks a candidate revision beside the one in force, which stays', async () => {
    const { status } = await review({ ...read, policySetRevision: 'base-2' });
    expect(status).toMatchObject({
      allowed: true,
      candidate: {
        allowed: false,
        reason: 'PolicyDenied',
        policySet: { revision: 2 },
        policies: [{ outcome: 'denies', rules: [{ line: 5, text: 'deny "no reading"' }] }],
      },
    });
    expect((await sts.token({ ...BY_SECRET, ...READ })).status).toBe(200);
  });
});

describe('the front', () => {
  const frontToken = (name: string) =>
    signAs(
      cluster,
      serviceAccountClaims(sts.seconds(), {
        aud: [ISSUER],
        sub: `system:serviceaccount:caracal-system:${name}`,
        'kubernetes.io': podOf('caracal-system', name),
      }),
    );
  const asUser = (user: object, request: object, name = 'caracal-front') =>
    sts.send({
      method: 'POST',
      path: '/v1/runtime',
      headers: { authorization: `Bearer ${frontToken(name)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ user, ...request }),
    });
  const alice = { name: 'alice@example.com', groups: ['operators'], extra: { scopes: ['x'] } };

  it('asks and acts for its users, whose names are recorded', async () => {
    const { source } = await delegated();
    const answer = await asUser(alice, { method: 'DELETE', url: `${sessions}/${source}` });
    expect(answer.status).toBe(200);
    expect(await lastAct()).toMatchObject({ name: 'session.ended', by: 'operator:alice@example.com' });
  });

  it('is the one ServiceAccount of the configuration, and nobody else', async () => {
    const answer = await asUser(alice, { method: 'GET', url: sessions }, 'caracal-controller');
    expect(errorOf(answer)).toBe('401 invalid_token');
  });

  it('approves for no ServiceAccount that the Zone does not allow, whatever RBAC says', async () => {
    const held = await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ttl_seconds: '93' });
    const id = String(held.body['challenge_id']);
    const { binding } = (await operate(sts, 'GET', `${challenges}/${id}`)).body['spec'] as { binding: string };
    const body = JSON.stringify({ decision: 'approved', binding });
    const decide = (user: object) => asUser(user, { method: 'POST', url: `${challenges}/${id}/decision`, body });
    const machine = { name: 'system:serviceaccount:argocd:argocd', groups: ['system:serviceaccounts'] };
    const refused = await decide(machine);
    expect([refused.status, refused.body['reason']]).toEqual([403, 'Forbidden']);
    expect(refused.body['message']).toContain('service_account');
    expect((await decide(alice)).status).toBe(201);
  });
});
