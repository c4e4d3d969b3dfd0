/** The second act: a chain of three agents, a payment that waits for a person, the end of all of it, and the proof. */
import type { Environment } from './environment.ts';
import type { IdentityProvider, User } from './identityProvider.ts';
import { ask } from './prompt.ts';
import { decodePayload, detail, note, title } from './print.ts';
import { until } from './processes.ts';
import { proveLog } from './proof.ts';
import { createTeller, type Teller } from './teller.ts';
import { ID_TOKEN, call, exchange, send, type Answer, type Client } from './wire.ts';

const PAYMENTS = 'resource://payments';
const READING = { resource: PAYMENTS, scope: 'invoices:read' };
const PAYING = { resource: PAYMENTS, scope: 'payments:send' };
const CAROL: User = { sub: 'carol', groups: ['accounting'] };

/** An agent with a session: who it is, what it shows to the STS, and the session's id. */
interface Agent {
  readonly client: Client;
  /** `<namespace>.<name>`. */
  readonly application: string;
  readonly lifecycle: string;
  readonly session: string;
}

/** What every scene plays with. */
interface Stage extends Teller {
  readonly world: Environment;
  readonly users: IdentityProvider;
  readonly client: (account: string) => Client;
}

/** An agent that acts, and the members of its exchanges that say within what. */
interface Acting extends Agent {
  readonly within: Readonly<Record<string, string>>;
}

/** Returns how many expectations did not hold. */
export async function tellOfAgents(world: Environment, users: IdentityProvider): Promise<number> {
  const { issuer, office, data } = world;
  const client = (account: string): Client => ({
    issuer,
    zoneID: office.zoneID,
    agentToken: (audience) => office.token(account, audience),
  });
  const stage: Stage = { world, users, client, ...createTeller() };
  const orchestrator = await startForCarol(stage);
  const worker = await delegateToWorker(orchestrator, stage);
  const runner = await passOnToRunner(worker, stage);
  await pay(runner, stage);
  await payOverTheLimit(runner, stage);
  await endAll({ orchestrator, worker, runner }, stage);
  title('16. The log proves it');
  await proveLog(data, { zoneID: office.zoneID, chain: ['accounts.runner', 'accounts.worker'] }, stage);
  return stage.differences();
}

async function startForCarol(stage: Stage): Promise<Acting> {
  const { world, users, client, expect, show } = stage;
  title('10. Carol (group accounting) signs in to the orchestrator, which starts an agent session for her');
  const signedIn = await exchange(client('orchestrator'), {
    subject_token: await users.signIn(CAROL, 'accounts-desk', { lifetime: '30m' }),
    subject_token_type: ID_TOKEN,
  });
  const login = mandateOf(signedIn);
  const attached = { subject_session_id: String(decodePayload(login)['sid']), subject_token: login };
  const orchestrator = await startAgent(client('orchestrator'), stage, attached);
  const within = { agent_session_id: orchestrator.session };
  const read = await exchange(orchestrator.client, { ...within, ...READING });
  const invoices = show(await call(world.office, 'GET', '/invoices', mandateOf(read)));
  expect('it reads invoices with a mandate that names the session', invoices.status === 200);
  return { ...orchestrator, within };
}

async function delegateToWorker(orchestrator: Agent, stage: Stage): Promise<Acting> {
  const { client, expect, show } = stage;
  title('11. It delegates to a worker: reading and paying, not closing invoices; two hops');
  const worker = await startAgent(client('worker'), stage);
  const edge = show(
    await delegate(orchestrator, worker, {
      scopes: ['invoices:read', 'payments:send', 'payments:send-large'],
      constraints: { resources: [PAYMENTS], max_hops: 2, ttl_seconds: 1500 },
    }),
  );
  expect('201: an edge, though the worker has no Grant of its own', edge.status === 201);
  return { ...worker, within: withinEdge(worker, edge) };
}

async function passOnToRunner(worker: Agent, stage: Stage): Promise<Acting> {
  const { client, expect, show } = stage;
  title('12. The worker delegates to a runner that only pays; it cannot pass on more than it has');
  const runner = await startAgent(client('runner'), stage);
  const wider = show(
    await delegate(worker, runner, { scopes: ['invoices:close', 'payments:send'], ttl_seconds: 1200 }),
  );
  expect(
    'refused: 403 delegation_exceeds_parent_authority',
    wider.status === 403 && wider.body['error'] === 'delegation_exceeds_parent_authority',
  );
  const narrower = { scopes: ['payments:send', 'payments:send-large'], ttl_seconds: 1200 };
  const edge = show(await delegate(worker, runner, narrower));
  expect('narrower: 201', edge.status === 201);
  return { ...runner, within: withinEdge(runner, edge) };
}

async function pay({ client, within }: Acting, { world, expect, show }: Stage): Promise<void> {
  title('13. The runner pays: its mandate names Carol, and everyone between her and the payment');
  const minted = show(await exchange(client, { ...within, ...PAYING }));
  const mandate = mandateOf(minted);
  if (minted.status === 200) detail(JSON.stringify(chainOf(mandate), null, 2));
  const paid = show(await call(world.office, 'POST', '/payments', mandate));
  const seen = JSON.stringify(paid.body);
  expect(
    '200, and the service knows for whom and by whom',
    paid.status === 200 && seen.includes('corp:carol') && seen.includes('accounts.runner'),
  );
  const beyond = show(await exchange(client, { ...within, ...READING }));
  expect('what the edge does not carry is refused: ScopeNotDelegated', beyond.body['reason'] === 'ScopeNotDelegated');
}

async function payOverTheLimit({ client, within }: Acting, stage: Stage): Promise<void> {
  const { world, expect, show } = stage;
  title('14. A payment over the limit: policy asks for a person');
  const request = { ...within, resource: PAYMENTS, scope: 'payments:send-large' };
  const held = show(await exchange(client, request));
  expect(
    '401 interaction_required, with a challenge',
    held.status === 401 && held.body['error'] === 'interaction_required',
  );
  const challenge = { id: String(held.body['challenge_id']), binding: String(held.body['binding']) };
  const isApproved = await ask(`${String(held.body['error_description'])}. Approve as Carol?`);
  const waiting = send(world.issuer, 'GET', `/step-up/${challenge.id}?wait=25`);
  const decided = show(await decideAsCarol(stage, challenge, isApproved));
  const state = isApproved ? 'approved' : 'rejected';
  expect(`Carol, signed in anew with nonce = binding: ${state}`, decided.body['state'] === state);
  expect('the runner, which was waiting, is told', (await waiting).body['state'] === state);
  const retry = { ...request, challenge_id: challenge.id };
  const retried = show(await exchange(client, retry));
  if (!isApproved) {
    expect('refused: 403 StepUpRejected', retried.body['reason'] === 'StepUpRejected');
    return;
  }
  await spendApproval(client, retry, retried, stage);
  await approveAsOperator(client, { ...request, ttl_seconds: '90' }, stage);
}

/** Another lifetime is another request, and so another question; policy lets either person answer it. */
async function approveAsOperator(
  client: Client,
  request: Readonly<Record<string, string>>,
  { world: { operator }, expect, show }: Stage,
): Promise<void> {
  if (!operator) return;
  note('Another payment; this time an operator is asked');
  const id = String(show(await exchange(client, request)).body['challenge_id']);
  for (const command of [['challenges'], ['approve', id, '--reason', 'the rent']]) {
    note(`$ caracal ${command.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ')}`);
    detail(await operator(command));
  }
  const retried = show(await exchange(client, { ...request, challenge_id: id }));
  expect('approved by an operator: a mandate', retried.status === 200);
  note('$ caracal tree');
  const tree = await operator(['tree']);
  detail(tree);
  expect(
    'who acts under whom, as operators see it',
    /orchestrator[\s\S]*└─ accounts\.worker[\s\S]*└─ accounts\.runner/.test(tree),
  );
}

async function endAll(
  { orchestrator, worker, runner }: Readonly<Record<'orchestrator' | 'worker' | 'runner', Acting>>,
  { world: { issuer, office }, expect, show }: Stage,
): Promise<void> {
  title('15. The orchestrator’s session ends: three mandates with minutes to live are dead now');
  const mint = async ({ client, within }: Acting, request: Readonly<Record<string, string>>) =>
    mandateOf(await exchange(client, { ...within, ...request }));
  const live = [
    { who: 'orchestrator', method: 'GET', path: '/invoices', mandate: await mint(orchestrator, READING) },
    { who: 'worker', method: 'GET', path: '/invoices', mandate: await mint(worker, READING) },
    { who: 'runner', method: 'POST', path: '/payments', mandate: await mint(runner, PAYING) },
  ];
  const statuses = await Promise.all(
    live.map(async ({ method, path, mandate }) => (await call(office, method, path, mandate)).status),
  );
  expect(
    'still 200, 200, 200 before',
    statuses.every((status) => status === 200),
  );
  const session = `/zones/${office.zoneID}/agents/${orchestrator.session}`;
  show(await send(issuer, 'DELETE', session, { bearer: orchestrator.lifecycle }));
  const refusals = live.map(async ({ who, method, path, mandate }) => {
    const isRefused = async () => (await call(office, method, path, mandate)).status !== 200;
    return { who, took: await until(`the refusal of the ${who}’s mandate`, isRefused, 5000) };
  });
  for (const { who, took } of await Promise.all(refusals))
    expect(`the ${who}’s mandate refused ${took.toFixed(0)} ms after`, took < 1000);
  const after = show(await exchange(runner.client, { ...runner.within, ...PAYING }));
  expect('and no new one: DelegationNotActive', after.status === 403 && after.body['reason'] === 'DelegationNotActive');
}

/** From a session of one agent to a session of another. */
function delegate(from: Agent, to: Agent, what: Readonly<Record<string, unknown>>): Promise<Answer> {
  return send(from.client.issuer, 'POST', `/zones/${from.client.zoneID}/delegations`, {
    bearer: from.lifecycle,
    body: {
      issuer_application_id: from.application,
      source_session_id: from.session,
      receiver_application_id: to.application,
      target_session_id: to.session,
      ...what,
    },
  });
}

/** A session of the application's own, or for the user whose login is attached. */
async function startAgent(
  client: Client,
  { expect, show }: Teller,
  attached: Readonly<Record<string, string>> = {},
): Promise<Agent> {
  const minted = await exchange(client, { scope: 'agent:lifecycle' });
  const lifecycle = mandateOf(minted);
  const application = String(decodePayload(lifecycle)['client_id']);
  const body = { application_id: application, ttl_seconds: 1800, ...attached };
  const started = await send(client.issuer, 'POST', `/zones/${client.zoneID}/agents`, { bearer: lifecycle, body });
  show(started);
  expect(`201: a session of ${application}`, started.status === 201);
  return { client, application, lifecycle, session: String(started.body['agent_session_id']) };
}

function withinEdge({ session }: Agent, edge: Answer): Readonly<Record<string, string>> {
  return { agent_session_id: session, delegation_edge_id: String(edge.body['delegation_edge_id']) };
}

function mandateOf(answer: Answer): string {
  return String(answer.body['access_token']);
}

/** The claims that say who acts for whom. */
function chainOf(mandate: string): Readonly<Record<string, unknown>> {
  const { sub, client_id, act, scope, hop_count, delegation_chain } = decodePayload(mandate);
  return { sub, client_id, act, scope, hop_count, delegation_chain };
}

interface ShownChallenge {
  readonly id: string;
  readonly binding: string;
}

/** What the approver application does: a fresh login for this very challenge, then the decision. */
async function decideAsCarol(
  { users, client }: Stage,
  { id, binding }: ShownChallenge,
  isApproved: boolean,
): Promise<Answer> {
  const approvals = client('approvals');
  note('Carol signs in to accounts.approvals, with nonce = binding');
  const login = await exchange(approvals, {
    subject_token: await users.signIn(CAROL, 'accounts-approvals', { nonce: binding }),
    subject_token_type: ID_TOKEN,
  });
  return send(approvals.issuer, 'POST', `/step-up/${id}/decision`, {
    bearer: mandateOf(login),
    body: { decision: isApproved ? 'approved' : 'rejected', binding },
  });
}

async function spendApproval(
  runner: Client,
  request: Readonly<Record<string, string>>,
  retried: Answer,
  { world: { office }, expect, show }: Stage,
): Promise<void> {
  const mandate = mandateOf(retried);
  expect('the same request with challenge_id: a mandate', retried.status === 200);
  const paid = show(await call(office, 'POST', '/payments/large', mandate));
  expect('200 from the service', paid.status === 200);
  const again = await exchange(runner, request);
  const isSame = decodePayload(mandateOf(again))['jti'] === decodePayload(mandate)['jti'];
  expect('sent once more, as if the reply was lost: the same mandate, no second one', isSame);
  const twice = show(await call(office, 'POST', '/payments/large', mandate));
  expect(
    'and a second payment with it is refused: it admits one request',
    twice.status === 401 && twice.body['error'] === 'invalid_token',
  );
  const wider = show(await exchange(runner, { ...request, scope: 'payments:send payments:send-large' }));
  expect('for anything else the approval is none', wider.status === 401 && wider.body['error'] === 'access_denied');
}
