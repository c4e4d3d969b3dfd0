/** Generated exchanges, one or two fields of each away from a good one, against the table of what they must come to. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { application, grant, policy, policySet, revision } from '../compiler/world.ts';
import { BY_TILL, call, edgeOf, lifecycleOf, startAgent } from '../sts/agentCalls.ts';
import { BY_SECRET, mandateOf, startSTS, withSubject, type Answer, type Form, type TestSTS } from '../sts/service.ts';
import { LEDGER, PAYMENTS } from '../sts/shop.ts';
import { decode, idp, idTokenClaims, ISSUER, signAs } from '../sts/tokens.ts';
import { makeProof, newProofKey } from '../tokens/dpop.ts';
import { count, howOften } from './counts.ts';
import { expected, isLogin, VALUES, type Combination } from './matrixOracle.ts';

const REGO = `package caracal.policy.shop

allow if input.scope != "silent"

deny contains "transfers need a person" if input.scope == "transfer"

max_ttl_seconds := 30 if input.scope == "brief"

step_up contains {"tier": "money", "approver": "operator"} if input.scope == "write"
`;

const PLAIN: Combination = {
  ...{ caller: 'cart', session: 'none', edge: 'none', subject: 'none', resource: 'payments', scope: 'read' },
  ...{ use: 'none', ttl: 'none', challenge: 'none', dpop: 'none' },
};
/** Good ones, each of another kind. */
const BASES: readonly Combination[] = [
  PLAIN,
  { ...PLAIN, session: 'own', use: 'resource' },
  { ...PLAIN, subject: 'alice', dpop: 'good' },
  { ...PLAIN, caller: 'till', session: 'own', edge: 'own', use: 'resource', ttl: '60' },
  { ...PLAIN, scope: 'write', ttl: '60' },
  { ...PLAIN, scope: 'agent:lifecycle', resource: 'none' },
];
const EVERY = howOften(1, 4);

/** Each once: the bases, and all that differ from one of them in one field or in two. */
function combinations(): readonly Combination[] {
  const fields = Object.keys(VALUES) as (keyof Combination)[];
  const changed = (from: Combination, field: keyof Combination) =>
    VALUES[field].map((value) => ({ ...from, [field]: value }) as Combination);
  const all = BASES.flatMap((base) =>
    fields.flatMap((one, index) =>
      changed(base, one).flatMap((first) => fields.slice(index + 1).flatMap((two) => changed(first, two))),
    ),
  );
  return [...new Map(all.map((asked) => [JSON.stringify(asked), asked])).values()];
}

let sts: TestSTS;
const names: Record<'cart' | 'till', { session: string; ended: string; lifecycle: string }> = {
  cart: { session: '', ended: '', lifecycle: '' },
  till: { session: '', ended: '', lifecycle: '' },
};
const edges = { own: '', revoked: '', elsewhere: '' };
let alice = '';
let nonce = '';
const key = newProofKey();

beforeAll(async () => {
  sts = await startSTS();
  const held = revision(2, { policies: [{ name: 'shop', rego: REGO }] }, policySet({ policies: [{ name: 'shop' }] }));
  await sts.apply((world) => ({
    ...world,
    applications: world.applications.map((one) =>
      one.metadata.name === 'cart'
        ? application({ ...one.spec, delegation: { receivers: 'Zone' } }, { name: 'cart' })
        : one,
    ),
    grants: [
      grant({ ...world.grants[0]!.spec, delegation: 'Zone' }, world.grants[0]!.metadata),
      ...world.grants.slice(1),
    ],
    policies: [policy({ rego: REGO }, { name: 'shop' }), ...world.policies.slice(1)],
    policySetRevisions: [...world.policySetRevisions, held],
  }));
  for (const [name, form] of [['cart', BY_SECRET] as const, ['till', BY_TILL] as const]) {
    const lifecycle = await lifecycleOf(sts, form);
    const start = () => startAgent(sts, lifecycle, `shop.${name}`);
    names[name] = { session: await start(), ended: await start(), lifecycle };
    await call(sts, lifecycle, 'DELETE', `/agents/${names[name].ended}`);
  }
  const { cart, till } = names;
  const other = await startAgent(sts, till.lifecycle, 'shop.till');
  const delegate = async (target: string) => {
    const body = edgeOf(cart.session, target, { ttl_seconds: 3000 });
    const made = await call(sts, cart.lifecycle, 'POST', '/delegations', { body });
    return String(made.body['delegation_edge_id']);
  };
  edges.own = await delegate(till.session);
  edges.revoked = await delegate(till.session);
  edges.elsewhere = await delegate(other);
  expect((await call(sts, cart.lifecycle, 'PATCH', `/delegations/${edges.revoked}/revoke`)).status).toBe(200);
  const login = signAs(idp, idTokenClaims(sts.seconds()));
  alice = mandateOf(await sts.token({ ...BY_SECRET, ...withSubject(login) }));
  const dpop = proof('none');
  nonce = String(
    (await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'read' }, { headers: { dpop } })).headers['dpop-nonce'],
  );
});
afterAll(() => sts.close());

const proof = (withNonce: string, method = 'POST') =>
  makeProof({ method, url: `${ISSUER}/oauth/2/token`, nonce: withNonce, now: sts.seconds() * 1000 }, key);

const NOT_SENT = undefined;

function formOf(asked: Combination): Form {
  const own = names[asked.caller];
  const foreign = names[asked.caller === 'cart' ? 'till' : 'cart'];
  const sessions = { none: NOT_SENT, own: own.session, ended: own.ended, foreign: foreign.session };
  const others = { unknown: randomUUID(), malformed: 'not-an-id' };
  const subjects: Readonly<Record<Combination['subject'], Form>> = {
    none: {},
    itself: withSubject(own.lifecycle, 'access_token'),
    alice: withSubject(alice, 'access_token'),
    forged: withSubject(`${alice.slice(0, -8)}AAAAAAAA`, 'access_token'),
    untyped: { subject_token: alice },
  };
  const resources: Readonly<Record<Combination['resource'], Form['resource']>> = {
    ...{ payments: PAYMENTS, ledger: LEDGER, unknown: `${PAYMENTS}/`, two: [PAYMENTS, LEDGER], none: NOT_SENT },
    ...{ malformed: 'payments', fragment: `${PAYMENTS}#all` },
  };
  const scopes: Readonly<Record<string, string | undefined>> = { none: NOT_SENT, 'two spaces': 'read  brief' };
  return {
    ...(asked.caller === 'cart' ? BY_SECRET : BY_TILL),
    ...subjects[asked.subject],
    agent_session_id: { ...sessions, ...others }[asked.session],
    delegation_edge_id: { none: NOT_SENT, ...edges, ...others }[asked.edge],
    resource: resources[asked.resource],
    scope: asked.scope in scopes ? scopes[asked.scope] : asked.scope,
    use: asked.use === 'none' ? NOT_SENT : asked.use,
    ttl_seconds: asked.ttl === 'none' ? NOT_SENT : asked.ttl,
    challenge_id: { none: NOT_SENT, ...others }[asked.challenge],
  };
}

function send(asked: Combination): Promise<Answer> {
  const proofs = { none: NOT_SENT, good: proof(nonce), 'other method': proof(nonce, 'GET'), junk: 'no.such.proof' };
  const dpop = asked.dpop === 'none' ? NOT_SENT : proofs[asked.dpop];
  return sts.token(formOf(asked), dpop === undefined ? {} : { headers: { dpop } });
}

/** Where a mandate is wider than what was asked for; empty where it is not. */
function wider(asked: Combination, mandate: string): readonly string[] {
  const { claims } = decode(mandate);
  const login = isLogin(asked);
  const own = names[asked.caller];
  const lifetime = (claims['exp'] as number) - (claims['iat'] as number);
  const most = asked.ttl === 'none' ? (login ? 3600 : 900) : Number(asked.ttl);
  const must: Readonly<Record<string, unknown>> = {
    use: login ? 'session' : 'resource',
    aud: [login ? ISSUER : PAYMENTS],
    scope: asked.scope,
    client_id: `shop.${asked.caller}`,
    sub: asked.subject === 'alice' ? 'corp:alice' : 'shop.cart',
    agent_session_id: asked.session === 'own' ? own.session : undefined,
    delegation_edge_id: asked.edge === 'own' ? edges.own : undefined,
    cnf: asked.dpop === 'good' ? { jkt: key.jkt } : undefined,
    ...(login && asked.caller === 'till' && { sub: 'shop.till' }),
  };
  return [
    ...Object.entries(must).flatMap(([name, value]) =>
      JSON.stringify(claims[name]) === JSON.stringify(value) ? [] : [`${name} is ${JSON.stringify(claims[name])}`],
    ),
    ...(lifetime > (asked.scope === 'read brief' ? Math.min(most, 30) : most) ? [`it lives ${lifetime} s`] : []),
  ];
}

/** A session may wait for five approvals at once: what would be one more is told so. */
const heldOr = (wanted: ReadonlySet<string>) =>
  wanted.has('401 interaction_required') ? new Set([...wanted, '429 rate_limited']) : wanted;

describe('an exchange of whatever combination of fields', () => {
  it(
    'X-01 X-07 X-09 X-20 X-22 D-07 is answered as the table says, is no failure of ours, and gives nothing wider than asked',
    { timeout: 300_000 },
    async (context) => {
      const all = combinations().filter((_, index) => index % EVERY === 0);
      const outcomes = new Map<string, number>();
      const wrong: string[] = [];
      let minted = 0;
      for (const asked of all) {
        const answer = await send(asked);
        const outcome = answer.status === 200 ? '200' : `${answer.status} ${String(answer.body['error'])}`;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        const wanted = heldOr(expected(asked));
        const difference = Object.entries(asked).filter(
          ([field, value]) => PLAIN[field as keyof Combination] !== value,
        );
        const what = JSON.stringify(Object.fromEntries(difference));
        if (!wanted.has(outcome))
          wrong.push(
            `${what}: ${outcome} (${String(answer.body['error_description'])}), not ${[...wanted].join(' or ')}`,
          );
        if (answer.status !== 200) continue;
        minted += 1;
        wrong.push(...wider(asked, mandateOf(answer)).map((why) => `${what}: ${why}`));
      }
      expect(wrong).toEqual([]);
      expect(all.length).toBeGreaterThanOrEqual(600);
      expect(minted).toBeGreaterThan(20);
      const failures = [...outcomes].filter(([outcome]) => outcome.startsWith('5'));
      expect(failures).toEqual([]);
      count(context, {
        fault: 'exchange matrix',
        runs: all.length,
        minted,
        wrong: wrong.length,
        outcomes: outcomes.size,
      });
    },
  );
});
