/** Operators' commands against a real `caracal up`: what runs is shown, decided, revoked and frozen. */
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/processes.ts';
import { startUp, type UpProcess } from '../up/upProcess.ts';
import { toTree, toTreeText } from '../../src/cli/operate/tree.ts';
import { run, ROOT, type RunResult } from './run.ts';

const ZONE = 'quickstart.shop';
const ORDERS = 'resource://orders';
/** Of the quickstart, and what a refund then waits for. */
const HELD = `---
apiVersion: caracal.run/v1alpha1
kind: Policy
metadata: {name: held, namespace: quickstart}
spec:
  rego: |
    package caracal.policy.held

    step_up contains {"tier": "money", "approver": "operator"} if input.request.ttl_seconds < 100
`;

let folder: string;
let up: UpProcess;
let issuer: string;
const data = () => join(folder, 'data');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caracal-operate-'));
  await cp(join(ROOT, 'examples/quickstart'), join(folder, 'manifests'), { recursive: true });
  const file = join(folder, 'manifests/policies.yaml');
  const policies = await readFile(file, 'utf8');
  const set = /^( *)policies:\n/m.exec(policies)!;
  await writeFile(file, `${policies.replace(set[0], `${set[0]}${set[1]}  - name: held\n`)}${HELD}`);
  up = await startUp(['--manifests', join(folder, 'manifests'), '--data', data()]);
  issuer = String((await up.event(({ event }) => event === 'ready'))['issuer']);
});
afterAll(async () => {
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
});

const caracal = (...args: readonly string[]): Promise<RunResult> => run([...args, '--data', data()]);

async function token(...more: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const asked = ['token', '--issuer', issuer, '--zone', ZONE, '--service-account', 'quickstart/assistant'];
  const { out } = await run([...asked, '--data', data(), '--output', 'json', ...more]);
  return JSON.parse(out) as Readonly<Record<string, unknown>>;
}

async function startAgent(more: object = {}): Promise<string> {
  const lifecycle = await token('--scope', 'agent:lifecycle');
  const response = await fetch(`${issuer}/zones/${ZONE}/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${String(lifecycle['access_token'])}`, 'content-type': 'application/json' },
    body: JSON.stringify({ application_id: 'quickstart.assistant', ...more }),
  });
  const body = (await response.json()) as { agent_session_id: string };
  expect([response.status, body]).toMatchObject([201, {}]);
  return body.agent_session_id;
}

const read = ['--resource', ORDERS, '--scope', 'orders:read'] as const;
const hold = async () => String((await token(...read, '--ttl', '60s'))['challenge_id']);

describe('caracal up', () => {
  it('keeps the token of its runtime API for its owner alone', async () => {
    const { mode } = await stat(join(data(), 'runtime-token'));
    expect(mode & 0o777).toBe(0o600);
    const bare = await fetch(`${issuer}/apis/runtime.caracal.run/v1alpha1/agentsessions`);
    expect(bare.status).toBe(401);
  });
});

describe('the commands that show', () => {
  it('list sessions as the server prints them, wide, and as documents', async () => {
    const session = await startAgent();
    const plain = await caracal('sessions');
    expect([plain.exit, plain.err]).toEqual([0, '']);
    expect(plain.out.split('\n')[0]).toMatch(/^NAME +ZONE +APPLICATION +STATE +LEFT +AGE$/);
    expect(plain.out).toMatch(new RegExp(`^${session} +shop +quickstart.assistant +active`, 'm'));
    expect((await caracal('sessions', '-o', 'wide')).out).toMatch(/LIFECYCLE +PARENT +SUBJECT$/m);
    const json = JSON.parse((await caracal('sessions', '-o', 'json')).out) as { items: unknown[] };
    expect(json.items.length).toBeGreaterThan(0);
    expect((await caracal('sessions', '-o', 'yaml')).out).toMatch(/^kind: AgentSessionList$/m);
    expect((await caracal('sessions', '--application', 'quickstart.nobody')).err).toBe('no agentsessions\n');
  });

  it('show who acts under whom', async () => {
    const parent = await startAgent();
    const child = await startAgent({ parent_id: parent });
    const { out } = await caracal('tree', child);
    expect(out).toMatch(
      new RegExp(
        `^quickstart.assistant \\(${parent}\\) until [^\\n]+\\n└─ quickstart.assistant \\(${child}\\) until`,
        'm',
      ),
    );
    expect((await caracal('tree', '0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31')).err).toContain('`caracal sessions` shows');
  });

  it('say how zones stand, and that one is not served', async () => {
    await startAgent();
    const { exit, out } = await caracal('status');
    expect(exit).toBe(0);
    expect(out).toMatch(/^ZONE +SESSIONS +DELEGATIONS +WAITING +FREEZE\nquickstart.shop +\d+ +0 +\d+ +not frozen\n$/);
    const unknown = await caracal('status', 'quickstart.none');
    expect([unknown.exit, unknown.out]).toMatchObject([1, expect.stringContaining('not served')]);
  });

  it('say who may do what, with what policy says', async () => {
    const who = await caracal('who-can', ORDERS, '--zone', ZONE, '--scope', 'orders:read');
    expect(who.out).toMatch(/^quickstart.assistant +itself +orders:read +Allowed +quickstart\/assistant-orders$/m);
    const what = await caracal('what-can', 'quickstart.assistant', '--zone', ZONE);
    expect(what.out).toMatch(/^resource:\/\/orders +itself +orders:write +Denied \(PolicyDenied\)/m);
    const nobody = await caracal('what-can', 'quickstart.nobody', '--zone', ZONE);
    expect([nobody.exit, nobody.err]).toEqual([1, 'nobody: no Grant in force says so\n']);
  });
});

describe('the commands that act', () => {
  it('approve what waits, once', async () => {
    const id = await hold();
    expect((await caracal('challenges')).out).toMatch(new RegExp(`^${id} +quickstart.assistant +${ORDERS}`, 'm'));
    const approved = await caracal('approve', id, '--reason', 'seen');
    expect(approved).toEqual({
      exit: 0,
      err: '',
      out: `approved: quickstart.assistant, for itself: orders:read on ${ORDERS} (tier money)\n`,
    });
    expect((await caracal('challenges')).err).toBe('no stepupchallenges\n');
    const spent = await token(...read, '--ttl', '60s', '--challenge', id);
    expect(spent['access_token']).toEqual(expect.any(String));
    const again = await caracal('approve', id);
    expect([again.exit, again.err]).toEqual([1, 'error: the challenge cannot be decided: not pending\n']);
  });

  it('reject with a reason, which the requester is told', async () => {
    const id = String((await token(...read, '--ttl', '61s'))['challenge_id']);
    const without = await caracal('reject', id);
    expect([without.exit, without.err]).toMatchObject([2, expect.stringContaining('--reason <text> is required')]);
    expect((await caracal('reject', id, '--reason', 'not now')).exit).toBe(0);
    expect((await token(...read, '--ttl', '61s'))['error_description']).toContain('not now');
  });

  it('end a session with all that rests on it', async () => {
    const session = await startAgent();
    expect((await token(...read, '--agent-session', session))['access_token']).toEqual(expect.any(String));
    const { exit, out } = await caracal('revoke', 'session', session);
    expect([exit, out]).toEqual([0, `revoked: session ${session}, and all that rests on it\n`]);
    expect((await caracal('sessions')).out).not.toContain(session);
    const again = await caracal('revoke', 'session', session);
    expect(again.err).toBe(
      `error: no agentsessions has the id ${session}: \`caracal sessions\` shows those that live\n`,
    );
    expect((await caracal('revoke', 'grant', session)).err).toContain('write session or delegation');
  });

  it('freeze a zone and lift it, and the next exchange knows', async () => {
    const frozen = await caracal('freeze', ZONE, '--reason', 'incident 42');
    expect(frozen.out).toBe(`${ZONE}: frozen by command of local-admin (incident 42)\n`);
    expect((await token(...read))['reason']).toBe('ZoneFrozen');
    expect((await caracal('status', ZONE)).out).toContain('frozen by command of local-admin (incident 42)');
    expect((await caracal('unfreeze', ZONE)).out).toBe(`${ZONE}: not frozen\n`);
    await until(
      async () => (await token(...read))['access_token'] !== undefined,
      () => 'it stays frozen',
    );
  });
});

describe('a command that cannot be', () => {
  it.each([
    [['sessions', '--outptu', 'json'], 2, 'Did you mean --output?'],
    [['approve', 'x'], 2, '"x" is no id: write the one that `caracal challenges --all` shows'],
    [['freeze', 'shop', '--reason', 'x'], 2, '"shop" is no zone: write NAMESPACE.NAME'],
    [['sessions', '--server', 'http://sts.example.com'], 2, 'must be an https URL, or http on this machine'],
    [['sessions', '--kubeconfig', 'x', '--data', 'y'], 2, 'leave --data, --server and --token-file out'],
    [['sessions', '--data', '/nowhere'], 2, '/nowhere is of no `caracal up`'],
  ])('%s says what is wrong and what to do', async (args, exit, message) => {
    const result = await run(args);
    expect([result.exit, result.err]).toEqual([exit, expect.stringContaining(message)]);
  });

  it('never goes elsewhere where the address in the data folder cannot be read', async () => {
    const odd = join(folder, 'odd');
    await mkdir(join(odd, 'runtime-server'), { recursive: true });
    const { exit, err } = await run(['sessions', '--data', odd]);
    expect([exit, err]).toEqual([2, expect.stringContaining(`${odd} cannot be read`)]);
  });

  it('says that nothing answers, and where', async () => {
    const { exit, err } = await caracal('sessions', '--server', 'http://127.0.0.1:1');
    expect([exit, err]).toMatchObject([
      1,
      expect.stringContaining('http://127.0.0.1:1 does not answer (ECONNREFUSED)'),
    ]);
  });
});

describe('the tree of delegation', () => {
  const session = (name: string, spec: object = {}) => ({
    kind: 'AgentSession',
    metadata: { name, namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { application: `shop.${name}`, zone: 'main', ...spec },
    status: { state: 'active' },
  });
  const edge = (name: string, sourceSession: string, targetSession: string, hopsLeft: number) => ({
    kind: 'DelegationEdge',
    metadata: { name, namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      sourceSession,
      targetSession,
      scopes: ['read'],
      resources: [],
      hopsLeft,
      expiresAt: '2026-01-01T01:00:00Z',
    },
    status: { state: 'active' },
  });

  it('shows each hop below the one before, with what it carries', () => {
    const sessions = [session('a'), session('b'), session('c'), session('d', { parent: 'a' })];
    const edges = [edge('e1', 'a', 'b', 1), edge('e2', 'b', 'c', 0)];
    expect(toTreeText(toTree(sessions, edges))).toBe(`shop.a (a)
├─ shop.b (b): read; 1 hop left; until 2026-01-01T01:00:00Z; edge e1
│  └─ shop.c (c): read; 0 hops left; until 2026-01-01T01:00:00Z; edge e2
└─ shop.d (d)
`);
  });

  it('ends where sessions point at each other, and loses none whose parent is gone', () => {
    const sessions = [session('a'), session('b'), session('c', { parent: 'gone' })];
    const edges = [edge('e1', 'a', 'b', 0), edge('e2', 'b', 'a', 0)];
    expect(toTree(sessions, edges).map((root) => root.session)).toEqual(['c']);
  });
});
