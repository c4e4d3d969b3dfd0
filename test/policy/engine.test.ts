/** The engine answers as the policy contract says, from text to outcome. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { policySetDigest } from '../../src/policy/digest.ts';
import type { PolicyEngine } from '../../src/policy/engine.ts';
import { createPolicyEngine } from '../../src/policy/workers.ts';
import { clock, createTestOPA, prepare, readManifests, toInput, toPolicy, type TestOPA } from './support.ts';

let test: TestOPA;
let engine: PolicyEngine;

beforeAll(() => {
  test = createTestOPA();
  engine = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 2000 });
});

afterAll(async () => {
  await engine.close();
  test.remove();
});

const orders = { identifier: 'resource://orders', namespace: 'shop', name: 'orders', type: 'HTTP', scopes: [] };
const user = { ...toInput().subject, type: 'user', issuer: 'corp', sub: 'alice' } as const;

describe('the policies of the quickstart', () => {
  it('permit, deny with their reason, and bound the lifetime', async () => {
    const modules = readManifests('examples/quickstart/policies.yaml')
      .filter(({ kind }) => kind === 'Policy')
      .map(({ metadata, spec }) => ({ name: metadata.name, rego: spec.rego }));
    const evaluate = await prepare(engine, 'quickstart', modules);
    const asked = ['working-set', 'writes-need-a-user'];
    expect(
      await evaluate(
        toInput({ scope: 'orders:read', resource: orders }),
        toInput({ scope: 'orders:write', resource: orders }),
        toInput({ scope: 'orders:write', resource: orders, subject: user }),
        toInput({ scope: 'orders:refund', resource: orders }),
        toInput({ scope: 'orders:read' }),
      ),
    ).toEqual([
      { permit: true, denials: [], allowedBy: ['working-set'], stepUps: [], asked },
      {
        permit: false,
        denials: [{ policy: 'writes-need-a-user', reason: 'placing orders needs a signed-in user' }],
        allowedBy: ['working-set'],
        stepUps: [],
        asked,
      },
      { permit: true, denials: [], allowedBy: ['working-set'], stepUps: [], asked },
      { permit: true, denials: [], allowedBy: ['working-set'], stepUps: [], asked, maxTTLSeconds: 120 },
      { permit: false, denials: [], allowedBy: [], stepUps: [], asked },
    ]);
  });
});

describe('combining', () => {
  it('a deny of one policy beats the allow of another, and the smallest lifetime wins', async () => {
    const evaluate = await prepare(engine, 'combine', [
      toPolicy('a', 'allow := true\n\nmax_ttl_seconds := 90'),
      toPolicy('b', 'deny contains "no" if input.scope == "write"\n\nmax_ttl_seconds := 60'),
    ]);
    const [read, write] = await evaluate(toInput(), toInput({ scope: 'write' }));
    expect(read).toEqual({
      permit: true,
      denials: [],
      allowedBy: ['a'],
      stepUps: [],
      asked: ['a', 'b'],
      maxTTLSeconds: 60,
    });
    expect(write).toMatchObject({ permit: false, denials: [{ policy: 'b', reason: 'no' }], allowedBy: ['a'] });
  });

  it('a login needs no allow, and a deny denies it', async () => {
    const evaluate = await prepare(engine, 'login', [
      toPolicy('a', 'deny contains "not you" if input.subject.sub == "mallory"'),
    ]);
    const login = toInput({ action: { name: 'session' }, scope: '', resource: null, subject: user });
    const [alice, mallory] = await evaluate(login, { ...login, subject: { ...user, sub: 'mallory' } });
    expect(alice).toEqual({ permit: true, denials: [], allowedBy: [], stepUps: [], asked: ['a'] });
    expect(mallory?.permit).toBe(false);
  });

  it('appliesTo bounds allow, deny and lifetime, and a policy that does not apply is not asked', async () => {
    const bounded = 'allow := true\n\ndeny contains "never" if input.scope == "write"\n\nmax_ttl_seconds := 5';
    const evaluate = await prepare(engine, 'bounds', [
      toPolicy('a', 'allow if input.scope == "write"'),
      toPolicy('b', bounded, { resources: ['resource://orders'], applications: ['default.application'] }),
    ]);
    const elsewhere = { ...toInput().principal, id: 'default.other' };
    const [here, write, otherResource, otherApplication, login] = await evaluate(
      toInput({ resource: orders }),
      toInput({ resource: orders, scope: 'write' }),
      toInput({ scope: 'write' }),
      toInput({ resource: orders, scope: 'write', principal: elsewhere }),
      toInput({ action: { name: 'session' }, scope: '', resource: null }),
    );
    expect(here).toEqual({
      permit: true,
      denials: [],
      allowedBy: ['b'],
      stepUps: [],
      asked: ['a', 'b'],
      maxTTLSeconds: 5,
    });
    expect(write?.denials).toEqual([{ policy: 'b', reason: 'never' }]);
    expect(otherResource).toEqual({ permit: true, denials: [], allowedBy: ['a'], stepUps: [], asked: ['a'] });
    expect(otherApplication).toEqual({ permit: true, denials: [], allowedBy: ['a'], stepUps: [], asked: ['a'] });
    expect(login).toEqual({ permit: true, denials: [], allowedBy: [], stepUps: [], asked: ['a'] });
  });

  it('constants are shared within a set and are nobody to ask', async () => {
    const names = { name: 'names', rego: 'package caracal.data.names\n\nbarred := {"mallory", "trudy"}\n' };
    const evaluate = await prepare(engine, 'constants', [
      names,
      toPolicy('a', 'allow if not input.subject.sub in data.caracal.data.names.barred'),
    ]);
    const [application, trudy] = await evaluate(toInput(), toInput({ subject: { ...user, sub: 'trudy' } }));
    expect(application).toEqual({ permit: true, denials: [], allowedBy: ['a'], stepUps: [], asked: ['a'] });
    expect(trudy?.permit).toBe(false);
  });
});

describe('P-08 only the exact shape permits', () => {
  const values = {
    'a string': 'allow := "true"',
    'a number': 'allow := 1',
    null: 'allow := null',
    'a list': 'allow := [true]',
    'an object': 'allow := {"allow": true}',
    'a set': 'allow contains true',
  };
  for (const [what, body] of Object.entries(values)) {
    it(`allow as ${what} denies as wrong_type, whatever another policy allows`, async () => {
      const evaluate = await prepare(engine, 'shape', [toPolicy('a', body), toPolicy('b', 'allow := true')]);
      expect(await evaluate(toInput())).toEqual([
        { permit: false, failure: 'wrong_type', denials: [], allowedBy: [], stepUps: [], asked: ['a', 'b'] },
      ]);
    });
  }

  const others = {
    'deny as a list': 'deny := ["no"]',
    'deny as a boolean': 'deny := true',
    'deny with a number in it': 'deny contains 1',
    'max_ttl_seconds as text': 'max_ttl_seconds := "60"',
    'step_up as a list': 'step_up := [{"tier": "a", "approver": "any"}]',
    'step_up as one object': 'step_up := {"tier": "a", "approver": "any"}',
    'step_up as a boolean': 'step_up := true',
    'step_up with a string in it': 'step_up contains "operator"',
    'step_up with a list in it': 'step_up contains ["a", "any"]',
    'step_up without a tier': 'step_up contains {"approver": "any"}',
    'step_up without an approver': 'step_up contains {"tier": "a"}',
    'step_up with an unknown member': 'step_up contains {"tier": "a", "approver": "any", "approved": true}',
    'step_up with a member whose name is no text': 'step_up contains {"tier": "a", "approver": "any", 1: 2}',
    'step_up with an approver that does not exist': 'step_up contains {"tier": "a", "approver": "nobody"}',
    'step_up with several approvers': 'step_up contains {"tier": "a", "approver": {"operator"}}',
    'step_up with an empty tier': 'step_up contains {"tier": "", "approver": "any"}',
    'step_up with a tier of 65 characters': `step_up contains {"tier": "${'a'.repeat(65)}", "approver": "any"}`,
    'step_up with a tier in capitals': 'step_up contains {"tier": "Money", "approver": "any"}',
    'step_up with a tier of two words': 'step_up contains {"tier": "a b", "approver": "any"}',
    'step_up with a tier that begins with a dash': 'step_up contains {"tier": "-a", "approver": "any"}',
    'step_up with a tier that ends with a dash': 'step_up contains {"tier": "a-", "approver": "any"}',
    'step_up with a tier that is a number': 'step_up contains {"tier": 1, "approver": "any"}',
    'step_up for no time': 'step_up contains {"tier": "a", "approver": "any", "ttl_seconds": 0}',
    'step_up for less than no time': 'step_up contains {"tier": "a", "approver": "any", "ttl_seconds": -1}',
    'step_up for more than a day': 'step_up contains {"tier": "a", "approver": "any", "ttl_seconds": 86401}',
    'step_up for half a second': 'step_up contains {"tier": "a", "approver": "any", "ttl_seconds": 1.5}',
    'step_up for a time as text': 'step_up contains {"tier": "a", "approver": "any", "ttl_seconds": "60"}',
    'step_up for null time': 'step_up contains {"tier": "a", "approver": "any", "ttl_seconds": null}',
    'step_up for a reason that is no text': 'step_up contains {"tier": "a", "approver": "any", "reason": 1}',
    'one good step_up beside a bad one':
      'step_up contains {"tier": "a", "approver": "any"}\n\nstep_up contains {"tier": "a"}',
    'seventeen step-ups of one scope':
      'step_up contains {"tier": sprintf("a%d", [n]), "approver": "any"} if some n in numbers.range(1, 17)',
  };
  for (const [what, body] of Object.entries(others)) {
    it(`${what} denies as wrong_type`, async () => {
      const evaluate = await prepare(engine, 'shape', [toPolicy('a', body), toPolicy('b', 'allow := true')]);
      expect((await evaluate(toInput()))[0]).toMatchObject({ permit: false, failure: 'wrong_type' });
    });
  }

  it('takes what is as large as it may be', async () => {
    const body = [
      `step_up contains {"tier": "a${'-'.repeat(62)}0", "approver": "any", "ttl_seconds": 86400, "reason": ""}`,
      'step_up contains {"tier": sprintf("t%d", [n]), "approver": "operator"} if some n in numbers.range(1, 15)',
    ].join('\n\n');
    const evaluate = await prepare(engine, 'shape', [toPolicy('a', body), toPolicy('b', 'allow := true')]);
    const [outcome] = await evaluate(toInput());
    expect(outcome).toMatchObject({ permit: true });
    expect(outcome?.stepUps.length).toBe(16);
  });

  it('allow that is undefined or false does not permit', async () => {
    const evaluate = await prepare(engine, 'undefined', [
      toPolicy('a', 'allow if input.scope == "never"'),
      toPolicy('b', 'default allow := false'),
    ]);
    expect(await evaluate(toInput())).toEqual([
      { permit: false, denials: [], allowedBy: [], stepUps: [], asked: ['a', 'b'] },
    ]);
  });
});

describe('step-ups', () => {
  it('of all policies are passed on, the strictest first, and what they hold is still permitted as such', async () => {
    const evaluate = await prepare(engine, 'step-ups', [
      toPolicy('a', 'allow := true\n\nstep_up contains {"tier": "b", "approver": "any", "reason": "why"}'),
      toPolicy(
        'b',
        'step_up := {{"tier": "a", "approver": "any"}, {"tier": "z", "approver": "operator", "ttl_seconds": 60}}',
      ),
      toPolicy('c', 'step_up contains {"tier": "a", "approver": "subject"} if input.scope == "write"'),
      toPolicy('d', 'step_up contains {"tier": "d", "approver": "any"}', { resources: ['resource://other'] }),
    ]);
    const both = [
      { policy: 'b', tier: 'a', approver: 'any' },
      { policy: 'a', tier: 'b', approver: 'any', reason: 'why' },
    ];
    const operator = { policy: 'b', tier: 'z', approver: 'operator', ttlSeconds: 60 };
    const [read, write] = await evaluate(toInput(), toInput({ scope: 'write' }));
    expect(read).toMatchObject({ permit: true, stepUps: [operator, ...both] });
    expect(write).toMatchObject({
      permit: true,
      stepUps: [operator, { policy: 'c', tier: 'a', approver: 'subject' }, ...both],
    });
  });

  it('say nothing of what is denied or not allowed', async () => {
    const evaluate = await prepare(engine, 'step-ups', [
      toPolicy('a', 'step_up contains {"tier": "a", "approver": "any"}\n\ndeny contains "no" if input.scope == "read"'),
    ]);
    const [denied, unallowed] = await evaluate(toInput(), toInput({ scope: 'write' }));
    expect([denied?.permit, unallowed?.permit]).toEqual([false, false]);
  });

  it('hold a login that no policy allows', async () => {
    const evaluate = await prepare(engine, 'step-ups', [
      toPolicy('a', 'step_up contains {"tier": "login", "approver": "operator"} if input.action.name == "session"'),
    ]);
    const [login] = await evaluate(toInput({ action: { name: 'session' }, scope: '', resource: null }));
    expect(login).toMatchObject({ permit: true, stepUps: [{ tier: 'login' }] });
  });

  it('have reasons of 512 characters at most', async () => {
    const body = `step_up contains {"tier": "a", "approver": "any", "reason": "${'x'.repeat(600)}"}`;
    const evaluate = await prepare(engine, 'step-ups', [toPolicy('a', body)]);
    expect((await evaluate(toInput()))[0]?.stepUps[0]?.reason).toBe(`${'x'.repeat(512)}…`);
  });
});

describe('digests of a zone', () => {
  it('one that was not prepared, or for another zone, is unavailable', async () => {
    const modules = [toPolicy('a', 'allow := true')];
    await prepare(engine, 'mine', modules);
    const unavailable = { permit: false, failure: 'unavailable', denials: [], allowedBy: [], stepUps: [], asked: [] };
    expect(await engine.evaluate('other', policySetDigest(modules), [toInput()])).toEqual([unavailable]);
    expect(await engine.evaluate('mine', `sha256:${'0'.repeat(64)}`, [toInput()])).toEqual([unavailable]);
  });

  it('the last two stay, an older one is unloaded, and one asked for again comes back', async () => {
    const sets = [1, 2, 3].map((seconds) => [toPolicy('a', `allow := true\n\nmax_ttl_seconds := ${seconds}`)]);
    const [first, second, third] = [
      await prepare(engine, 'turnover', sets[0]!),
      await prepare(engine, 'turnover', sets[1]!),
      await prepare(engine, 'turnover', sets[2]!),
    ];
    expect((await first(toInput()))[0]).toMatchObject({ failure: 'unavailable' });
    expect((await second(toInput()))[0]).toMatchObject({ permit: true, maxTTLSeconds: 2 });
    expect((await third(toInput()))[0]).toMatchObject({ permit: true, maxTTLSeconds: 3 });
    await prepare(engine, 'turnover', sets[0]!);
    expect((await first(toInput()))[0]).toMatchObject({ permit: true, maxTTLSeconds: 1 });
  });

  it('text that does not have the digest is refused', async () => {
    const digest = policySetDigest([toPolicy('a', 'allow := false')]);
    expect(await engine.prepare('forged', digest, [toPolicy('a', 'allow := true')])).toEqual({
      ok: false,
      message: `the text does not have the digest ${digest}`,
    });
  });

  it('P-17 an empty set and one that does not compile are refused with a message', async () => {
    expect(await engine.prepare('empty', policySetDigest([]), [])).toEqual({
      ok: false,
      message: 'it has no policies',
    });
    const broken = [toPolicy('a', 'allow if nonsense(1)')];
    const prepared = await engine.prepare('broken', policySetDigest(broken), broken);
    expect(prepared).toMatchObject({ ok: false, message: expect.stringContaining('policy a: line 3') });
    expect((await engine.evaluate('broken', policySetDigest(broken), [toInput()]))[0]?.permit).toBe(false);
  });
});

describe('bounds', () => {
  it('an input beyond 64 KiB is too_large', async () => {
    const evaluate = await prepare(engine, 'large', [toPolicy('a', 'allow := true')]);
    const claims = { long: 'x'.repeat(65_536) };
    expect(await evaluate(toInput({ subject: { ...user, claims } }))).toEqual([
      { permit: false, failure: 'too_large', denials: [], allowedBy: [], stepUps: [], asked: ['a'] },
    ]);
  });

  it('P-15 interleaved zones, sets and scopes never see each other', async () => {
    const zones = await Promise.all(
      [0, 1, 2, 3, 4].map((zone) =>
        prepare(engine, `interleaved-${zone}`, [
          toPolicy('a', `allow if input.scope == "s${zone}"\n\nmax_ttl_seconds := ${100 + zone}`),
          toPolicy('b', 'deny contains input.subject.sub if input.scope == "deny"', {
            resources: ['resource://orders'],
          }),
        ]),
      ),
    );
    const wrong: unknown[] = [];
    await Promise.all(
      Array.from({ length: 10_000 }, async (_, index) => {
        const zone = index % 5;
        const scope = index % 3 === 0 ? `s${zone}` : index % 3 === 1 ? 's9' : 'deny';
        const isOrders = index % 2 === 0;
        const input = toInput({
          scope,
          subject: { ...user, sub: `user-${index}` },
          ...(isOrders && { resource: orders }),
        });
        const [outcome] = await zones[zone]!(input);
        const expected = {
          permit: index % 3 === 0,
          denials: scope === 'deny' && isOrders ? [{ policy: 'b', reason: `user-${index}` }] : [],
          allowedBy: index % 3 === 0 ? ['a'] : [],
          stepUps: [],
          asked: isOrders ? ['a', 'b'] : ['a'],
          maxTTLSeconds: 100 + zone,
        };
        if (JSON.stringify(sortMembers(outcome)) !== JSON.stringify(sortMembers(expected))) wrong.push(outcome);
      }),
    );
    expect(wrong).toEqual([]);
  });
});

function sortMembers(value: object | undefined): object {
  return Object.fromEntries(Object.entries(value ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}
