/** Hostile policies are denied or refused; the process lives, and another zone's evaluations go on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyModule } from '../../src/authority/snapshot.ts';
import { createPolicyEngine } from '../../src/policy/workers.ts';
import { compileModule, instantiate, ModuleRefused } from '../../src/policy/wasm.ts';
import { clock, createTestOPA, prepare, toInput, toPolicy, type TestOPA } from './support.ts';

let test: TestOPA;

beforeAll(() => {
  test = createTestOPA();
});
afterAll(() => test.remove());

/** Each compiles: only evaluating it does harm. */
const ENDLESS = [
  'ns := {n | some n in numbers.range(1, 2000)}',
  'allow if {',
  '  some a in ns',
  '  some b in ns',
  '  some c in ns',
  '  a == b',
  '  b == c',
  '  a < 0',
  '}',
].join('\n');

const HOSTILE: Readonly<Record<string, string>> = {
  'an endless comprehension': ENDLESS,
  'a cross product over four levels': [
    'ns := numbers.range(1, 400)',
    'allow if {',
    '  some a in ns',
    '  some b in ns',
    '  some c in ns',
    '  some d in ns',
    '  a + b + c + d == 0',
    '}',
  ].join('\n'),
  'a range of a thousand million': 'allow if count(numbers.range(1, 1000000000)) > 0',
  'memory growth by comprehension': [
    'ns := numbers.range(1, 3000)',
    'allow if count({[a, b] | some a in ns; some b in ns}) > 0',
  ].join('\n'),
  'a string that doubles': [
    's0 := "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
    ...Array.from({ length: 20 }, (_, index) => `s${index + 1} := concat("", [s${index}, s${index}])`),
    'allow if s20 != ""',
  ].join('\n'),
  'a string that doubles through the host': [
    's0 := "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
    ...Array.from({ length: 20 }, (_, index) => `s${index + 1} := sprintf("%s%s", [s${index}, s${index}])`),
    'allow if s20 != ""',
  ].join('\n'),
  'a quarter of a million denials': 'deny contains sprintf("%d", [n]) if some n in numbers.range(1, 60000)',
  'a quarter of a million step-ups':
    'step_up contains {"tier": sprintf("%d", [n]), "approver": "any"} if some n in numbers.range(1, 60000)',
  'P-09 two values for one rule': [
    'allow := true if input.scope == "read"',
    'allow := false if input.action.name == "token_exchange"',
  ].join('\n\n'),
};

describe('P-05 a hostile policy is denied and its neighbour is not', () => {
  for (const [what, body] of Object.entries(HOSTILE)) {
    it(what.replace(/^P-09 /, ''), { timeout: 60_000 }, async () => {
      const engine = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 200 });
      try {
        const good = await prepare(engine, 'good', [toPolicy('good', 'allow := true')]);
        await good(toInput());
        const hostile = await prepare(engine, 'bad', [toPolicy('bad', body), toPolicy('other', 'allow := true')]);
        const pending = hostile(toInput(), toInput({ scope: 'write' }));
        expect((await good(toInput()))[0]?.permit).toBe(true);
        const outcomes = await pending;
        expect(outcomes[0]).toMatchObject({ permit: false, failure: expect.stringMatching(/^(timeout|error)$/) });
        expect((await good(toInput()))[0]?.permit).toBe(true);
      } finally {
        await engine.close();
      }
    });
  }
});

describe('a step_up that is meant to be overlooked holds or denies, whatever another policy allows', () => {
  const bodies: Readonly<Record<string, string>> = {
    'two sets for one rule':
      'step_up := {{"tier": "a", "approver": "any"}} if input.scope == "read"\n\nstep_up := set() if input.time.hour < 24',
    'so many that the strictest could be cut off': [
      'step_up contains {"tier": sprintf("a%d", [n]), "approver": "any"} if some n in numbers.range(1, 100)',
      'step_up contains {"tier": "z", "approver": "operator"}',
    ].join('\n\n'),
    'a reason longer than any answer': [
      's0 := "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
      ...Array.from({ length: 13 }, (_, index) => `s${index + 1} := concat("", [s${index}, s${index}])`),
      'step_up contains {"tier": "a", "approver": "any", "reason": s13}',
    ].join('\n'),
    'a line break behind the tier': 'step_up contains {"tier": "a\\n", "approver": "any"}',
  };
  for (const [what, body] of Object.entries(bodies)) {
    it(what, async () => {
      const engine = createPolicyEngine({ opa: test.opa, clock });
      const evaluate = await prepare(engine, 'bad', [toPolicy('bad', body), toPolicy('other', 'allow := true')]);
      expect((await evaluate(toInput()))[0]).toMatchObject({ permit: false, failure: expect.any(String) });
      await engine.close();
    });
  }
});

it('a zone whose every exchange is stuck delays another zone by no more than one deadline at a time', async () => {
  const engine = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 150 });
  const good = await prepare(engine, 'good', [toPolicy('good', 'allow := true')]);
  const bad = await prepare(engine, 'bad', [toPolicy('bad', ENDLESS)]);
  const stuck = Promise.all(Array.from({ length: 8 }, () => bad(toInput())));
  const outcomes = [];
  for (let index = 0; index < 400; index += 1) outcomes.push((await good(toInput()))[0]?.permit);
  expect(new Set(outcomes)).toEqual(new Set([true]));
  for (const [outcome] of await stuck) expect(outcome).toMatchObject({ permit: false, failure: 'timeout' });
  await engine.close();
});

it('evaluations that wait behind a stuck one are answered by the new thread', async () => {
  const engine = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 150, workers: 1 });
  const good = await prepare(engine, 'good', [toPolicy('good', 'allow := true')]);
  const bad = await prepare(engine, 'bad', [toPolicy('bad', ENDLESS)]);
  const [stuck, ...waiting] = await Promise.all([bad(toInput()), ...Array.from({ length: 20 }, () => good(toInput()))]);
  expect(stuck?.[0]).toMatchObject({ failure: 'timeout' });
  expect(waiting.map((outcomes) => outcomes[0]?.permit)).toEqual(Array.from({ length: 20 }, () => true));
  await engine.close();
});

it('P-07 patterns that make a backtracking matcher hang are answered at once', async () => {
  const engine = createPolicyEngine({ opa: test.opa, clock });
  const evaluate = await prepare(engine, 'patterns', [
    toPolicy('glob', `allow if glob.match("${'*a'.repeat(40)}", [], "${'a'.repeat(4000)}")`),
    toPolicy('regex', `deny contains "no" if regex.match("^(a|a)*(a*)*b$", "${'a'.repeat(4000)}")`),
  ]);
  expect((await evaluate(toInput()))[0]).toMatchObject({ permit: true, allowedBy: ['glob'] });
  await engine.close();
});

it('what waits when the engine closes is unavailable, and so is what comes later', async () => {
  const engine = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 60_000 });
  const bad = await prepare(engine, 'bad', [toPolicy('bad', ENDLESS)]);
  const pending = bad(toInput());
  await engine.close();
  expect((await pending)[0]).toMatchObject({ permit: false, failure: 'unavailable' });
  expect((await bad(toInput()))[0]).toMatchObject({ permit: false, failure: 'unavailable' });
});

it('P-20 text that opa would choke on is refused, and opa goes on', { timeout: 60_000 }, async () => {
  const bombs: readonly PolicyModule[] = [
    toPolicy('deep', `allow if ${'('.repeat(20_000)}true${')'.repeat(20_000)}`),
    toPolicy('lists', `v := ${'['.repeat(30_000)}${']'.repeat(30_000)}\n\nallow := true`),
    toPolicy('text', `v := sprintf("%v", [${'['.repeat(5000)}${']'.repeat(5000)}])\n\nallow := true`),
    toPolicy('many', Array.from({ length: 4000 }, (_, index) => `r${index} if r${index + 1}`).join('\n')),
    toPolicy('bytes', 'allow if "\u0000" == input.scope'),
  ];
  for (const { rego } of bombs) expect((await test.opa.check(rego)).ok).toBe(false);
  expect((await test.opa.check(toPolicy('fine', 'allow := true').rego)).ok).toBe(true);
});

describe('P-04 WASM that our compiler does not make is refused', () => {
  const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const text = (value: string) => [value.length, ...Buffer.from(value)];
  const section = (id: number, body: readonly number[]) => [id, body.length, ...body];
  const importing = (from: string, name: string) => [
    ...magic,
    ...section(1, [1, 0x60, 0, 0]),
    ...section(2, [1, ...text(from), ...text(name), 0, 0]),
  ];
  const tryLoad = async (bytes: readonly number[]) =>
    instantiate(await compileModule(new Uint8Array(bytes)), 'caracal/decision/result');

  it('an import that is no part of the ABI', async () => {
    await expect(tryLoad(importing('env', 'fetch'))).rejects.toThrow(ModuleRefused);
    await expect(tryLoad(importing('wasi_snapshot_preview1', 'fd_write'))).rejects.toThrow(ModuleRefused);
  });
  it('an import of another kind than the ABI has', async () => {
    await expect(tryLoad(importing('env', 'memory'))).rejects.toThrow(ModuleRefused);
  });
  it('no ABI at all', async () => {
    await expect(tryLoad(magic)).rejects.toThrow();
  });
  it('what is no WASM', async () => {
    await expect(tryLoad([1, 2, 3])).rejects.toThrow(WebAssembly.CompileError);
  });
  it('another entry point', async () => {
    const compiled = await test.opa.compile([toPolicy('a', 'allow := true')]);
    const module = await compileModule(compiled.ok ? compiled.wasm : new Uint8Array());
    expect(() => instantiate(module, 'caracal/policy/a/allow')).toThrow(ModuleRefused);
  });
});
