/**
 * A load of everything that an STS writes for applications, and a ledger of what was answered. What was asked and not
 * answered may have happened or not; after the next start it is asked again, and is then known.
 */
import { randomUUID } from 'node:crypto';
import { by, READ } from './world.ts';
import { expectStatus, jtiOf, payFor, Refused, type Answer, type Client } from './client.ts';

/** Where something was asked for and no answer came. */
type Fate<Known extends string> = Known | 'unknown';

interface Session {
  readonly owner: 'cart' | 'till';
  fate: Fate<'active' | 'ended'>;
}

interface Edge {
  readonly source: string;
  readonly target: string;
  fate: Fate<'active' | 'revoked'>;
}

interface Approval {
  readonly form: Readonly<Record<string, string>>;
  /** The mandate that spent it, as it was answered. */
  jti?: string;
}

export interface Ledger {
  /** Of every mandate that was answered. */
  readonly jtis: Set<string>;
  readonly sessions: Map<string, Session>;
  readonly edges: Map<string, Edge>;
  /** By Idempotency-Key: the session, where it was answered. */
  readonly keys: Map<string, { readonly owner: Session['owner']; session?: string }>;
  /** By challenge. */
  readonly approvals: Map<string, Approval>;
  /** What contradicts it; must stay empty. */
  readonly wrong: string[];
  /** All that was answered, of whatever kind. */
  acknowledged: number;
}

export const newLedger = (): Ledger => ({
  ...{ jtis: new Set(), sessions: new Map(), edges: new Map(), keys: new Map(), approvals: new Map() },
  ...{ wrong: [], acknowledged: 0 },
});

export interface Load {
  /** Resolves when no lane has anything under way any more. */
  stop(): Promise<void>;
}

type Act = (ledger: Ledger, client: Client) => Promise<void>;

const LANES: readonly Act[] = [exchange, exchange, exchange, runAgents, runAgents, spendApproval];

/** Each lane goes on until it is stopped or nobody answers; `onAnswer` runs after each that was acknowledged. */
export function startLoad(ledger: Ledger, client: Client, onAnswer: () => void = () => undefined): Load {
  const stop = new AbortController();
  const noted: Ledger = new Proxy(ledger, {
    set(target, name, value) {
      Reflect.set(target, name, value);
      if (name === 'acknowledged') onAnswer();
      return true;
    },
  });
  const lanes = LANES.map(async (act) => {
    while (!stop.signal.aborted) {
      try {
        await act(noted, client);
      } catch (error) {
        if (error instanceof Refused && error.status !== 503) ledger.wrong.push(`refused: ${error.message}`);
        if (!(error instanceof Refused)) return;
      }
    }
  });
  return {
    async stop() {
      stop.abort();
      await Promise.all(lanes);
    },
  };
}

function take(ledger: Ledger, answer: Answer): string {
  const jti = jtiOf(answer);
  ledger.acknowledged += 1;
  if (ledger.jtis.has(jti)) ledger.wrong.push(`jti ${jti} was answered twice`);
  ledger.jtis.add(jti);
  return jti;
}

async function exchange(ledger: Ledger, client: Client): Promise<void> {
  take(ledger, await client.token({ ...by('cart'), ...READ }));
}

async function runAgents(ledger: Ledger, client: Client): Promise<void> {
  const [cart, till] = [await client.lifecycleOf('cart'), await client.lifecycleOf('till')];
  const source = await start(ledger, client, 'cart', cart);
  const target = await start(ledger, client, 'till', till);
  const made = await client.call(cart, 'POST', '/delegations', {
    ...{ issuer_application_id: 'shop.cart', source_session_id: source },
    ...{ receiver_application_id: 'shop.till', target_session_id: target },
    ...{ scopes: ['read'], ttl_seconds: 3000 },
  });
  const id = String(expectStatus(made, 201).body['delegation_edge_id']);
  const edge: Edge = { source, target, fate: 'active' };
  ledger.edges.set(id, edge);
  ledger.acknowledged += 1;
  const under = { agent_session_id: target, delegation_edge_id: id, use: 'resource' };
  take(ledger, await client.token({ ...by('till'), ...READ, ...under }));
  if (Math.random() < 0.5) {
    edge.fate = 'unknown';
    expectStatus(await client.call(cart, 'PATCH', `/delegations/${id}/revoke`), 200);
    edge.fate = 'revoked';
    ledger.acknowledged += 1;
  }
  for (const [session, mandate] of [
    [source, cart],
    [target, till],
  ] as const)
    if (Math.random() < 0.7) await end(ledger, client, session, mandate);
}

async function start(ledger: Ledger, client: Client, owner: Session['owner'], mandate: string): Promise<string> {
  const key = randomUUID();
  const known: { readonly owner: Session['owner']; session?: string } = { owner };
  ledger.keys.set(key, known);
  known.session = await startWith(key, owner, client, mandate);
  ledger.sessions.set(known.session, { owner, fate: 'active' });
  ledger.acknowledged += 1;
  return known.session;
}

/** The key is its label too, so that what one key started can be counted. */
export async function startWith(
  key: string,
  owner: Session['owner'],
  client: Client,
  mandate: string,
): Promise<string> {
  const body = { application_id: `shop.${owner}`, labels: [key], ttl_seconds: 7200 };
  const answer = await client.call(mandate, 'POST', '/agents', body, { 'idempotency-key': key });
  return String(expectStatus(answer, 201).body['agent_session_id']);
}

/** Its edges end with it. */
async function end(ledger: Ledger, client: Client, id: string, mandate: string): Promise<void> {
  const session = ledger.sessions.get(id)!;
  session.fate = 'unknown';
  const edges = [...ledger.edges.values()].filter(
    ({ source, target, fate }) => (source === id || target === id) && fate === 'active',
  );
  for (const edge of edges) edge.fate = 'unknown';
  expectStatus(await client.call(mandate, 'DELETE', `/agents/${id}`), 204);
  session.fate = 'ended';
  for (const edge of edges) edge.fate = 'revoked';
  ledger.acknowledged += 1;
}

/** A hold, alice's approval, and two who spend it together. */
async function spendApproval(ledger: Ledger, client: Client): Promise<void> {
  const form = payFor(await client.login('cart'));
  const held = expectStatus(await client.token(form), 401).body;
  const [id, binding] = [String(held['challenge_id']), String(held['binding'])];
  expectStatus(await client.approve(id, binding), 200);
  const approval: Approval = { form: { ...form, challenge_id: id } };
  ledger.approvals.set(id, approval);
  await Promise.all([spend(ledger, client, approval), spend(ledger, client, approval)]);
}

/** Whoever spends it gets the one mandate. */
export async function spend(ledger: Ledger, client: Client, approval: Approval): Promise<void> {
  const jti = jtiOf(await client.token(approval.form));
  ledger.acknowledged += 1;
  ledger.jtis.add(jti);
  if (approval.jti !== undefined && approval.jti !== jti)
    ledger.wrong.push(`challenge ${approval.form['challenge_id']} gave ${approval.jti} and ${jti}`);
  approval.jti = jti;
}
