/** Explanations name the rule and the line that decided. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { explainPolicy } from '../../src/policy/explain.ts';
import { createTestOPA, toInput, toPolicy, type TestOPA } from './support.ts';

let test: TestOPA;

beforeAll(() => {
  test = createTestOPA();
});
afterAll(() => test.remove());

const allowing = toPolicy(
  'allowing',
  ['allow if reading', '', 'allow if input.scope == "write"', '', 'reading if input.scope == "read"'].join('\n'),
);
const denying = toPolicy(
  'denying',
  [
    'deny contains "not on Sundays" if input.time.weekday == "Sunday"',
    '',
    'deny contains reason if {',
    '  some group in input.subject.groups',
    '  startswith(group, "barred")',
    '  reason := sprintf("%s may not", [group])',
    '}',
    '',
    'max_ttl_seconds := 60',
  ].join('\n'),
);

it('says which rules were true and which policy says nothing', async () => {
  expect(await explainPolicy(test.opa, [allowing, denying], toInput())).toEqual([
    {
      policy: 'allowing',
      outcome: 'allows',
      allow: true,
      denials: [],
      stepUps: [],
      maxTTLSeconds: undefined,
      rules: [
        { name: 'allow', line: 3, fired: true },
        { name: 'allow', line: 5, fired: false },
        { name: 'reading', line: 7, fired: true },
      ],
    },
    {
      policy: 'denying',
      outcome: 'says nothing',
      allow: 'undefined',
      denials: [],
      stepUps: [],
      maxTTLSeconds: 60,
      rules: [
        { name: 'deny', line: 3, fired: false },
        { name: 'deny', line: 5, fired: false },
        { name: 'max_ttl_seconds', line: 11, fired: true },
      ],
    },
  ]);
});

it('gives each reason the line of its rule, also where the reason is computed', async () => {
  const { subject, time } = toInput();
  const input = toInput({
    subject: { ...subject, groups: ['staff', 'barred-a', 'barred-b'] },
    time: { ...time, weekday: 'Sunday' },
  });
  const [, explained] = await explainPolicy(test.opa, [allowing, denying], input);
  expect(explained).toMatchObject({
    outcome: 'denies',
    denials: [
      { reason: 'barred-a may not', line: 5 },
      { reason: 'barred-b may not', line: 5 },
      { reason: 'not on Sundays', line: 3 },
    ],
  });
});

it('a policy that does not apply, one of constants, one that fails and one of the wrong type', async () => {
  const explained = await explainPolicy(
    test.opa,
    [
      { name: 'names', rego: 'package caracal.data.names\n\nx := 1\n' },
      toPolicy('elsewhere', 'allow := true', { resources: ['resource://other'] }),
      toPolicy('failing', 'allow := true if input.scope != ""\n\nallow := false if input.time.hour < 24'),
      toPolicy('wrong', 'allow := "yes"'),
      toPolicy('list', 'deny := ["no"]'),
      toPolicy('whole', 'deny := {"no"} if input.scope == "read"'),
    ],
    toInput(),
  );
  expect(explained.map(({ policy, outcome, allow, denials }) => ({ policy, outcome, allow, denials }))).toEqual([
    { policy: 'elsewhere', outcome: 'does not apply', allow: 'undefined', denials: [] },
    { policy: 'failing', outcome: 'failed', allow: 'undefined', denials: [] },
    { policy: 'wrong', outcome: 'failed', allow: 'undefined', denials: [] },
    { policy: 'list', outcome: 'failed', allow: 'undefined', denials: [] },
    { policy: 'whole', outcome: 'denies', allow: 'undefined', denials: [{ reason: 'no', line: 3 }] },
  ]);
});

it('gives each step-up the line of its rule, also where its members are computed', async () => {
  const holding = toPolicy(
    'holding',
    [
      'step_up contains {"tier": "money", "approver": "operator"} if input.scope == "read"',
      '',
      'step_up contains {"tier": "money", "approver": who, "ttl_seconds": 60, "reason": reason} if {',
      '  who := "subject"',
      '  reason := sprintf("%s asks", [input.principal.id])',
      '}',
      '',
      'allow := true',
    ].join('\n'),
  );
  const odd = toPolicy('odd', 'step_up contains {"tier": "x", "approver": "anyone"}');
  expect(await explainPolicy(test.opa, [holding, odd], toInput())).toMatchObject([
    {
      outcome: 'holds',
      allow: true,
      stepUps: [
        { policy: 'holding', tier: 'money', approver: 'operator', line: 3 },
        {
          policy: 'holding',
          tier: 'money',
          approver: 'subject',
          ttlSeconds: 60,
          reason: 'default.application asks',
          line: 5,
        },
      ],
    },
    { outcome: 'failed', stepUps: [] },
  ]);
});
