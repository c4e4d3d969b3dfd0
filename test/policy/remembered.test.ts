/** Outcomes are remembered only for questions that the set cannot tell apart. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyInput, PolicyTime } from '../../src/authority/policyInput.ts';
import type { PolicyEngine } from '../../src/policy/engine.ts';
import { createPolicyEngine } from '../../src/policy/workers.ts';
import { clock, createTestOPA, prepare, toInput, toPolicy, type TestOPA } from './support.ts';

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

const MORNING: PolicyTime = {
  unix: 1767600000,
  rfc3339: '2026-01-05T08:00:00Z',
  weekday: 'Monday',
  hour: 8,
  minute: 0,
};

/** The same question at two instants that differ in every member. */
const LATER: PolicyTime = {
  unix: 1767691860,
  rfc3339: '2026-01-06T09:31:00Z',
  weekday: 'Tuesday',
  hour: 9,
  minute: 31,
};

const READS: readonly (readonly [string, string])[] = [
  ['unix', 'allow if input.time.unix < 1767690000'],
  ['rfc3339', 'allow if time.clock(time.parse_rfc3339_ns(input.time.rfc3339))[0] == 8'],
  ['the hour', 'allow if input.time.hour < 9'],
  ['the minute', 'allow if input.time.minute < 10'],
  ['the weekday', 'allow if input.time.weekday == "Monday"'],
  ['a member by another name', 'allow if {\n  now := input.time\n  now.hour < 9\n}'],
  ['a member that is computed', 'allow if {\n  some name in ["hour"]\n  input.time[name] < 9\n}'],
  ['input as a value', 'allow if before(input)\n\nbefore(question) if question.time.hour < 9'],
  ['every value of input', 'allow if {\n  some value in input\n  value.hour < 9\n}'],
  ['an import', 'import input.time as now\n\nallow if now.hour < 9'],
  [
    'input within with',
    'allow if early with input as object.union(input, {"scope": "x"})\n\nearly if input.time.hour < 9',
  ],
];

describe('a set that reads time', () => {
  it.each(READS)('through %s is asked anew', async (name, body) => {
    const evaluate = await prepare(engine, `reads ${name}`, [toPolicy('hours', body)]);
    const permits = async (time: PolicyTime) => (await evaluate(toInput({ time })))[0]!.permit;
    expect([await permits(MORNING), await permits(LATER), await permits(MORNING)]).toEqual([true, false, true]);
  });
});

describe('a set that reads no time', () => {
  it('tells apart every other member of the input, and zones from each other', async () => {
    const body = 'allow if input.principal.id == "a"\n\ndeny contains input.scope if input.request.ttl_seconds > 60';
    const modules = [toPolicy('own', body)];
    const [one, other] = [await prepare(engine, 'one', modules), await prepare(engine, 'other', modules)];
    const input = (id: string, over: Partial<PolicyInput> = {}) =>
      toInput({
        principal: { ...toInput().principal, id },
        request: { ...toInput().request, ttl_seconds: 30 },
        ...over,
      });
    const long = { request: { ...toInput().request, ttl_seconds: 90 } };
    const asked = ['own'];
    const questions = [input('a'), input('b'), input('a', long), input('a', { ...long, scope: 'other' })];
    const answers = [
      { permit: true, denials: [], allowedBy: ['own'], stepUps: [], asked },
      { permit: false, denials: [], allowedBy: [], stepUps: [], asked },
      { permit: false, denials: [{ policy: 'own', reason: toInput().scope }], allowedBy: ['own'], stepUps: [], asked },
      { permit: false, denials: [{ policy: 'own', reason: 'other' }], allowedBy: ['own'], stepUps: [], asked },
    ];
    expect(await one(...questions)).toEqual(answers);
    expect(await one(...questions)).toEqual(answers);
    expect(await other(...questions)).toEqual(answers);
    expect(await one(...questions.toReversed())).toEqual(answers.toReversed());
  });

  it('needs no thread for what it was asked before', async () => {
    const asked = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 2000 });
    const evaluate = await prepare(asked, 'again', [toPolicy('always', 'allow := true')]);
    const [first] = await evaluate(toInput({ time: MORNING }));
    await asked.close();
    expect((await evaluate(toInput({ time: LATER })))[0]).toEqual(first);
    expect((await evaluate(toInput({ scope: 'another' })))[0]).toMatchObject({ permit: false, failure: 'unavailable' });
  });
});
