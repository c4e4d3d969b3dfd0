/** The capabilities file says exactly what our runtime provides. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ENTRYPOINT } from '../../src/policy/assemble.ts';
import { HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { BUILTINS, CAPABILITIES_FILE, generateCapabilities } from '../../src/policy/capabilities.ts';
import { formatTerms } from '../../src/policy/sprintf.ts';
import { compileModule, instantiate } from '../../src/policy/wasm.ts';
import { EXPRESSIONS } from './expressions.ts';
import { OPA_PATH } from '../support/opa.ts';
import { createTestOPA, toPolicy, type TestOPA } from './support.ts';

let test: TestOPA;

beforeAll(() => {
  test = createTestOPA();
});
afterAll(() => test.remove());

it('policies/capabilities.json is what the pinned opa says of the builtins in the list', async () => {
  expect(readFileSync(CAPABILITIES_FILE, 'utf8')).toBe(await generateCapabilities(OPA_PATH));
});

it('a module that calls every builtin loads, and the host has none that is not in the list', async () => {
  const calls = Object.values(EXPRESSIONS).flat();
  const text = calls.map((call, index) => {
    const words = new Set(call.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(/\W+/));
    const names = [...'abijklmstu'].filter((name) => words.has(name));
    const lines = names.map((name) => `  ${name} := input.subject.claims.${name}\n`).join('');
    return `v${index} := value if {\n${lines}  value := ${call}\n}`;
  });
  const uses = calls.map((_, index) => `allow if is_string(v${index})`);
  const compiled = await test.opa.compile([toPolicy('all', [...text, ...uses].join('\n\n'))]);
  if (!compiled.ok) throw new Error(compiled.message);
  expect(instantiate(await compileModule(compiled.wasm), ENTRYPOINT).memory()).toBeGreaterThan(0);
  expect([...HOST_BUILTINS.keys()].filter((name) => !BUILTINS.includes(name))).toEqual([]);
});

it('sprintf refuses what it does not do as Go does', () => {
  for (const format of ['%x', '%t', '%q', '%+d', '%.2f', '%*d', '%[1]d', '%', '%05s', '% d']) {
    expect(() => formatTerms(format, [{ type: 'number', text: '1' }])).toThrow(RangeError);
  }
});
