/** Step-up over the wire: a hold, a person's decision, one mandate; and everything that must not pass for it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Challenges } from '../../src/sts/stepUp/challenges.ts';
import { application, grant, policy, policySet, resource, revision, zone } from '../compiler/world.ts';
import { revalidate } from './gateway.ts';
import {
  BY_SECRET,
  errorOf,
  mandateOf,
  startSTS,
  withSubject,
  type Answer,
  type Form,
  type TestSTS,
} from './service.ts';
import { BY_TILL } from './agentCalls.ts';
import { PAYMENTS, ZONE_UID } from './shop.ts';
import { decode, idp, idTokenClaims, signAs, type Claims } from './tokens.ts';

/** `write` waits for an operator, `transfer` for the user, `brief` for either; all else is allowed. */
const REGO = `package caracal.policy.shop

allow if true

step_up contains {"tier": "money", "approver": "operator", "reason": "over the limit"} if input.scope == "write"

step_up contains {"tier": "personal", "approver": "subject"} if input.scope == "transfer"

step_up contains {"tier": "quick", "approver": "any", "ttl_seconds": 20} if input.scope == "brief"
`;

let sts: TestSTS;
let challenges: Challenges;

beforeAll(async () => {
  sts = await startSTS();
  const held = { name: 'shop', rego: REGO };
  const set = policySet({ policies: [{ name: 'shop' }] });
  await sts.apply((world) => ({
    ...world,
    zones: world.zones.map((one) =>
      one.metadata.uid === ZONE_UID
        ? zone({ ...one.spec, stepUp: { ...one.spec.stepUp, approverApplications: [{ name: 'till' }] } }, one.metadata)
        : one,
    ),
    applications: world.applications.map((one) =>
      one.metadata.name === 'till' ? application({ ...one.spec, subjectAudiences: ['till-web'] }, one.metadata) : one,
    ),
    grants: world.grants.map((one) =>
      one.metadata.name === 'alice' ? grant({ ...one.spec, scopes: ['transfer'] }, one.metadata) : one,
    ),
    policies: [policy({ rego: REGO }, { name: 'shop' }), ...world.policies.slice(1)],
    policySetRevisions: [...world.policySetRevisions, revision(2, { policies: [held] }, set)],
  }));
  challenges = sts.challenges();
});
afterAll(() => sts.close());
// The back-off after a rejection is over.
beforeEach(() => sts.advance(4 * 3600 + 400));

const ask = (form: Form = {}) => sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'write', ...form });
const idOf = (answer: Answer) => String(answer.body['challenge_id']);
const statusOf = async (id: string) => (await sts.send({ path: `/step-up/${id}` })).body['state'];
const operator = (name = 'alice@example.com') => ({ type: 'operator', name, groups: [], applications: [] }) as const;

async function decide(id: string, approved: boolean, who = operator(), reason?: string) {
  const found = challenges.find(id)!;
  const { binding } = found.challenge;
  return challenges.decide(found, { approved, binding, ...(reason !== undefined && { reason }) }, who, 'test');
}

describe('a hold', () => {
  it('answers interaction_required with everything that a person needs to decide', async () => {
    const answer = await ask();
    expect(errorOf(answer)).toBe('401 interaction_required');
    expect(answer.headers['www-authenticate']).toBe('Bearer error="interaction_required"');
    expect(answer.body).toMatchObject({
      challenge_type: 'human_approval',
      approval_type: 'human_approval',
      state: 'pending',
      tier: 'money',
      error_description: 'a person has to approve (tier money): over the limit',
    });
    expect(answer.body['approval_id']).toBe(answer.body['challenge_id']);
    expect(answer.body['binding']).toMatch(/^[0-9a-f]{64}$/);
    expect(await statusOf(idOf(answer))).toBe('pending');
  });

  it('is shared by all that ask for the same, and is another for another act', async () => {
    const [one, two] = [await ask(), await ask()];
    expect(idOf(two)).toBe(idOf(one));
    expect(idOf(await ask({ ttl_seconds: '60' }))).not.toBe(idOf(one));
  });

  it('is bounded: five wait for one session', async () => {
    for (let ttl = 101; ttl <= 105; ttl += 1) expect((await ask({ ttl_seconds: String(ttl) })).status).toBe(401);
    const sixth = await ask({ ttl_seconds: '106' });
    expect(errorOf(sixth)).toBe('429 rate_limited');
    expect(Number(sixth.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('wakes whoever waits for it when it is decided', async () => {
    const id = idOf(await ask());
    const waiting = sts.send({ path: `/approvals/${id}?wait=25` });
    await decide(id, true);
    expect((await waiting).body).toMatchObject({ id, state: 'approved' });
  });

  it('leaves a record of itself, of the decision, and of what was minted', async () => {
    const id = idOf(await ask());
    await decide(id, true);
    mandateOf(await ask({ challenge_id: id }));
    const records = await sts.store().decisions(ZONE_UID, 3);
    expect(records.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      'exchange permit',
      'act done',
      'exchange hold',
    ]);
    expect(records[0]!.challengeID).toBe(id);
    expect(records[1]!.act).toMatchObject({ name: 'challenge.decided', by: 'operator:alice@example.com' });
  });
});

describe('an approval', () => {
  it('gives one mandate, for one use, and the same one again when the reply was lost', async () => {
    const id = idOf(await ask());
    await decide(id, true);
    const first = decode(mandateOf(await ask({ challenge_id: id }))).claims;
    expect(first).toMatchObject({ once: true, scope: 'write' });
    const again = decode(mandateOf(await ask({ approval_id: id }))).claims;
    expect(again).toEqual(first);
    sts.advance(121);
    expect(errorOf(await ask({ challenge_id: id }))).toBe('409 approval_consumed');
    expect(await statusOf(id)).toBe('consumed');
  });

  it('is spent once, however many ask at once', async () => {
    const id = idOf(await ask());
    await decide(id, true);
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask({ challenge_id: id })));
    const jtis = new Set(answers.map((answer) => decode(mandateOf(answer)).claims['jti']));
    expect(jtis.size).toBe(1);
    const permits = (await sts.store().decisions(ZONE_UID, 60)).filter(
      ({ challengeID, outcome }) => challengeID === id && outcome === 'permit',
    );
    expect(permits).toHaveLength(1);
  });

  it('is for exactly what was asked: another scope, lifetime or application does not get it', async () => {
    const id = idOf(await ask());
    await decide(id, true);
    const refused = '401 access_denied';
    expect(errorOf(await ask({ challenge_id: id, scope: 'write brief' }))).toBe(refused);
    expect(errorOf(await ask({ challenge_id: id, ttl_seconds: '30' }))).toBe(refused);
    expect(errorOf(await ask({ challenge_id: randomUUID() }))).toBe(refused);
    expect((await ask({ challenge_id: id })).status).toBe(200);
  });

  it('does not outlive a change of the Resource that it is for', async () => {
    const id = idOf(await ask());
    await decide(id, true);
    const before = sts.world();
    await sts.apply((world) => ({
      ...world,
      resources: [
        resource(
          { ...world.resources[0]!.spec, upstream: { url: 'https://elsewhere.example' } },
          world.resources[0]!.metadata,
        ),
        ...world.resources.slice(1),
      ],
    }));
    expect(errorOf(await ask({ challenge_id: id }))).toBe('401 access_denied');
    await sts.apply(() => before);
  });

  it('stays good for its mandate when that is judged again, and stops with the Grant', async () => {
    const id = idOf(await ask());
    await decide(id, true);
    const mandate = mandateOf(await ask({ challenge_id: id }));
    expect((await revalidate(sts, [mandate])).body['results']).toEqual([{ valid: true }]);
    const before = sts.world();
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    expect((await revalidate(sts, [mandate])).body['results']).toEqual([{ valid: false, reason: 'ScopeNotGranted' }]);
    await sts.apply(() => before);
  });

  it('expires with its challenge', async () => {
    const id = idOf(await ask({ scope: 'brief' }));
    await decide(id, true);
    sts.advance(20);
    expect(errorOf(await ask({ scope: 'brief', challenge_id: id }))).toBe('401 access_denied');
    expect(await statusOf(id)).toBe('expired');
  });
});

describe('a rejection', () => {
  it('refuses the same request, with its reason, with the id and without', async () => {
    const id = idOf(await ask());
    await decide(id, false, operator(), 'not today');
    for (const form of [{ challenge_id: id }, {}]) {
      const answer = await ask(form);
      expect(errorOf(answer)).toBe('403 access_denied');
      expect(answer.body['error_description']).toBe('StepUpRejected: the approval was rejected: not today');
    }
    await expect(decide(id, true)).rejects.toThrow('not pending');
  });

  it('stands for the Zone’s time of who decides, though the challenge was shorter', async () => {
    const id = idOf(await ask({ scope: 'brief' }));
    await decide(id, false);
    sts.advance(3600);
    expect((await ask({ scope: 'brief' })).body['reason']).toBe('StepUpRejected');
    sts.advance(4 * 3600);
    expect((await ask({ scope: 'brief' })).body['error']).toBe('interaction_required');
  });
});

describe('who decides', () => {
  it('is no ServiceAccount, and nobody twice', async () => {
    const id = idOf(await ask());
    const machine = operator('system:serviceaccount:flux-system:kustomize-controller');
    await expect(decide(id, true, machine)).rejects.toThrow('service_account');
    await decide(id, true);
    await expect(decide(id, false)).rejects.toThrow('not pending');
  });

  const login = async (by: Form, claims: Claims) =>
    mandateOf(await sts.token({ ...by, ...withSubject(signAs(idp, idTokenClaims(sts.seconds(), claims))) }));
  const inPerson = (id: string, mandate: string, binding: string) =>
    sts.send({
      method: 'POST',
      path: `/step-up/${id}/decision`,
      headers: { authorization: `Bearer ${mandate}`, 'content-type': 'application/json' },
      body: JSON.stringify({ decision: 'approved', binding }),
    });
  const heldFor = async () => {
    const session = await login(BY_SECRET, {});
    const form = { scope: 'transfer', ...withSubject(session, 'access_token') };
    return { form, answer: await ask(form) };
  };

  it('is the user in person, by a login that was made for this challenge through an approver application', async () => {
    const { form, answer } = await heldFor();
    const [id, binding] = [idOf(answer), String(answer.body['binding'])];
    expect(answer.body).toMatchObject({ tier: 'personal', approver: 'subject' });
    const fresh = { aud: 'till-web', nonce: binding, auth_time: sts.seconds() };
    const wrong: readonly [string, Form, Claims][] = [
      ['another nonce', BY_TILL, { ...fresh, nonce: 'x' }],
      ['an old login', BY_TILL, { ...fresh, auth_time: sts.seconds() - 400 }],
      ['no auth_time', BY_TILL, { aud: 'till-web', nonce: binding }],
      ['another user', BY_TILL, { ...fresh, sub: 'bob' }],
      ['the requesting application', BY_SECRET, { ...fresh, aud: 'cart-web' }],
    ];
    for (const [what, by, claims] of wrong) {
      const refused = await inPerson(id, await login(by, claims), binding);
      expect([what, [401, 403].includes(refused.status)]).toEqual([what, true]);
    }
    expect(await statusOf(id)).toBe('pending');
    const approved = await inPerson(id, await login(BY_TILL, fresh), binding);
    expect(approved.body).toMatchObject({ id, state: 'approved' });
    expect(decode(mandateOf(await ask({ ...form, challenge_id: id }))).claims).toMatchObject({ sub: 'corp:alice' });
  });

  it('is not an operator where policy asks for the user', async () => {
    const { answer } = await heldFor();
    await expect(decide(idOf(answer), true)).rejects.toThrow('wrong_approver');
  });
});
