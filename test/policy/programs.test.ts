/** Which program answers: only what our compiler made, never another set's or another time's answer. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyEngine } from '../../src/policy/engine.ts';
import { policySetDigest } from '../../src/policy/digest.ts';
import { createPolicyEngine } from '../../src/policy/workers.ts';
import { clock, createTestOPA, prepare, toInput, toPolicy, type TestOPA } from './support.ts';

let test: TestOPA;
let engine: PolicyEngine;
beforeAll(() => {
  test = createTestOPA();
  engine = createPolicyEngine({ opa: test.opa, clock, deadlineMs: 5000 });
});
afterAll(async () => {
  await engine.close();
  test.remove();
});

const OPEN = toPolicy('main', 'allow if input.scope == "read"');
const CLOSED = toPolicy('main', 'deny contains "closed" if input.scope == "read"');
const READ = toInput({ scope: 'read' });

describe('P-03 a set', () => {
  it('is the text that its digest says: other text under that digest, or WASM in its place, is refused', async () => {
    const digest = policySetDigest([CLOSED]);
    const wasm = { name: 'main', rego: '\0asm\x01\0\0\0' };
    for (const modules of [[OPEN], [wasm], []]) {
      expect(await engine.prepare('z-p03', digest, modules)).toMatchObject({ ok: false });
      const [outcome] = await engine.evaluate('z-p03', digest, [READ]);
      expect([outcome!.permit, outcome!.failure]).toEqual([false, 'unavailable']);
    }
    expect(await engine.prepare('z-p03', policySetDigest([wasm]), [wasm])).toMatchObject({ ok: false });
  });
});

describe('P-16 a set that is replaced while it is asked', () => {
  it('answers what was asked of it to the end, and each digest speaks for itself', async () => {
    const open = await prepare(engine, 'z-p16', [OPEN]);
    const answers = [];
    for (let round = 0; round < 100; round += 1) {
      // Another question each time, so that nothing is remembered.
      answers.push(open(toInput({ scope: 'read', subject: { ...READ.subject, sub: `u${round}` } })));
      if (round === 50) void prepare(engine, 'z-p16', [CLOSED]);
    }
    const outcomes = (await Promise.all(answers)).flat();
    expect(outcomes.map(({ permit }) => permit)).toEqual(Array.from({ length: 100 }, () => true));
    const closed = await prepare(engine, 'z-p16', [CLOSED]);
    expect((await closed(READ))[0]!.permit).toBe(false);
  });
});

describe('P-21 what was answered before', () => {
  it('is no answer for another set of the same zone, or for another zone', async () => {
    const open = await prepare(engine, 'z-a', [OPEN]);
    expect((await open(READ))[0]!.permit).toBe(true);
    const closed = await prepare(engine, 'z-a', [CLOSED]);
    expect((await closed(READ))[0]!.permit).toBe(false);
    expect((await open(READ))[0]!.permit).toBe(true);
    const other = await prepare(engine, 'z-b', [CLOSED]);
    expect((await other(READ))[0]!.permit).toBe(false);
  });

  it('is no answer to a question that differs in any one member', async () => {
    const rules = Object.keys(READ)
      .filter((name) => name !== 'time')
      .map((name) => `deny contains "${name}" if input.${name} != ${JSON.stringify(READ[name as keyof typeof READ])}`);
    const strict = await prepare(engine, 'z-c', [toPolicy('main', ['allow if true', ...rules].join('\n\n'))]);
    expect((await strict(READ))[0]!.permit).toBe(true);
    expect((await strict(toInput({ scope: 'other' })))[0]!.permit).toBe(false);
    const subject = { ...READ.subject, groups: [...READ.subject.groups, 'more'] };
    expect((await strict(toInput({ scope: 'read', subject })))[0]!.permit).toBe(false);
    expect((await strict(READ))[0]!.permit).toBe(true);
  });

  it('is no answer at another time for a set that reads the time, however it reads it', async () => {
    const ways = [
      'allow if input.time.hour < 12',
      'allow if input["time"].hour < 12',
      'allow if object.get(input, ["time", "hour"], 99) < 12',
      'allow if { some name, value in input; name == "time"; value.hour < 12 }',
      'allow if { t := input.time; t.hour < 12 }',
      'allow if { x := input; x.time.hour < 12 }',
      'now := input.time\n\nallow if now.hour < 12',
      'early(i) if i.time.hour < 12\n\nallow if early(input)',
    ];
    const at = (hour: number) => toInput({ scope: 'read', time: { ...READ.time, hour } });
    for (const [index, way] of ways.entries()) {
      const ask = await prepare(engine, `z-time-${index}`, [toPolicy('main', way)]);
      const permits = [];
      for (const hour of [9, 15, 9]) permits.push((await ask(at(hour)))[0]!.permit);
      expect([way, permits]).toEqual([way, [true, false, true]]);
    }
  });
});
