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
const CAROL: User = { sub: 'carol', groups: ['accounting'] };

/** An agent with a session: who it is, what it shows to the STS, and the session's id. */
interface Agent {
  readonly client: Client;
  readonly lifecycle: string;
  readonly session: string;
}

/** Returns how many expectations did not hold. */
export async function tellOfAgents(world: Environment, users: IdentityProvider): Promise<number> {
  const teller = createTeller();
  const { expect, show } = teller;
  const { issuer, office } = world;
  const { zoneID } = office;
  const client = (account: string): Client => ({
    issuer,
    zoneID,
    agentToken: (audience) => office.token(account, audience),
  });
  const zone = `/zones/${zoneID}`;

  title('10. Carol (group accounting) signs in to the orchestrator, which starts an agent session for her');
  const signedIn = await exchange(client('orchestrator'), {
    subject_token: await users.signIn(CAROL, 'accounts-desk', { lifetime: '30m' }),
    subject_token_type: ID_TOKEN,
  });
  const login = String(signedIn.body['access_token']);
  const attached = { subject_session_id: String(decodePayload(login)['sid']), subject_token: login };
  const orchestrator = await startAgent(client('orchestrator'), teller, attached);
  const reading = { agent_session_id: orchestrator.session, resource: PAYMENTS, scope: 'invoices:read' };
  const read = await exchange(orchestrator.client, reading);
  const invoices = show(await call(office, 'GET', '/invoices', String(read.body['access_token'])));
  expect('it reads invoices with a mandate that names the session', invoices.status === 200);

  title('11. It delegates to a worker: reading and paying, not closing invoices; two hops');
  const worker = await startAgent(client('worker'), teller);
  const toWorker = show(
    await send(issuer, 'POST', `${zone}/delegations`, {
      bearer: orchestrator.lifecycle,
      body: {
        issuer_application_id: 'accounts.orchestrator',
        source_session_id: orchestrator.session,
        receiver_application_id: 'accounts.worker',
        target_session_id: worker.session,
        scopes: ['invoices:read', 'payments:send', 'payments:send-large'],
        constraints: { resources: [PAYMENTS], max_hops: 2, ttl_seconds: 1500 },
      },
    }),
  );
  expect('201: an edge, though the worker has no Grant of its own', toWorker.status === 201);

  title('12. The worker delegates to a runner that only pays; it cannot pass on more than it has');
  const runner = await startAgent(client('runner'), teller);
  const passOn = (scopes: readonly string[]) =>
    send(issuer, 'POST', `${zone}/delegations`, {
      bearer: worker.lifecycle,
      body: {
        issuer_application_id: 'accounts.worker',
        source_session_id: worker.session,
        receiver_application_id: 'accounts.runner',
        target_session_id: runner.session,
        scopes,
        ttl_seconds: 1200,
      },
    });
  const wider = show(await passOn(['invoices:close', 'payments:send']));
  expect(
    'refused: 403 delegation_exceeds_parent_authority',
    wider.status === 403 && wider.body['error'] === 'delegation_exceeds_parent_authority',
  );
  const toRunner = show(await passOn(['payments:send', 'payments:send-large']));
  expect('narrower: 201', toRunner.status === 201);

  title('13. The runner pays: its mandate names Carol, and everyone between her and the payment');
  const workersEdge = { agent_session_id: worker.session, delegation_edge_id: edgeOf(toWorker) };
  const runnersEdge = { agent_session_id: runner.session, delegation_edge_id: edgeOf(toRunner) };
  const paying = { ...runnersEdge, resource: PAYMENTS, scope: 'payments:send' };
  const minted = show(await exchange(runner.client, paying));
  const mandate = String(minted.body['access_token']);
  if (minted.status === 200) detail(JSON.stringify(chainOf(mandate), null, 2));
  const paid = show(await call(office, 'POST', '/payments', mandate));
  const seen = JSON.stringify(paid.body);
  expect(
    '200, and the service knows for whom and by whom',
    paid.status === 200 && seen.includes('corp:carol') && seen.includes('accounts.runner'),
  );
  const beyond = show(await exchange(runner.client, { ...paying, scope: 'invoices:read' }));
  expect('what the edge does not carry is refused: ScopeNotDelegated', beyond.body['reason'] === 'ScopeNotDelegated');

  title('14. A payment over the limit: policy asks for a person');
  const large = { ...runnersEdge, resource: PAYMENTS, scope: 'payments:send-large' };
  const held = show(await exchange(runner.client, large));
  expect(
    '401 interaction_required, with a challenge',
    held.status === 401 && held.body['error'] === 'interaction_required',
  );
  const challenge = { id: String(held.body['challenge_id']), binding: String(held.body['binding']) };
  const isApproved = await ask(`${String(held.body['error_description'])}. Approve as Carol?`);
  const waiting = send(issuer, 'GET', `/step-up/${challenge.id}?wait=25`);
  const decided = await decideAsCarol(client('approvals'), users, challenge, isApproved);
  show(decided);
  const state = isApproved ? 'approved' : 'rejected';
  expect(`Carol, signed in anew with nonce = binding: ${state}`, decided.body['state'] === state);
  expect('the runner, which was waiting, is told', (await waiting).body['state'] === state);
  const retried = show(await exchange(runner.client, { ...large, challenge_id: challenge.id }));
  if (isApproved) await spendApproval(world, runner.client, { ...large, challenge_id: challenge.id }, retried, teller);
  else expect('refused: 403 StepUpRejected', retried.body['reason'] === 'StepUpRejected');

  title('15. The orchestrator’s session ends: three mandates with minutes to live are dead now');
  const mandateOf = async (agent: Agent, request: Readonly<Record<string, string>>) =>
    String((await exchange(agent.client, request)).body['access_token']);
  const workersReading = { ...workersEdge, resource: PAYMENTS, scope: 'invoices:read' };
  const live: readonly (readonly [who: string, method: string, path: string, mandate: string])[] = [
    ['orchestrator', 'GET', '/invoices', await mandateOf(orchestrator, reading)],
    ['worker', 'GET', '/invoices', await mandateOf(worker, workersReading)],
    ['runner', 'POST', '/payments', await mandateOf(runner, paying)],
  ];
  const statuses = () =>
    Promise.all(live.map(async ([, method, path, it]) => (await call(office, method, path, it)).status));
  expect(
    'still 200, 200, 200 before',
    (await statuses()).every((status) => status === 200),
  );
  show(await send(issuer, 'DELETE', `${zone}/agents/${orchestrator.session}`, { bearer: orchestrator.lifecycle }));
  const ended = await Promise.all(
    live.map(([, method, path, it]) =>
      until('the refusal', async () => (await call(office, method, path, it)).status !== 200, 5000),
    ),
  );
  for (const [index, [who]] of live.entries())
    expect(`the ${who}’s mandate refused ${ended[index]!.toFixed(0)} ms after`, ended[index]! < 1000);
  const after = show(await exchange(runner.client, paying));
  expect('and no new one: DelegationNotActive', after.status === 403 && after.body['reason'] === 'DelegationNotActive');

  title('16. The log proves it');
  await proveLog(world.data, { zoneID, chain: ['accounts.runner', 'accounts.worker'] }, teller);
  return teller.differences();
}

/** A session of the application's own, or for the user whose login is attached. */
async function startAgent(
  client: Client,
  { expect, show }: Teller,
  attached: Readonly<Record<string, string>> = {},
): Promise<Agent> {
  const minted = await exchange(client, { scope: 'agent:lifecycle' });
  const lifecycle = String(minted.body['access_token']);
  const applicationID = String(decodePayload(lifecycle)['client_id']);
  const body = { application_id: applicationID, ttl_seconds: 1800, ...attached };
  const started = await send(client.issuer, 'POST', `/zones/${client.zoneID}/agents`, { bearer: lifecycle, body });
  show(started);
  expect(`201: a session of ${applicationID}`, started.status === 201);
  return { client, lifecycle, session: String(started.body['agent_session_id']) };
}

function edgeOf(answer: Answer): string {
  return String(answer.body['delegation_edge_id']);
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
  approvals: Client,
  users: IdentityProvider,
  { id, binding }: ShownChallenge,
  isApproved: boolean,
): Promise<Answer> {
  note('Carol signs in to accounts.approvals, with nonce = binding');
  const login = await exchange(approvals, {
    subject_token: await users.signIn(CAROL, 'accounts-approvals', { nonce: binding }),
    subject_token_type: ID_TOKEN,
  });
  return send(approvals.issuer, 'POST', `/step-up/${id}/decision`, {
    bearer: String(login.body['access_token']),
    body: { decision: isApproved ? 'approved' : 'rejected', binding },
  });
}

async function spendApproval(
  { office }: Environment,
  runner: Client,
  request: Readonly<Record<string, string>>,
  retried: Answer,
  { expect, show }: Teller,
): Promise<void> {
  const mandate = String(retried.body['access_token']);
  expect('the same request with challenge_id: a mandate', retried.status === 200);
  const paid = show(await call(office, 'POST', '/payments/large', mandate));
  expect('200 from the service', paid.status === 200);
  const again = await exchange(runner, request);
  const isSame = decodePayload(String(again.body['access_token']))['jti'] === decodePayload(mandate)['jti'];
  expect('sent once more, as if the reply was lost: the same mandate, no second one', isSame);
  const twice = show(await call(office, 'POST', '/payments/large', mandate));
  expect(
    'and a second payment with it is refused: it admits one request',
    twice.status === 401 && twice.body['error'] === 'invalid_token',
  );
  const wider = show(await exchange(runner, { ...request, scope: 'payments:send payments:send-large' }));
  expect('for anything else the approval is none', wider.status === 401 && wider.body['error'] === 'access_denied');
}
