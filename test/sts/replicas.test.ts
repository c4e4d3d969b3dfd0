/** Two replicas of the STS over one PostgreSQL: what one writes the other knows, and nothing happens twice. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { application, grant, policy, policySet, revision } from '../compiler/world.ts';
import { postgresFor, type PostgresFor } from './replicaStore.ts';
import { BY_TILL, call, edgeOf, lifecycleOf, startAgent } from './agentCalls.ts';
import { openFeed, revalidate } from './gateway.ts';
import { BY_SECRET, errorOf, mandateOf, READ, startSTS, type Answer, type Form, type TestSTS } from './service.ts';
import { PAYMENTS, ZONE_UID } from './shop.ts';
import { decode } from './tokens.ts';

const REGO = `package caracal.policy.shop

allow if true

step_up contains {"tier": "money", "approver": "operator"} if input.scope == "write"
`;

let database: PostgresFor;
let one: TestSTS;
let two: TestSTS;

beforeAll(async () => {
  database = await postgresFor();
  one = await startSTS({}, database);
  two = await startSTS({}, { ...database, keys: one.keys });
  const held = revision(2, { policies: [{ name: 'shop', rego: REGO }] }, policySet({ policies: [{ name: 'shop' }] }));
  for (const sts of [one, two])
    await sts.apply((world) => ({
      ...world,
      applications: world.applications.map((app) =>
        app.metadata.name === 'cart'
          ? application({ ...app.spec, delegation: { receivers: 'Zone' } }, { name: 'cart' })
          : app,
      ),
      grants: [
        grant({ ...world.grants[0]!.spec, delegation: 'Zone' }, world.grants[0]!.metadata),
        ...world.grants.slice(1),
      ],
      policies: [policy({ rego: REGO }, { name: 'shop' }), ...world.policies.slice(1)],
      policySetRevisions: [...world.policySetRevisions, held],
    }));
}, 120_000);
afterAll(async () => {
  await two.close();
  await one.close();
  await database.close();
});

const within = (sts: TestSTS, session: string, form: Form = {}) =>
  sts.token({ ...BY_SECRET, ...READ, agent_session_id: session, use: 'resource', ...form });

describe('two replicas', () => {
  it('know each other’s sessions and edges at once, by reading what they do not know', async () => {
    const source = await startAgent(one, await lifecycleOf(one), 'shop.cart');
    expect((await within(two, source)).status).toBe(200);
    const till = await lifecycleOf(two, BY_TILL);
    const target = await startAgent(two, till, 'shop.till');
    const made = await call(one, await lifecycleOf(one), 'POST', '/delegations', { body: edgeOf(source, target) });
    expect(made.status).toBe(201);
    const edge = String(made.body['delegation_edge_id']);
    const form = { ...BY_TILL, ...READ, agent_session_id: target, delegation_edge_id: edge, use: 'resource' };
    expect((await two.token(form)).status).toBe(200);
  });

  it('tell their gateways of what the other ended, with the epoch that it took', async () => {
    const session = await startAgent(one, await lifecycleOf(one), 'shop.cart');
    const mandate = mandateOf(await within(two, session));
    const feed = await openFeed(two);
    await call(one, await lifecycleOf(one), 'DELETE', `/agents/${session}`);
    const told = await feed.wait('epoch', ({ change }) => JSON.stringify(change).includes(session));
    expect(told.data['epoch']).toBeGreaterThan(decode(mandate).claims['epoch'] as number);
    const ended = { valid: false, reason: 'SessionNotActive' };
    expect((await revalidate(two, [mandate])).body['results']).toEqual([ended]);
    feed.close();
  });

  it('spend one approval once, however many ask both at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const ask = (sts: TestSTS, form: Form = {}): Promise<Answer> =>
        sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ttl_seconds: String(60 + round), ...form });
      const id = String((await ask(one)).body['challenge_id']);
      const found = (await two.challenges().wait(id, 0))!;
      const operator = { type: 'operator', name: 'alice', groups: [], applications: [] } as const;
      await two.challenges().decide(found, { approved: true, binding: found.challenge.binding }, operator, 'test');
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => ask(index % 2 === 0 ? one : two, { challenge_id: id })),
      );
      const minted = answers.filter(({ status }) => status === 200);
      expect(new Set(minted.map((answer) => decode(mandateOf(answer)).claims['jti'])).size).toBe(1);
      for (const answer of answers) expect([200, 409]).toContain(answer.status);
      const permits = (await one.store().decisions(ZONE_UID, 500)).filter(
        ({ challengeID, outcome }) => challengeID === id && outcome === 'permit',
      );
      expect(permits).toHaveLength(1);
    }
  });

  it('start one session for one Idempotency-Key that is sent to both', async () => {
    const headers = { 'idempotency-key': 'both' };
    const body = { application_id: 'shop.cart' };
    const mandate = await lifecycleOf(one);
    const answers = await Promise.all(
      [one, two].map((sts) => call(sts, mandate, 'POST', '/agents', { body, headers })),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[0]!.body['agent_session_id']).toBe(answers[1]!.body['agent_session_id']);
  });

  it('prove nothing while they cannot read the store, and go on when they can', async () => {
    const feed = await openFeed(two);
    database.server.pause();
    await expect.poll(async () => (await two.send({ path: '/ready' })).status, { timeout: 10_000 }).toBe(503);
    const silentFrom = feed.events.length;
    expect(errorOf(await two.token({ ...BY_SECRET, ...READ }))).toBe('503 sts_unavailable');
    expect(feed.events.slice(silentFrom).filter(({ event }) => event === 'heartbeat')).toEqual([]);
    database.server.resume();
    await expect.poll(async () => (await two.send({ path: '/ready' })).status, { timeout: 10_000 }).toBe(200);
    expect((await two.token({ ...BY_SECRET, ...READ })).status).toBe(200);
    feed.close();
  });
});
