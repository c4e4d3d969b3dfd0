/** The checker says of each Policy and PolicySet what opa, our rules and its own tests say, once per text. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPolicyChecker, type PolicyChecker, type PolicyObjects } from '../../src/policy/checker.ts';
import { policyDigest, policySetDigest } from '../../src/policy/digest.ts';
import type { PolicyReport, PolicyTest } from '../../src/policy/results.ts';
import { clock, createTestOPA, readManifests, type TestOPA } from './support.ts';

let test: TestOPA;
let checker: PolicyChecker;
let asked = 0;

beforeAll(() => {
  test = createTestOPA();
  const counted = {
    check: (rego: string) => ((asked += 1), test.opa.check(rego)),
    compile: test.opa.compile,
  };
  checker = createPolicyChecker(counted, clock);
});

afterAll(async () => {
  await checker.close();
  test.remove();
});

const policyOf = (name: string, rego: string, tests: readonly PolicyTest[] = []) => ({
  metadata: { namespace: 'test', name },
  spec: { rego, tests },
});

async function report(rego: string, tests: readonly PolicyTest[] = []): Promise<PolicyReport> {
  await checker.gather({ policies: [policyOf('p', rego, tests)], policySets: [] });
  return checker.results.policy(policyDigest({ rego, tests }))!;
}

const lines = (...text: readonly string[]) => `package caracal.policy.p\n\n${text.join('\n')}\n`;

describe('a policy', () => {
  it('that is right passes with its package and the count of its tests', async () => {
    const rego = lines('allow if input.scope == "read"', 'deny contains "no" if input.scope == "no"');
    const tests: readonly PolicyTest[] = [
      { name: 'reads', expect: { allow: true, deny: [] } },
      { name: 'no', input: { scope: 'no' }, expect: { allow: false, deny: ['no'] } },
    ];
    expect(await report(rego, tests)).toEqual({
      ok: true,
      package: 'caracal.policy.p',
      testsPassed: 2,
      testsTotal: 2,
    });
  });

  const refused: Readonly<Record<string, readonly [string, string, string]>> = {
    'with a syntax error': [lines('allow if {'), 'CompileFailed', 'line '],
    'with an unused variable (strict mode)': [lines('allow if {', '  x := 1', '}'), 'CompileFailed', 'line 4'],
    'of Rego v0': [lines('allow { input.scope == "read" }'), 'CompileFailed', 'line 3'],
    'that reads an input that does not exist': [
      lines('allow if input.principle.id == "x"'),
      'CompileFailed',
      'line 3: input.principle does not exist; input has schema, zone, scope, action, principal',
    ],
    'that compares values of different types': [lines('allow if input.time.hour == "8"'), 'CompileFailed', 'line 3'],
    'of a foreign package': [
      'package acme.policy\n\nallow := true\n',
      'PackageInvalid',
      'line 1: package acme.policy is not under caracal.policy.',
    ],
    "P-10 of the platform's package": ['package caracal.decision\n\nresult := {}\n', 'PackageInvalid', 'line 1'],
    'P-10 that allows everything by default': [
      lines('default allow := true'),
      'PackageInvalid',
      'line 3: default allow := true would permit everything',
    ],
    'P-13 that reads what the platform says': [
      lines('allow if data.caracal.system.applies.p'),
      'PackageInvalid',
      'line 3: data.caracal.system.applies.p is not this policy',
    ],
    'that reads the decision': [lines('allow if data.caracal.decision.permit'), 'PackageInvalid', 'line 3'],
    "that reads another policy's package": [lines('allow if data.caracal.policy.q.allow'), 'PackageInvalid', 'line 3'],
    'that imports another policy': [
      'package caracal.policy.p\n\nimport data.caracal.policy.q\n\nallow if q.allow\n',
      'PackageInvalid',
      'line 3',
    ],
    'that walks all data': [lines('allow if {', '  some x', '  data[x].y', '}'), 'PackageInvalid', 'line 5'],
    'P-02 that replaces a builtin': [
      lines('allow if f with count as sum', '', 'f if count([1]) == 1'),
      'PackageInvalid',
      'line 3: `with` may replace only input',
    ],
    'whose step_up is an object': [
      lines('step_up["high"] := "any" if input.scope == "x"'),
      'PackageInvalid',
      'line 3: step_up is an object here; write step_up contains {"tier": "…", "approver": "…"} if { … }',
    ],
    'whose step_up is a function': [
      lines('step_up(x) := {{"tier": "high", "approver": x}}'),
      'PackageInvalid',
      'line 3: step_up is a function; it has to be a rule',
    ],
    'that asks what was approved': [
      lines('allow if input.approval'),
      'CompileFailed',
      'line 3: input.approval does not exist',
    ],
    'whose deny is an object': [lines('deny["no"] if input.scope == "x"'), 'PackageInvalid', 'line 3: deny'],
    'of constants with a condition': [
      'package caracal.data.p\n\nx := 1 if input.scope == "read"\n',
      'PackageInvalid',
      'line 3: x: package caracal.data.* holds constants only',
    ],
    'with a format that is not provided': [
      lines('deny contains sprintf("%x", [1])'),
      'CompileFailed',
      'line 3: sprintf',
    ],
    'beyond 64 KiB': [lines(`# ${'x'.repeat(65_536)}`, 'allow := true'), 'TooLarge', 'more than 65536'],
    'of 256 KiB': [lines(`# ${'x'.repeat(262_144)}`, 'allow := true'), 'TooLarge', 'split it into several policies'],
    'that nests deeper than anybody writes': [
      lines('# [[[', `v := "[[" in ${'['.repeat(100)}${']'.repeat(100)}`, '', `w := ${'{'.repeat(101)}`),
      'CompileFailed',
      'line 6: brackets nest deeper than 100',
    ],
    'that calls itself': [lines('allow if allow'), 'CompileFailed', 'recursive'],
  };
  for (const [what, [rego, reason, message]] of Object.entries(refused)) {
    const [, id, rest] = /^(P-\d+ )?(.*)$/.exec(what)!;
    it(`${id ?? ''}${rest} is refused as ${reason}`, async () => {
      const result = await report(rego);
      expect(result).toMatchObject({ ok: false, reason, message: expect.stringContaining(message) });
      expect(JSON.stringify(result)).not.toContain(test.folder);
    });
  }

  const forbidden = [
    'http.send({"method": "get", "url": "http://x"})',
    'opa.runtime()',
    'net.lookup_ip_addr("x")',
    'rego.parse_module("a", "package a")',
    'time.now_ns()',
    'rand.intn("x", 3)',
    'uuid.rfc4122("x")',
    'trace("x")',
    'regex.split("a", "b")',
    'walk([1])',
    'crypto.sha256("x")',
    'io.jwt.decode("x")',
    'json.unmarshal("{}")',
    'graph.reachable({}, [])',
    'indexof("x", "")',
    'replace("x", "", "y")',
    'format_int(1, 10)',
  ];
  for (const call of forbidden) {
    it(`P-01 that calls ${call.slice(0, call.indexOf('('))} is refused with its line`, async () => {
      const result = await report(lines(`allow if ${call}`));
      expect(result).toMatchObject({ ok: false, reason: 'CompileFailed', message: expect.stringContaining('line 3') });
    });
  }

  it('P-01 that prints is refused', async () => {
    expect(await report(lines('allow if print("x")'))).toMatchObject({ ok: false, reason: 'CompileFailed' });
  });
});

describe("a policy's tests", () => {
  const rego = lines(
    'allow if input.scope == "read"',
    'max_ttl_seconds := 60',
    'deny contains "no" if input.scope == "no"',
    'step_up contains {"tier": "a", "approver": "any"} if input.scope in {"held", "twice"}',
    'step_up contains {"tier": "b", "approver": "operator", "ttl_seconds": 60, "reason": "r"} if input.scope == "twice"',
    'step_up contains {"tier": "c"} if input.scope == "odd"',
  );
  const failing: Readonly<Record<string, readonly [PolicyTest, string]>> = {
    'of allow': [{ name: 'a', expect: { allow: false } }, 'test "a": allow is true, expected false'],
    'of allow, which counts as false where it is undefined': [
      { name: 'a', input: { scope: 'x' }, expect: { allow: true } },
      'test "a": allow is false, expected true',
    ],
    'of deny': [
      { name: 'a', input: { scope: 'no' }, expect: { deny: ['other'] } },
      'test "a": deny is ["no"], expected ["other"]',
    ],
    'of max_ttl_seconds': [
      { name: 'a', expect: { max_ttl_seconds: 61 } },
      'test "a": max_ttl_seconds is 60, expected 61',
    ],
    'of step_up': [
      { name: 'a', input: { scope: 'held' }, expect: { step_up: [{ tier: 'a', approver: 'subject' }] } },
      'test "a": step_up is [{"tier":"a","approver":"any"}], expected [{"tier":"a","approver":"subject"}]',
    ],
    'of step_up, where one is not expected': [
      { name: 'a', input: { scope: 'held' }, expect: { step_up: [] } },
      'test "a": step_up is [{"tier":"a","approver":"any"}], expected []',
    ],
    'of step_up, which counts as empty where it is undefined': [
      { name: 'a', expect: { step_up: [{ tier: 'a', approver: 'any' }] } },
      'test "a": step_up is [], expected [{"tier":"a","approver":"any"}]',
    ],
    'of step_up, where a member differs': [
      { name: 'a', input: { scope: 'held' }, expect: { step_up: [{ tier: 'a', approver: 'any', reason: 'r' }] } },
      'test "a": step_up is [{"tier":"a","approver":"any"}], expected [{"tier":"a","approver":"any","reason":"r"}]',
    ],
    'with a step_up of the wrong type': [
      { name: 'a', input: { scope: 'odd' }, expect: {} },
      'test "a": allow has to be a boolean, deny a set of strings, max_ttl_seconds a number, step_up a set of at most 16 objects',
    ],
    'with an input that does not exist': [
      { name: 'a', input: { subject: { group: ['x'] } }, expect: {} },
      'test "a": input.subject.group does not exist; input.subject has type, issuer, sub, groups, claims, auth_time, acr, amr',
    ],
  };
  for (const [what, [one, message]] of Object.entries(failing)) {
    it(`fail the policy: ${what}`, async () => {
      const passing: PolicyTest = { name: 'passes', expect: {} };
      expect(await report(rego, [one, passing])).toEqual({
        ok: false,
        reason: 'TestsFailed',
        message: expect.stringContaining(message),
        testsPassed: 1,
        testsTotal: 2,
      });
    });
  }

  it('compare step_up as a set', async () => {
    const [a, b] = [
      { tier: 'a', approver: 'any' },
      { tier: 'b', approver: 'operator', ttl_seconds: 60, reason: 'r' },
    ] as const;
    const swapped: PolicyTest = { name: 'swapped', input: { scope: 'twice' }, expect: { step_up: [b, a, b] } };
    const none: PolicyTest = { name: 'none', expect: { step_up: [] } };
    expect(await report(rego, [swapped, none])).toMatchObject({ ok: true, testsPassed: 2 });
  });

  it('lay objects over the default member by member and everything else whole', async () => {
    const body = lines(
      'allow if {',
      '  input.principal.name == "other"',
      '  input.principal.namespace == "default"',
      '  input.subject.groups == ["a"]',
      '  input.session.depth == 2',
      '  input.session.kind == "task"',
      '  input.subject.claims.tier == 3',
      '}',
    );
    const input = {
      principal: { name: 'other' },
      subject: { groups: ['a'], claims: { tier: 3 } },
      session: { depth: 2 },
    };
    expect(await report(body, [{ name: 'a', input, expect: { allow: true } }])).toMatchObject({ ok: true });
  });

  it('that never end fail, and the next policy is checked', async () => {
    const endless = lines(
      'ns := {n | some n in numbers.range(1, 2000)}',
      'allow if {',
      '  some a in ns',
      '  some b in ns',
      '  some c in ns',
      '  a == b',
      '  b == c',
      '  a < 0',
      '}',
    );
    expect(await report(endless, [{ name: 'a', expect: {} }])).toMatchObject({
      reason: 'TestsFailed',
      message: 'test "a": the policy takes too long; simplify it',
    });
    expect(await report(rego, [{ name: 'a', expect: { allow: true } }])).toMatchObject({ ok: true });
  });
});

describe('a set', () => {
  async function setOf(...regos: readonly string[]) {
    const policies = regos.map((rego, index) => policyOf(`p${index}`, rego));
    const spec = { policies: policies.map(({ metadata: { name } }) => ({ name })) };
    await checker.gather({ policies, policySets: [{ metadata: { namespace: 'test', name: 'set' }, spec }] });
    const digest = policySetDigest(policies.map(({ metadata, spec: { rego } }) => ({ name: metadata.name, rego })));
    return { digest, report: checker.results.policySet(digest) };
  }

  it('of policies that go together passes with its digest', async () => {
    const { digest, report: result } = await setOf(
      'package caracal.policy.a\n\nallow if input.scope in data.caracal.data.names.open\n',
      'package caracal.data.names\n\nopen := {"read"}\n',
    );
    expect(result).toEqual({ ok: true, digest });
  });

  const DENY_LIST = 'package caracal.policy.a\n\ndeny contains "listed" if input.principal.id in ';
  const missing: Readonly<Record<string, readonly [regos: readonly string[], message: string]>> = {
    'a package that no policy has': [
      [`${DENY_LIST}data.caracal.data.names.denied\n`],
      'policy p0: line 3: data.caracal.data.names.denied is defined by no policy of the set; list the policy that defines it in spec.policies or correct the name',
    ],
    'a constant that its package does not have': [
      [`${DENY_LIST}data.caracal.data.names.deniedd\n`, 'package caracal.data.names\n\ndenied := {"x.y"}\n'],
      'policy p0: line 3: data.caracal.data.names.deniedd is defined by no policy',
    ],
    'a package that is missing, by import': [
      ['package caracal.policy.a\n\nimport data.caracal.data.names\n\nallow if input.scope in names.open\n'],
      'policy p0: line 3: data.caracal.data.names is defined by no policy',
    ],
    'a constant by a name that is computed': [
      ['package caracal.policy.a\n\nallow if data.caracal.data.names[input.scope]\n'],
      'policy p0: line 3: data.caracal.data.names is defined by no policy',
    ],
  };
  for (const [what, [regos, message]] of Object.entries(missing)) {
    it(`that reads ${what} is CompileFailed: a deny list that is undefined would deny nothing`, async () => {
      const { report: result } = await setOf(...regos);
      expect(result).toMatchObject({ ok: false, reason: 'CompileFailed', message: expect.stringContaining(message) });
    });
  }

  it('that reads its constants whole, by import, by part or by a computed name passes', async () => {
    const { report: result } = await setOf(
      [
        'package caracal.policy.a',
        'import data.caracal.data.team.names as people',
        'allow if input.scope in people.open',
        'allow if data.caracal.data.team.names[input.scope]',
        'allow if data.caracal.data.team.names.limits.low > 1',
        'allow if count(data.caracal.data.team) > 1',
      ].join('\n\n'),
      'package caracal.data.team.names\n\nopen := {"read"}\n\nlimits := {"low": 1}\n',
    );
    expect(result).toMatchObject({ ok: true });
  });

  it('with two policies of one package is a PackageConflict', async () => {
    const { report: result } = await setOf(
      'package caracal.policy.a\n\nallow := true\n',
      'package caracal.policy.a\n\ndeny contains "x"\n',
    );
    expect(result).toEqual({
      ok: false,
      reason: 'PackageConflict',
      message: 'package caracal.policy.a of policy p1 is the same as that of policy p0; rename one',
    });
  });

  it('with a package inside another is a PackageConflict', async () => {
    const { report: result } = await setOf(
      'package caracal.policy.a.b\n\nallow := true\n',
      'package caracal.policy.a\n\ndeny contains "x"\n',
    );
    expect(result).toMatchObject({ reason: 'PackageConflict', message: expect.stringContaining('inside') });
  });

  it('with a policy that is refused has no result, since compile names the policy', async () => {
    const { report: result } = await setOf('package caracal.policy.a\n\nallow := true\n', 'package nonsense\n');
    expect(result).toBeUndefined();
  });
});

it('a repeated gather asks opa nothing', async () => {
  const objects: PolicyObjects = { policies: [policyOf('p', lines('allow if input.scope == "once"'))], policySets: [] };
  await checker.gather(objects);
  const before = asked;
  await checker.gather(objects);
  await checker.gather({ policies: [], policySets: [] });
  await checker.gather(objects);
  expect(asked).toBe(before);
});

describe('examples/policies', () => {
  const folder = 'examples/policies';
  const files = readdirSync(join(import.meta.dirname, '../..', folder));
  const manifests = files.flatMap((file) => readManifests(`${folder}/${file}`));
  const policies = manifests.filter(({ kind }) => kind === 'Policy');

  it('are at least five, each with tests', () => {
    expect(policies.length).toBeGreaterThanOrEqual(5);
    expect(policies.filter(({ spec }) => !spec.tests?.length)).toEqual([]);
  });
  for (const { metadata, spec } of policies) {
    it(`${metadata.name} passes with all of its tests`, async () => {
      const { rego, tests } = spec;
      await checker.gather({ policies: [{ metadata, spec }], policySets: [] });
      expect(checker.results.policy(policyDigest({ rego, tests: tests as readonly PolicyTest[] }))).toMatchObject({
        ok: true,
        testsPassed: tests?.length,
      });
    });
  }
  it('decide together as one set', async () => {
    const [set] = manifests.filter(({ kind }) => kind === 'PolicySet');
    const members = set!.spec.policies.map(({ name }) => policies.find(({ metadata }) => metadata.name === name)!);
    expect(new Set(members)).toEqual(new Set(policies));
    await checker.gather({ policies, policySets: [set!] });
    const modules = members.map(({ metadata: { name }, spec: { rego, appliesTo } }) => ({
      name,
      rego,
      ...(appliesTo && { appliesTo }),
    }));
    expect(checker.results.policySet(policySetDigest(modules))?.ok).toBe(true);
  });
});
