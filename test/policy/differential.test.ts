/** Our WASM host against `opa eval` of the same program: the same inputs, the same results, for every builtin there is. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyInput } from '../../src/authority/policyInput.ts';
import type { PolicyModule } from '../../src/authority/snapshot.ts';
import { ENTRYPOINT, toData } from '../../src/policy/assemble.ts';
import { BUILTINS } from '../../src/policy/capabilities.ts';
import { compileModule, instantiate, type Instance } from '../../src/policy/wasm.ts';
import { EXPRESSIONS } from './expressions.ts';
import { createRandom, toRandomInput, type Random } from './randomInput.ts';
import { createTestOPA, readManifests, toPolicy, type TestOPA } from './support.ts';

let test: TestOPA;

beforeAll(() => {
  test = createTestOPA();
});
afterAll(() => test.remove());

const INPUTS = 200;

/** Each value of an expression becomes a reason, so that results are compared and not only decisions. */
function toBody(expressions: readonly string[]): string {
  const rules = expressions.map((expression, index) => {
    const words = new Set(expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(/\W+/));
    const names = [...'abijklmstu'].filter((name) => words.has(name));
    const lines = [...names.map((name) => `${name} := input.subject.claims.${name}`), `value := ${expression}`];
    return `deny contains sprintf("${index} %v", [value]) if {\n${lines.map((line) => `  ${line}\n`).join('')}}`;
  });
  return ['allow := true', 'max_ttl_seconds := input.request.ttl_seconds', ...rules].join('\n\n');
}

describe('every builtin of the capabilities file', () => {
  it('has expressions here, and no other has', () => {
    expect(Object.keys(EXPRESSIONS).sort()).toEqual([...BUILTINS].sort());
  });

  const names = Object.keys(EXPRESSIONS);
  const size = 7;
  for (let at = 0; at < names.length; at += size) {
    const group = names.slice(at, at + size);
    it(`${group.join(', ')}: no difference`, async () => {
      const body = toBody(group.flatMap((name) => EXPRESSIONS[name]!));
      await compare([toPolicy('builtins', body)], createRandom(at + 1));
    });
  }
});

describe('whole sets', () => {
  const folder = 'examples/policies';
  const files = readdirSync(join(import.meta.dirname, '../..', folder)).map((file) => `${folder}/${file}`);
  const examples = files.concat('examples/quickstart/policies.yaml').flatMap(readModules);
  it('the examples together: no difference', () => compare(examples, createRandom(1001)));

  it('policies that apply here and there: no difference', () =>
    compare(
      [
        toPolicy('everywhere', 'allow if input.scope == "read"'),
        toPolicy('orders', 'allow := true\n\nmax_ttl_seconds := 30', { resources: ['resource://orders'] }),
        toPolicy('importer', 'deny contains input.scope if input.scope != "read"', { applications: ['shop.importer'] }),
        toPolicy('both', 'deny contains "both"', {
          resources: ['resource://orders'],
          applications: ['shop.importer', 'shop.agent'],
        }),
      ],
      createRandom(1002),
    ));

  it('functions, comprehensions, every, else, with, and values of the wrong type: no difference', () =>
    compare([toPolicy('language', LANGUAGE), toPolicy('types', TYPES)], createRandom(1003)));

  it('what is a requirement of a step-up, and what is nearly one: no difference', () =>
    compare([toPolicy('nearly', NEARLY)], createRandom(1004)));
});

const LANGUAGE = `
tier(claims) := "gold" if {
	claims.a == claims.b
} else := "silver" if {
	is_number(claims.i)
	claims.i > 0
} else := "none"

default allow := false

allow if {
	tier(input.subject.claims) in {"gold", "silver"}
	every group in input.subject.groups {
		not startswith(group, "b")
	}
}

elsewhere if {
	not input.resource
}

elsewhere if input.resource.namespace != input.principal.namespace

deny contains msg if {
	some index, group in input.subject.groups
	elsewhere
	msg := sprintf("%d: %s of %d", [index, group, count(input.subject.groups)])
}

deny contains msg if {
	lengths := {scope: count(scope) | some scope in input.request.scopes}
	some scope, size in lengths
	size > 4
	msg := sprintf("%s %v", [scope, lengths])
}

deny contains "quiet" if {
	not elsewhere with input.resource as input.principal
	input.time.hour < 6
}

max_ttl_seconds := min({input.request.ttl_seconds, 100 + input.time.minute})

step_up contains {"tier": tier(input.subject.claims), "approver": "any"} if input.time.hour < 12

step_up contains {"tier": "group", "approver": who, "ttl_seconds": 60 + input.time.minute, "reason": group} if {
	some group in input.subject.groups
}

who := "operator" if {
	elsewhere
} else := "subject"
`;

const TYPES = `
allow := input.subject.claims.a if input.subject.claims.a != null

max_ttl_seconds := input.subject.claims.i if input.time.minute < 30

step_up contains {"tier": "odd", "approver": "any", "ttl_seconds": input.subject.claims.i} if input.time.hour < 8

step_up contains {"tier": input.subject.claims.s, "approver": "any"} if input.time.hour in {8, 9}

step_up contains input.subject.claims.a if input.time.hour in {10, 11}
`;

/** What is nearly a requirement: each kind of mistake is found by both, or by neither. */
const NEARLY = `
allow := true

tiers := ["a", "a-b", "-a", "a-", "", "A", "ä", "a b", "0", "${'a'.repeat(64)}", "${'a'.repeat(65)}", 7, null]

times := [1, 86400, 86401, 0, 1.5, 60, 1e3, "60", null]

step_up contains {"tier": tiers[i], "approver": "any", "ttl_seconds": times[j]} if {
	i := input.time.minute % count(tiers)
	j := input.time.hour % count(times)
}

step_up contains object.union({"tier": "t", "approver": approver}, extra) if {
	approver := ["operator", "subject", "any", "all"][input.time.minute % 4]
	extra := [{}, {"reason": "r"}, {"reason": 1}, {"more": 1}, {1: 1}][input.time.hour % 5]
	input.time.minute % 3 == 0
}
`;

function readModules(path: string): readonly PolicyModule[] {
  return readManifests(path)
    .filter(({ kind }) => kind === 'Policy')
    .map(({ metadata: { name }, spec: { rego, appliesTo } }) => ({ name, rego, ...(appliesTo && { appliesTo }) }));
}

interface Case {
  readonly input: PolicyInput;
  readonly data: string;
}

async function compare(modules: readonly PolicyModule[], random: Random): Promise<void> {
  const cases = Array.from({ length: INPUTS }, (): Case => {
    const input = toRandomInput(random);
    return { input, data: toData(modules, input) };
  });
  const compiled = await test.opa.compile(modules);
  if (!compiled.ok) throw new Error(compiled.message);
  const instance = instantiate(await compileModule(compiled.wasm), ENTRYPOINT);
  const ours = cases.map((one) => evaluate(instance, one));
  const theirs = await evaluateByOPA(modules, cases);
  const differences = cases.flatMap(({ input }, index) =>
    JSON.stringify(ours[index]) === JSON.stringify(theirs[index])
      ? []
      : [{ claims: JSON.stringify(input.subject.claims), ours: ours[index], theirs: theirs[index] }],
  );
  expect(differences.slice(0, 2)).toEqual([]);
  expect(ours.length).toBe(INPUTS);
}

function evaluate(instance: Instance, { data, input }: Case): unknown {
  const [only, ...others] = JSON.parse(instance.evaluate(data, JSON.stringify(input))) as {
    readonly result: unknown;
  }[];
  if (!only || others.length > 0) throw new Error('the module does not print exactly one result');
  return toSorted(only.result);
}

/** One process for all inputs. */
async function evaluateByOPA(modules: readonly PolicyModule[], cases: readonly Case[]): Promise<readonly unknown[]> {
  // A `with` takes names only: a reference there is not bound anew for each case.
  const query = `[result | some one in data.cases; given := one.input; system := one.system
    result := data.caracal.decision.result with input as given with data.caracal.system as system]`;
  const documents = cases.map(({ input, data }) => ({ input, system: JSON.parse(data).caracal.system }));
  const data = JSON.stringify({ cases: documents });
  const { ok, stdout, stderr } = await test.opa.evaluate(modules, query, { input: '{}', data });
  if (!ok) throw new Error(stderr || stdout);
  return (JSON.parse(stdout).result[0].expressions[0].value as unknown[]).map(toSorted);
}

/** Members of objects by name; lists here are sets or sorted already. */
function toSorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, toSorted(member)]),
  );
}
