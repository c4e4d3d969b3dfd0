/** Several step-ups together: each once, the strictest first. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Approver, StepUpRequirement } from '../../../src/authority/stepUp/challenge.ts';
import { mergeRequirements, strictestOf } from '../../../src/authority/stepUp/requirements.ts';

const ask = (approver: Approver, tier = 'a', more: Partial<StepUpRequirement> = {}): StepUpRequirement => ({
  policy: 'p',
  tier,
  approver,
  ...more,
});

describe('strictestOf', () => {
  const rows: Readonly<Record<string, readonly [readonly StepUpRequirement[], Approver | undefined, tier?: string]>> = {
    'nothing asks for nobody': [[], undefined],
    'any alone asks for either': [[ask('any')], 'any', 'a'],
    'subject wins over any': [[ask('any'), ask('subject', 'z')], 'subject', 'z'],
    'operator wins over subject': [[ask('subject'), ask('operator', 'z')], 'operator', 'z'],
    'operator wins over any': [[ask('any'), ask('operator', 'z')], 'operator', 'z'],
    'of the equally strict the first tier by alphabet counts': [
      [ask('operator', 'z'), ask('operator', 'm'), ask('any', 'b')],
      'operator',
      'm',
    ],
  };
  it.each(Object.entries(rows))('%s', (_what, [requirements, approver, tier]) => {
    expect([strictestOf(requirements)?.approver, strictestOf(requirements)?.tier]).toEqual([approver, tier]);
    expect(strictestOf([...requirements].reverse())).toEqual(strictestOf(requirements));
  });
});

describe('mergeRequirements', () => {
  it('has each once, and keeps apart what differs in any member', () => {
    const all = [
      ask('operator', 'a'),
      ask('operator', 'a', { policy: 'q' }),
      ask('operator', 'b'),
      ask('subject', 'a'),
      ask('any', 'a'),
      ask('any', 'a', { ttlSeconds: 60 }),
      ask('any', 'a', { reason: 'r' }),
    ];
    expect(new Set(mergeRequirements([{ stepUps: all }, { stepUps: all }]))).toEqual(new Set(all));
    expect(mergeRequirements([{ stepUps: all }, { stepUps: all }]).length).toBe(all.length);
  });

  it('has one order, whatever the order of scopes and policies', () => {
    const one = fc.record({
      policy: fc.constantFrom('p', 'q'),
      tier: fc.constantFrom('a', 'b'),
      approver: fc.constantFrom<Approver>('operator', 'subject', 'any'),
    });
    fc.assert(
      fc.property(fc.array(fc.array(one, { maxLength: 4 }), { maxLength: 4 }), (scopes) => {
        const merged = mergeRequirements(scopes.map((stepUps) => ({ stepUps })));
        const turned = mergeRequirements(scopes.toReversed().map((stepUps) => ({ stepUps: stepUps.toReversed() })));
        expect(turned).toEqual(merged);
        expect(merged[0]).toEqual(strictestOf(scopes.flat()));
      }),
    );
  });
});
