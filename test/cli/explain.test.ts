/** `caracal explain`: which check, Grant or rule decides, by file and line. */
import { randomBytes } from 'node:crypto';
import { appendFile, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DecisionRecord } from '../../src/authority/decision.ts';
import { toRecordText } from '../../src/cli/explainRecorded.ts';
import { openSQLiteStore } from '../../src/store/sqlite.ts';
import { OPA_PATH as OPA } from '../support/opa.ts';
import { object, writeManifests } from './manifests.ts';
import { ROOT, run } from './run.ts';

const QUICKSTART = join(ROOT, 'examples/quickstart');
const explain = (...args: readonly string[]) =>
  run(['explain', QUICKSTART, '--opa', OPA, '--application', 'quickstart.assistant', ...args]);
const ORDERS = ['--resource', 'resource://orders'] as const;

/** Appended to the quickstart's policies, whose last document is the set. */
const HOLDING = `    - name: bulk
---
apiVersion: caracal.run/v1alpha1
kind: Policy
metadata:
  name: bulk
  namespace: quickstart
spec:
  rego: |
    package caracal.policy.bulk

    step_up contains {"tier": "bulk", "approver": "operator", "ttl_seconds": 60, "reason": "reads everything"} if {
      input.scope == "orders:read"
    }
`;

describe('caracal explain', () => {
  it('names the rule that denies, with file and line', async () => {
    const { exit, out } = await explain(...ORDERS, '--scope', 'orders:write');
    expect(exit).toBe(1);
    expect(out).toContain(`${QUICKSTART}/policies.yaml:35: deny "placing orders needs a signed-in user"`);
    expect(out).toContain(`${QUICKSTART}/policies.yaml:12: allow is true`);
    expect(out).toContain('✓ quickstart/assistant-orders');
    expect(out).toMatch(/denied, PolicyDenied: .*writes-need-a-user: placing orders needs a signed-in user\n$/);
  });

  it('names what each Grant lacks', async () => {
    const { exit, out } = await explain(...ORDERS, '--scope', 'orders:refund');
    expect(exit).toBe(1);
    expect(out).toContain('✗ scopes are granted');
    expect(out).toMatch(/✗ quickstart\/support-refunds \(.*grants.yaml:17\): lacks the application itself as subject/);
    expect(out).toContain('denied, ScopeNotGranted');
  });

  it('says of a Grant that is not in force why', async () => {
    const grant = (name: string, spec: object) =>
      object('Grant', 'shop', name, {
        ...{ zoneRef: { name: 'main' }, applicationRef: { name: 'agent' }, resourceRef: { name: 'api' } },
        ...{ scopes: ['read'], ...spec },
      });
    const files = await writeManifests({
      'shop.yaml': [
        object('Zone', 'shop', 'main', {}),
        object('Application', 'shop', 'agent', {
          ...{ zoneRef: { name: 'main' }, identities: [{ serviceAccount: { name: 'agent' } }] },
        }),
        object('Resource', 'shop', 'api', {
          ...{ zoneRef: { name: 'main' }, identifier: 'resource://api', type: 'HTTP', scopes: [{ name: 'read' }] },
        }),
        grant('early', { notBefore: '2026-04-01T00:00:00Z' }),
      ].join('---\n'),
    });
    const question = ['--application', 'shop.agent', '--resource', 'resource://api', '--scope', 'read'];
    const { out } = await files.run('explain', ...question, '--now', '2026-03-01T00:00:00Z');
    await files.close();
    expect(out).toMatch(/✗ shop\/early \(\S+\): is not in force: NotYetValid: /);
  });

  it('K-34 writes out control characters in what a policy says', async () => {
    const rego = 'package caracal.policy.base\n\ndeny contains "no\\u001b[2J\\nallowed"\n';
    const files = await writeManifests({
      'shop.yaml': [
        object('Zone', 'shop', 'main', { policySetRef: { name: 'set' } }),
        object('PolicySet', 'shop', 'set', { policies: [{ name: 'base' }] }),
        object('Policy', 'shop', 'base', { rego }),
        object('Application', 'shop', 'agent', {
          ...{ zoneRef: { name: 'main' }, identities: [{ serviceAccount: { name: 'agent' } }] },
        }),
      ].join('---\n'),
    });
    const { exit, out } = await files.run('explain', '--application', 'shop.agent');
    await files.close();
    expect([exit, out]).toEqual([1, expect.stringContaining('base: no\\u{1b}[2J\\u{a}allowed\n')]);
    expect(out).not.toContain('\u001b');
  });

  it('permits for a user of the group, as long as policy says', async () => {
    const { exit, out } = await explain(
      ...ORDERS,
      '--scope',
      'orders:refund',
      '--user',
      'corp:alice',
      '--group',
      'support',
    );
    expect([exit, out]).toEqual([0, expect.stringContaining('permitted for 120 s by quickstart/support-refunds')]);
  });

  it('tells the same as JSON', async () => {
    const { out } = await explain(
      ...ORDERS,
      '--scope',
      'orders:write',
      '--output',
      'json',
      '--now',
      '2026-03-02T12:00:00Z',
    );
    expect(JSON.parse(out)).toMatchObject({
      zone: 'quickstart.shop',
      now: Date.parse('2026-03-02T12:00:00Z'),
      decision: { type: 'denial', reason: 'PolicyDenied', scope: 'orders:write' },
      policies: [
        { policy: 'working-set', outcome: 'allows' },
        { policy: 'writes-need-a-user', outcome: 'denies' },
      ],
    });
  });

  it('explains a login', async () => {
    const { out } = await explain();
    expect(out).toContain('quickstart.assistant logs in, for itself');
    expect(out).toContain('permitted for 3600 s by no Grant (a login needs none)');
  });

  it('names the rule that holds, with file and line, and who has to approve', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'caracal-explain-'));
    await cp(QUICKSTART, folder, { recursive: true });
    await appendFile(join(folder, 'policies.yaml'), HOLDING);
    const ask = ['--application', 'quickstart.assistant', ...ORDERS, '--scope', 'orders:read'];
    const { exit, out } = await run(['explain', folder, '--opa', OPA, ...ask]);
    await rm(folder, { recursive: true });
    expect(exit).toBe(1);
    expect(out).toContain('✓ working-set allows orders:read');
    expect(out).toContain(
      `! bulk holds orders:read\n      ${folder}/policies.yaml:77: step_up: an operator has to approve within 60 s, tier bulk: reads everything\n`,
    );
    expect(out).toMatch(/\nheld: an operator has to approve within 60 s, tier bulk: reads everything\n$/);
  });

  const wrong: Readonly<Record<string, readonly [args: readonly string[], exit: number, message: string]>> = {
    'nothing to explain': [['explain'], 2, 'say what to explain'],
    'no application': [['explain', QUICKSTART], 2, '--application NAMESPACE.NAME is required'],
    'an unknown application': [
      ['explain', QUICKSTART, '--application', 'a.b'],
      1,
      'the manifests have no Application a.b',
    ],
    'a resource without scope': [
      ['explain', QUICKSTART, '--application', 'quickstart.assistant', ...ORDERS],
      2,
      '--scope is required',
    ],
    'a data folder without decisions': [
      ['explain', '--decision', 'x', '--data', '/nowhere'],
      1,
      '--data /nowhere has no decisions',
    ],
  };
  for (const [name, [args, exit, message]] of Object.entries(wrong)) {
    it(`refuses ${name}`, async () => {
      const result = await run([...args, '--opa', OPA]);
      expect([result.exit, result.out, result.err]).toEqual([exit, '', expect.stringContaining(message)]);
    });
  }
});

describe('caracal explain --decision', () => {
  it('tells a recorded denial from the data folder, while another process has it open', async () => {
    const data = await mkdtemp(join(tmpdir(), 'caracal-explain-'));
    const store = await openSQLiteStore({
      path: join(data, 'store.db'),
      clock: { now: () => Date.now() },
      randomBytes,
    });
    await store.commit({ decision: DENIAL });
    const told = await run(['explain', '--decision', DENIAL.id, '--data', data]);
    const unknown = await run(['explain', '--decision', 'other', '--data', data]);
    await store.close();
    await rm(data, { recursive: true });
    expect(told.exit).toBe(1);
    expect(told.out).toBe(`decision d-1, zone shop.main, 2026-03-01T12:00:00.000Z
shop.agent asked for write on resource://api, for itself, with serviceAccount

facts
  request r-1
  policy sha256:00
  nearest grant shop/agent-api, which lacks write

policies
  ✗ write (asked: base, careful)
      base allows
      careful denies: not on Sundays
      careful holds: an operator has to approve, tier money: moves money

denied, PolicyDenied: policy denied scope write
`);
    expect([unknown.exit, unknown.err]).toEqual([1, expect.stringContaining('has no decision other')]);
  });
});

const DENIAL: DecisionRecord = {
  id: 'd-1',
  zoneUID: 'z',
  zoneID: 'shop.main',
  at: Date.parse('2026-03-01T12:00:00Z'),
  requestID: 'r-1',
  kind: 'refusal',
  outcome: 'denial',
  epoch: 1,
  policyDigest: 'sha256:00',
  error: 'access_denied',
  denial: {
    type: 'denial',
    reason: 'PolicyDenied',
    message: 'policy denied scope write',
    nearestGrant: { grant: 'shop/agent-api', missing: ['write'] },
  },
  request: {
    zoneID: 'shop.main',
    principal: {
      applicationID: 'shop.agent',
      applicationUID: 'a',
      credential: 'serviceAccount',
      instance: 'i',
      workload: null,
    },
    subject: {
      type: 'application',
      issuer: '',
      sub: 'shop.agent',
      groups: [],
      claims: {},
      auth_time: null,
      acr: null,
      amr: [],
    },
    use: 'resource',
    resource: 'resource://api',
    scopes: ['write'],
    ttlSeconds: undefined,
    sid: 's',
    rootSid: 's',
    notAfter: undefined,
  },
  outcomes: [
    {
      permit: false,
      denials: [{ policy: 'careful', reason: 'not on Sundays' }],
      allowedBy: ['base'],
      stepUps: [{ policy: 'careful', tier: 'money', approver: 'operator', reason: 'moves money' }],
      asked: ['base', 'careful'],
    },
  ],
};

describe('a record of a mandate that was used', () => {
  const { request: _request, denial: _denial, outcomes: _outcomes, ...rest } = DENIAL;
  const consumed = { jti: 'm-1', resource: 'resource://api', gateway: 'shop/gateway' };
  it.each([
    ['permit', 'spent: it admits no other request'],
    ['denial', 'refused: it was spent before'],
  ] as const)('as %s says which, for what, and by which gateway', (outcome, line) => {
    expect(toRecordText({ ...rest, kind: 'consume', outcome, consumed }, []))
      .toBe(`decision d-1, zone shop.main, 2026-03-01T12:00:00.000Z
gateway shop/gateway used mandate m-1 for resource://api

facts
  request r-1
  policy sha256:00

${line}
`);
  });
});
