/** Agent sessions and delegation over the wire: their life, what they may, and what ends with them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { application, grant, revocation } from '../compiler/world.ts';
import { BY_TILL, call, edgeOf, lifecycleOf, startAgent } from './agentCalls.ts';
import { openFeed, revalidate } from './gateway.ts';
import { BY_SECRET, errorOf, mandateOf, READ, startSTS, type Form, type TestSTS } from './service.ts';
import { LEDGER, PAYMENTS, ZONE_UID } from './shop.ts';
import { decode } from './tokens.ts';

let sts: TestSTS;
let cart: string;
let till: string;

/** shop.cart may let shop.till receive, and its Grant may travel. */
async function letTravel(): Promise<void> {
  await sts.apply((world) => ({
    ...world,
    applications: world.applications.map((one) =>
      one.metadata.name === 'cart'
        ? application({ ...one.spec, delegation: { receivers: 'Zone' } }, { name: 'cart' })
        : one,
    ),
    grants: world.grants.map((one) =>
      one.metadata.name === 'cart-payments' || one === world.grants[0]
        ? grant({ ...one.spec, delegation: 'Zone' }, one.metadata)
        : one,
    ),
  }));
}

beforeAll(async () => {
  sts = await startSTS();
  await letTravel();
  cart = await lifecycleOf(sts);
  till = await lifecycleOf(sts, BY_TILL);
});
afterAll(() => sts.close());
beforeEach(async () => {
  cart = await lifecycleOf(sts);
  till = await lifecycleOf(sts, BY_TILL);
});

const within = (session: string, form: Form = {}) =>
  sts.token({ ...BY_SECRET, ...READ, agent_session_id: session, use: 'resource', ...form });
const results = async (...mandates: readonly string[]) => (await revalidate(sts, mandates)).body['results'];

async function delegated(more: Readonly<Record<string, unknown>> = {}) {
  const source = await startAgent(sts, cart, 'shop.cart');
  const target = await startAgent(sts, till, 'shop.till');
  const answer = await call(sts, cart, 'POST', '/delegations', { body: edgeOf(source, target, more) });
  return { source, target, answer, edge: String(answer.body['delegation_edge_id']) };
}

const under = (session: string, edge: string, form: Form = {}) =>
  sts.token({ ...BY_TILL, ...READ, agent_session_id: session, delegation_edge_id: edge, use: 'resource', ...form });

describe('an agent session', () => {
  it('is started by its application, and answers with all that a client needs', async () => {
    const { status, body } = await call(sts, cart, 'POST', '/agents', {
      body: { application_id: 'shop.cart', ttl_seconds: 60, labels: ['nightly'] },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      zone_id: 'shop.main',
      application_id: 'shop.cart',
      parent_id: null,
      lifecycle: 'task',
      labels: ['nightly'],
      status: 'active',
      depth: 0,
      ttl_seconds: 60,
      heartbeat_deadline_at: null,
      lease_generation: 0,
      delegation_edge_id: null,
    });
    expect(body['agent_session_id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is named in its mandates, which live no longer than it does', async () => {
    const session = await startAgent(sts, cart, 'shop.cart', { ttl_seconds: 60 });
    const { claims } = decode(mandateOf(await within(session)));
    expect(claims['agent_session_id']).toBe(session);
    expect((claims['exp'] as number) - sts.seconds()).toBeLessThanOrEqual(60);
    expect(claims).not.toHaveProperty('delegation_path');
  });

  it('ends its mandates with itself, and with its parent', async () => {
    const parent = await startAgent(sts, cart, 'shop.cart');
    const child = await startAgent(sts, cart, 'shop.cart', { parent_id: parent });
    const mandates = [mandateOf(await within(parent)), mandateOf(await within(child))];
    expect(await results(...mandates)).toEqual([{ valid: true }, { valid: true }]);
    expect((await call(sts, cart, 'DELETE', `/agents/${parent}`)).status).toBe(204);
    const ended = { valid: false, reason: 'SessionNotActive' };
    expect(await results(...mandates)).toEqual([ended, ended]);
    expect(errorOf(await within(child))).toBe('403 access_denied');
    const shown = await call(sts, cart, 'GET', `/agents/${child}`);
    expect(shown.body['status']).toBe('ended');
  });

  it('is suspended with all below it, and resumed', async () => {
    const parent = await startAgent(sts, cart, 'shop.cart');
    const child = await startAgent(sts, cart, 'shop.cart', { parent_id: parent });
    const suspended = await call(sts, cart, 'PATCH', `/agents/${parent}/suspend`);
    expect([suspended.status, suspended.body['status']]).toEqual([200, 'suspended']);
    expect((await within(child)).body['reason']).toBe('SessionNotActive');
    expect((await call(sts, cart, 'PATCH', `/agents/${parent}/resume`)).body['status']).toBe('active');
    expect((await within(child)).status).toBe(200);
  });

  it('expires by itself, and tells the gateways', async () => {
    const session = await startAgent(sts, cart, 'shop.cart', { ttl_seconds: 30 });
    const mandate = mandateOf(await within(session));
    const { claims } = decode(mandate);
    sts.advance(31);
    await expect
      .poll(async () => (await call(sts, await lifecycleOf(sts), 'GET', `/agents/${session}`)).body['status'])
      .toBe('expired');
    const answer = await revalidate(sts, [mandateOf(await sts.token({ ...BY_SECRET, ...READ }))]);
    expect(answer.body['epoch']).toBeGreaterThan(claims['epoch'] as number);
  });

  it('is remembered by a replica that starts anew', async () => {
    const { source, target, edge } = await delegated();
    await sts.restart();
    expect((await within(source)).status).toBe(200);
    expect((await under(target, edge)).status).toBe(200);
  });

  it('belongs to its application: nobody else sees, ends or uses it', async () => {
    const session = await startAgent(sts, cart, 'shop.cart');
    expect(errorOf(await call(sts, till, 'GET', `/agents/${session}`))).toBe('404 agent_session_not_found');
    expect(errorOf(await call(sts, till, 'DELETE', `/agents/${session}`))).toBe('404 agent_session_not_found');
    expect(errorOf(await call(sts, till, 'POST', '/agents', { body: { application_id: 'shop.cart' } }))).toBe(
      '403 access_denied',
    );
    const stolen = await sts.token({ ...BY_TILL, ...READ, agent_session_id: session, use: 'resource' });
    expect(stolen.body['reason']).toBe('SessionUnknown');
  });

  it('is started once for one Idempotency-Key, and refused for another body', async () => {
    const headers = { 'idempotency-key': 'run-1' };
    const body = { application_id: 'shop.cart', ttl_seconds: 61 };
    const first = await call(sts, cart, 'POST', '/agents', { body, headers });
    const second = await call(sts, cart, 'POST', '/agents', { body, headers });
    expect(second.text).toBe(first.text);
    expect(second.headers['idempotency-replayed']).toBe('true');
    const other = await call(sts, cart, 'POST', '/agents', { body: { ...body, ttl_seconds: 62 }, headers });
    expect(errorOf(other)).toBe('409 idempotency_key_reused');
  });

  it('is kept alive, as a service, by whoever holds its lease', async () => {
    const session = await startAgent(sts, cart, 'shop.cart', { lifecycle: 'service' });
    const taken = await call(sts, cart, 'POST', `/agents/${session}/lease`);
    expect(taken.body).toMatchObject({ status: 'active', lease_generation: 2 });
    const stale = await call(sts, cart, 'POST', `/agents/${session}/heartbeat`, { body: { lease_generation: 1 } });
    expect(errorOf(stale)).toBe('409 session_lease_fenced');
    const kept = await call(sts, cart, 'POST', `/agents/${session}/heartbeat`, { body: { lease_generation: 2 } });
    expect(kept.body).toMatchObject({ agent: { status: 'active', lease_generation: 2 } });
    const fenced = await call(sts, cart, 'DELETE', `/agents/${session}`, { body: { lease_generation: 1 } });
    expect(errorOf(fenced)).toBe('409 session_lease_fenced');
    expect((await within(session)).status).toBe(200);
  });

  it('is told for a day after its end, and then forgotten, in memory too', async () => {
    const session = await startAgent(sts, cart, 'shop.cart', { ttl_seconds: 60 });
    const state = async () => call(sts, await lifecycleOf(sts), 'GET', `/agents/${session}`);
    sts.advance(24 * 3600);
    await expect.poll(async () => (await state()).body['status']).toBe('expired');
    sts.advance(25 * 3600);
    await expect.poll(async () => errorOf(await state())).toBe('404 agent_session_not_found');
  });

  it('is listed a page at a time', async () => {
    const parent = await startAgent(sts, cart, 'shop.cart');
    const children: string[] = [];
    for (let index = 0; index < 3; index += 1)
      children.push(await startAgent(sts, cart, 'shop.cart', { parent_id: parent }));
    const first = await call(sts, cart, 'GET', `/agents/${parent}/children?limit=2`);
    const rest = await call(sts, cart, 'GET', `/agents/${parent}/children?cursor=${String(first.body['next_cursor'])}`);
    const items = [...(first.body['items'] as Form[]), ...(rest.body['items'] as Form[])];
    expect(items.map((item) => item['agent_session_id']).sort()).toEqual(children.sort());
    expect(rest.body['next_cursor']).toBeNull();
  });

  it('cannot be called with anything but a session mandate of agent:lifecycle', async () => {
    const resource = mandateOf(await sts.token({ ...BY_SECRET, ...READ }));
    for (const bearer of [resource, 'x.y.z', ''])
      expect(errorOf(await call(sts, bearer, 'GET', '/agents'))).toBe('401 invalid_token');
    expect((await call(sts, cart, 'GET', '/agents?limit=0')).body['request_id']).toBeTypeOf('string');
  });
});

describe('a delegation', () => {
  it('gives the receiver what the issuer’s Grants and the edge have in common, on behalf of the root', async () => {
    const { source, target, answer, edge } = await delegated({ scopes: ['read', 'write'] });
    expect(answer.status).toBe(201);
    expect(answer.body['effective_authority']).toEqual([{ resource: PAYMENTS, scopes: ['read', 'write'] }]);
    const { claims } = decode(mandateOf(await under(target, edge)));
    expect(claims).toMatchObject({
      sub: 'shop.cart',
      sub_type: 'application',
      client_id: 'shop.till',
      act: { sub: 'shop.till' },
      scope: 'read',
      agent_session_id: target,
      delegation_edge_id: edge,
      source_session_id: source,
      target_session_id: target,
      delegation_path: [edge],
      hop_count: 1,
      delegation_chain: [
        { application_id: 'shop.cart', agent_session_id: source, delegation_edge_id: edge },
        { application_id: 'shop.till', agent_session_id: target },
      ],
    });
  });

  it('is not needed twice and gives nothing beyond itself', async () => {
    const { target, edge } = await delegated();
    expect((await under(target, edge, { scope: 'write' })).body['reason']).toBe('ScopeNotDelegated');
    expect((await under(target, edge, { resource: LEDGER })).body['reason']).toBe('ScopeNotGranted');
    expect((await under(target, edge, { ttl_seconds: '900' })).body['reason']).toBe('LifetimeExceedsDelegation');
    const own = await sts.token({ ...BY_TILL, ...READ, agent_session_id: target, use: 'resource' });
    expect(own.body['reason']).toBe('ScopeNotGranted');
  });

  it('ends with its source, by its revocation, and with the Grant it rests on', async () => {
    const one = await delegated();
    const two = await delegated();
    const three = await delegated();
    const mandates = [one, two, three].map(({ target, edge }) => under(target, edge));
    const tokens = (await Promise.all(mandates)).map(mandateOf);
    await call(sts, cart, 'DELETE', `/agents/${one.source}`);
    const revoked = await call(sts, cart, 'PATCH', `/delegations/${two.edge}/revoke`);
    expect(revoked.body).toEqual({ revoked_edges: 1, affected_sessions: 1, terminated_sessions: 0 });
    const again = await call(sts, cart, 'PATCH', `/delegations/${two.edge}/revoke`);
    expect(again.body).toEqual({ revoked_edges: 0, affected_sessions: 0, terminated_sessions: 0 });
    const dead = { valid: false, reason: 'DelegationNotActive' };
    expect(await results(...tokens)).toEqual([dead, dead, { valid: true }]);
    const before = sts.world();
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    expect(await results(tokens[2]!)).toEqual([{ valid: false, reason: 'ScopeNotGranted' }]);
    await sts.apply(() => before);
  });

  it('is seen from both ends, and revoked by the issuer only', async () => {
    const { source, target, edge } = await delegated();
    const inbound = await call(sts, till, 'GET', `/delegations/inbound/${target}`);
    const outbound = await call(sts, cart, 'GET', `/delegations/outbound/${source}`);
    expect(inbound.body['items']).toEqual(outbound.body['items']);
    expect((inbound.body['items'] as Form[])[0]).toMatchObject({ id: edge, status: 'active' });
    expect(errorOf(await call(sts, till, 'PATCH', `/delegations/${edge}/revoke`))).toBe('404 delegation_not_found');
  });

  it('needs an end, a receiver that may receive, and scopes that there are', async () => {
    const source = await startAgent(sts, cart, 'shop.cart');
    const target = await startAgent(sts, till, 'shop.till');
    const attempt = async (more: Readonly<Record<string, unknown>>) =>
      errorOf(await call(sts, cart, 'POST', '/delegations', { body: edgeOf(source, target, more) }));
    expect(await attempt({ ttl_seconds: undefined })).toBe('400 delegation_expiry_required');
    expect(await attempt({ scopes: ['sealed'] })).toBe('403 delegation_exceeds_parent_authority');
    expect(await attempt({ target_session_id: source })).toBe('404 agent_session_not_found');
    expect(await attempt({ constraints: { max_hops: 2, max_depth: 3 } })).toBe('400 invalid_request');
    expect(await attempt({ surprise: true })).toBe('400 invalid_request');
  });

  it('leaves a record of each act, with no word that an agent said of itself', async () => {
    const session = await startAgent(sts, cart, 'shop.cart', { labels: ['said-by-agent'] });
    const records = await sts.store().decisions(ZONE_UID, 1);
    expect(records[0]).toMatchObject({
      kind: 'act',
      outcome: 'done',
      act: { name: 'session.started', by: 'shop.cart', objects: [{ kind: 'agentSession', id: session }] },
    });
    expect(JSON.stringify(records)).not.toContain('said-by-agent');
  });

  it('ends with a Revocation of the agent session above it, which its mandates do not name', async () => {
    const root = await startAgent(sts, cart, 'shop.cart');
    const source = await startAgent(sts, cart, 'shop.cart', { parent_id: root });
    const target = await startAgent(sts, till, 'shop.till');
    const made = await call(sts, cart, 'POST', '/delegations', { body: edgeOf(source, target) });
    const mandate = mandateOf(await under(target, String(made.body['delegation_edge_id'])));
    const feed = await openFeed(sts);
    await sts.apply((world) => ({ ...world, revocations: [revocation({ agentSession: root })] }));
    const told = await feed.wait('epoch', ({ change }) => {
      const { sessions = [] } = change as { readonly sessions?: readonly string[] };
      return sessions.includes(source);
    });
    expect(told.data['change']).toMatchObject({ all: false });
    expect(await results(mandate)).not.toEqual([{ valid: true }]);
    expect((await call(sts, cart, 'GET', `/agents/${source}`)).body['status']).toBe('ended');
    feed.close();
  });

  it('is denied while its Application is not there, and ends when that is created anew', async () => {
    const { source, target, edge } = await delegated();
    const mandate = mandateOf(await under(target, edge));
    const before = sts.world();
    await sts.apply((world) => ({
      ...world,
      applications: world.applications.filter((one) => one.metadata.name !== 'till'),
    }));
    expect(await results(mandate)).toEqual([{ valid: false, reason: 'ApplicationUnknown' }]);
    await sts.apply(() => before);
    expect((await under(target, edge)).status).toBe(200);
    await sts.apply((world) => ({
      ...world,
      applications: world.applications.map((one) =>
        one.metadata.name === 'till' ? { ...one, metadata: { ...one.metadata, uid: 'uid-till-created-anew' } } : one,
      ),
    }));
    const edges = async () => (await call(sts, cart, 'GET', `/delegations/outbound/${source}`)).body['items'];
    await expect.poll(edges).toMatchObject([{ id: edge, status: 'revoked' }]);
    await sts.apply(() => before);
  });
});
