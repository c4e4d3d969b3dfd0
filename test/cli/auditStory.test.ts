/** One story at a real STS, as its log tells it: traced, replayed under other policies and manifests, and told to a SIEM. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { application, grant, policy, policySet, revision, revocation } from '../compiler/world.ts';
import { BY_TILL, call, edgeOf, lifecycleOf, startAgent } from '../sts/agentCalls.ts';
import { postJSON } from '../sts/gateway.ts';
import { BY_SECRET, mandateOf, startSTS, type TestSTS } from '../sts/service.ts';
import { PAYMENTS } from '../sts/shop.ts';
import { decode } from '../sts/tokens.ts';
import { run } from './run.ts';

const LIMITED = `package caracal.policy.shop

allow if input.scope in {"read", "write"}

step_up contains {"tier": "money", "approver": "operator"} if input.scope == "write"
`;
const CHEAPER = `package caracal.policy.shop

allow if input.scope in {"read", "write"}

deny contains "not to tills" if input.principal.name == "till"

max_ttl_seconds := 60
`;

let sts: TestSTS;
let folder: string;
let data: string;
const ids: Record<string, string> = {};

const jtiOf = (mandate: string) => String(decode(mandate).claims['jti']);
const set = policySet({ policies: [{ name: 'shop' }] });

beforeAll(async () => {
  sts = await startSTS();
  data = dirname(sts.storePath);
  folder = mkdtempSync(join(tmpdir(), 'caracal-story-'));
  await sts.apply((world) => ({
    ...world,
    applications: world.applications.map((one) =>
      application({ ...one.spec, delegation: { receivers: 'Zone' } } as typeof one.spec, one.metadata),
    ),
    grants: world.grants.map((one) => grant({ ...one.spec, delegation: 'Zone' }, one.metadata)),
    policies: [policy({ rego: LIMITED }, { name: 'shop' }), ...world.policies.slice(1)],
    policySetRevisions: [
      ...world.policySetRevisions,
      revision(2, { policies: [{ name: 'shop', rego: LIMITED }] }, set),
    ],
  }));
  await tellStory();
});
afterAll(async () => {
  await sts.close();
  rmSync(folder, { recursive: true });
});

/** The cart delegates to the till, which needs an approval for `write`; the till pays; the cart's session is revoked. */
async function tellStory(): Promise<void> {
  const [cart, till] = [await lifecycleOf(sts), await lifecycleOf(sts, BY_TILL)];
  ids.cart = await startAgent(sts, cart, 'shop.cart');
  ids.till = await startAgent(sts, till, 'shop.till');
  const edge = { ...edgeOf(ids.cart, ids.till), scopes: ['read', 'write'] };
  const delegated = await call(sts, cart, 'POST', '/delegations', { body: edge });
  ids.edge = String(delegated.body['delegation_edge_id']);
  const within = { agent_session_id: ids.till, delegation_edge_id: ids.edge };
  const ask = { ...BY_TILL, ...within, resource: PAYMENTS, scope: 'write', use: 'resource' };
  ids.challenge = String((await sts.token(ask)).body['challenge_id']);
  const found = sts.challenges().find(ids.challenge)!;
  const who = { type: 'operator', name: 'ops', groups: [], applications: [] } as const;
  await sts.challenges().decide(found, { approved: true, binding: found.challenge.binding }, who, 'decision');
  ids.paid = jtiOf(mandateOf(await sts.token({ ...ask, challenge_id: ids.challenge })));
  ids.read = jtiOf(mandateOf(await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'read' })));
  await sts.token({ ...BY_SECRET, resource: PAYMENTS, scope: 'transfer' });
  const about = { method: 'POST', resource: PAYMENTS, operation: '/payments/{id}', source: '192.0.2.1' };
  const requests = [
    { at: sts.seconds() * 1000, request_id: 'pay', decision: 'allow', ...about, jti: ids.paid },
    { at: sts.seconds() * 1000, request_id: 'late', decision: 'refuse', ...about, error: 'missing_token', status: 401 },
    {
      ...{ at: sts.seconds() * 1000, until: sts.seconds() * 1000 + 5, request_id: 'late', decision: 'refuse' },
      ...{ ...about, error: 'missing_token', status: 401, count: 7 },
    },
  ];
  const spool = '0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31';
  await postJSON(sts, '/v1/audit?zone_id=shop.main', { spool, sequence: 1, requests });
  const created = new Date(sts.seconds() * 1000).toISOString();
  const stop = revocation({ agentSession: ids.cart }, {}, { name: 'stop', created });
  await sts.apply((world) => ({ ...world, revocations: [stop] }));
}

const audit = (...args: readonly string[]) => run(['audit', ...args, '--data', data], { cwd: folder });

interface OCSFEvent {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly type_uid: number;
  readonly status: string;
  readonly count?: number;
  readonly api?: { readonly operation: string };
  readonly session?: { readonly uid: string };
  readonly unmapped: { readonly hash: string };
}

interface Event {
  readonly number: number;
  readonly what: string;
  readonly text: string;
  readonly ledBy: readonly number[];
}
const traced = async (id: string) => JSON.parse((await audit('trace', id, '--output', 'json')).out) as readonly Event[];

describe('caracal audit trace', () => {
  it('goes from a request at a gateway back to who let it come about', async () => {
    const events = await traced('pay');
    expect(events.map(({ what }) => what)).toEqual([
      ...['session.started', 'session.started', 'delegation.created', 'held', 'challenge.decided', 'permit', 'allowed'],
    ]);
    const [, , edge, held, decided, permit, request] = events;
    expect(decided!.text).toContain('by operator:ops');
    expect([held!.ledBy.includes(edge!.number), permit!.ledBy.includes(decided!.number)]).toEqual([true, true]);
    expect(request!.ledBy).toEqual([permit!.number]);
  });

  it('of a session tells what it made possible and what ended it', async () => {
    const whats = (await traced(ids.cart!)).map(({ what }) => what);
    for (const what of ['delegation.created', 'permit', 'allowed', 'revocation']) expect(whats).toContain(what);
  });

  it('is a table for people, and says where nothing is known', async () => {
    expect((await audit('trace', ids.challenge!)).out).toMatch(/^ ?# .*LED BY.*\n1 /);
    const none = await audit('trace', 'nothing');
    expect([none.exit, none.err]).toEqual([1, expect.stringContaining('has nothing of nothing')]);
  });
});

/** As a candidate would be written: without what a cluster adds. */
function writeManifests(name: string, rego: string, grants = sts.world().grants): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  const { zones, applications, resources, policySets } = sts.world();
  const policies = [policy({ rego }, { name: 'shop' })];
  const objects = [...zones, ...applications, ...resources, ...grants, ...policies, ...policySets];
  const documents = objects
    .filter(({ metadata }) => metadata.namespace === 'shop')
    .map(({ apiVersion, kind, metadata: { namespace, name: own }, spec }) =>
      JSON.stringify({ apiVersion, kind, metadata: { namespace, name: own }, spec }),
    );
  writeFileSync(join(path, 'all.yaml'), documents.join('\n---\n'));
  return path;
}

interface Report {
  readonly replayed: number;
  readonly changed: readonly { readonly scopes: readonly string[]; readonly was: object; readonly wouldBe: object }[];
  readonly skipped: number;
}
async function replayed(...args: readonly string[]): Promise<Report & { readonly exit: number }> {
  const { exit, out, err } = await audit('replay', ...args, '--output', 'json');
  if (out === '') throw new Error(err);
  return { ...(JSON.parse(out) as Report), exit };
}

describe('caracal audit replay', () => {
  it('changes nothing under the manifests that are in force, and exits 0', async () => {
    const report = await replayed('--manifests', writeManifests('same', LIMITED), '--zone', 'shop.main');
    expect(report).toMatchObject({ exit: 0, changed: [], skipped: 0 });
    expect(report.replayed).toBeGreaterThanOrEqual(6);
  });

  it('shows what other policies would deny, no longer hold, and permit for less, and exits 1', async () => {
    const { exit, changed } = await replayed('--manifests', writeManifests('cheaper', CHEAPER));
    expect(exit).toBe(1);
    expect(changed).toContainEqual(
      expect.objectContaining({
        scopes: ['write'],
        was: { outcome: 'hold' },
        wouldBe: { outcome: 'denial', reason: 'PolicyDenied' },
      }),
    );
    expect(changed).toContainEqual(
      expect.objectContaining({
        ...{ scopes: ['read'], was: { outcome: 'permit', seconds: 300 } },
        wouldBe: { outcome: 'permit', seconds: 60 },
      }),
    );
  });

  it('shows what other Grants would change', async () => {
    const without = [grant({ scopes: ['write'] })];
    const { changed } = await replayed('--manifests', writeManifests('grants', LIMITED, without));
    expect(changed.map(({ wouldBe }) => wouldBe)).toEqual([{ outcome: 'denial', reason: 'ScopeNotGranted' }]);
  });

  it('replays under a revision that the data folder keeps, and under none that it does not', async () => {
    const kept = revision(3, { policies: [{ name: 'shop', rego: CHEAPER }] }, set);
    const state = { version: 1, counter: 1, objects: [{ object: kept }], namespaces: [] };
    writeFileSync(join(data, 'state.json'), JSON.stringify(state));
    const { exit, changed } = await replayed('--revision', kept.metadata.name);
    expect([exit, changed.length > 2]).toEqual([1, true]);
    expect((await audit('replay', '--revision', kept.metadata.name)).out).toMatch(
      /WOULD BE[^]*denial PolicyDenied[^]*would change/,
    );
    expect((await audit('replay', '--revision', 'other')).err).toContain('keeps no PolicySetRevision other');
    expect((await audit('replay')).exit).toBe(2);
  });

  it('leaves out what was asked before a time', async () => {
    const later = new Date((sts.seconds() + 10) * 1000).toISOString();
    expect(await replayed('--manifests', join(folder, 'same'), '--since', later)).toMatchObject({
      exit: 0,
      replayed: 0,
    });
  });
});

describe('caracal audit export --format ocsf', () => {
  it('is an event of a known class for each record, with what the class requires and where the proof is', async () => {
    const file = join(folder, 'events.jsonl');
    expect(await audit('export', '--format', 'ocsf', file)).toMatchObject({ exit: 0 });
    const events = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as OCSFEvent);
    const required: Readonly<Record<number, readonly string[]>> = {
      3003: ['user'],
      3004: ['entity'],
      6003: ['actor', 'api', 'src_endpoint'],
    };
    for (const event of events) {
      expect(event.type_uid).toBe(event.class_uid * 100 + event.activity_id);
      for (const name of [...required[event.class_uid]!, 'category_uid', 'severity_id', 'time', 'metadata'])
        expect(event).toHaveProperty(name);
      expect(event.unmapped.hash).toMatch(/^[0-9a-f]{64}$/);
    }
    const requests = events.filter((event) => event.class_uid === 6003);
    expect(requests.map((event) => [event.api?.operation, event.status, event.count])).toEqual([
      ['POST /payments/{id}', 'Success', undefined],
      ['POST /payments/{id}', 'Failure', undefined],
      ['POST /payments/{id}', 'Failure', 7],
    ]);
    expect(events.filter((event) => event.session?.uid === ids.paid)).toMatchObject([
      { class_uid: 3003, action_id: 1 },
    ]);
  });
});

describe('the log', () => {
  it('holds, with records of every kind, and lists each', async () => {
    expect((await audit('verify')).out).toMatch(/^the log holds/);
    const { out } = await audit('list');
    expect(out).toMatch(/1 allowed, 8 refused at shop\/gateway/);
    expect(out).toMatch(/configuration, epoch \d+, policy base@2, 1 revoked/);
    expect(out).toMatch(/delegation\.created by shop\.cart/);
    for (const kind of ['exchange', 'act', 'configuration', 'gateway']) {
      const found = JSON.parse((await audit('list', '--kind', kind, '--output', 'json')).out) as {
        record: { id: string };
      }[];
      expect((await audit('show', found[0]!.record.id)).out).toContain(found[0]!.record.id);
    }
  });
});
