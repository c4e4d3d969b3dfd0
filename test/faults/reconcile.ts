/** After a fault: what the STS says and what its store holds, against the ledger of what was answered. */
import { DatabaseSync } from 'node:sqlite';
import { expectStatus, type Client } from './client.ts';
import { spend, startWith, type Ledger } from './load.ts';

/** Marks what is known by now, so that each is asked about as long as it may still change. */
export interface Known {
  readonly keys: Set<string>;
  readonly sessions: Set<string>;
  readonly edges: Set<string>;
  readonly approvals: Set<string>;
}

export const nothingKnown = (): Known => ({
  ...{ keys: new Set(), sessions: new Set(), edges: new Set(), approvals: new Set() },
});

/** Asks the STS about all that is not in `known` yet, and puts it there. What was lost or is otherwise than answered goes into `wrong`. */
export async function reconcile(ledger: Ledger, client: Client, known: Known): Promise<void> {
  const mandates = { cart: await client.lifecycleOf('cart'), till: await client.lifecycleOf('till') };
  for (const [key, one] of ledger.keys) {
    if (known.keys.has(key)) continue;
    known.keys.add(key);
    const session = await startWith(key, one.owner, client, mandates[one.owner]);
    if (one.session !== undefined && one.session !== session)
      ledger.wrong.push(`key ${key} started ${one.session} and ${session}`);
    one.session = session;
    if (!ledger.sessions.has(session)) ledger.sessions.set(session, { owner: one.owner, fate: 'active' });
  }
  for (const [id, session] of ledger.sessions) {
    if (known.sessions.has(id)) continue;
    known.sessions.add(id);
    const { status } = (await client.call(mandates[session.owner], 'GET', `/agents/${id}`)).body;
    if (status !== 'active' && status !== 'ended') ledger.wrong.push(`session ${id} is ${String(status)}`);
    else if (session.fate !== 'unknown' && session.fate !== status)
      ledger.wrong.push(`session ${id} was ${session.fate}, is ${status}`);
    else session.fate = status;
  }
  for (const [id, edge] of ledger.edges) {
    if (known.edges.has(id)) continue;
    known.edges.add(id);
    const path = `/delegations/outbound/${edge.source}`;
    const { items } = expectStatus(await client.call(mandates.cart, 'GET', path), 200).body;
    const found = (items as { readonly id: string; readonly status: string }[]).find((one) => one.id === id);
    const status = found?.status === 'active' ? 'active' : found && 'revoked';
    if (!status) ledger.wrong.push(`edge ${id} is lost`);
    else if (edge.fate !== 'unknown' && edge.fate !== status)
      ledger.wrong.push(`edge ${id} was ${edge.fate}, is ${found!.status}`);
    else edge.fate = status;
    const ends = [edge.source, edge.target].map((session) => ledger.sessions.get(session)?.fate);
    if (ends.includes('ended') && status === 'active') ledger.wrong.push(`edge ${id} outlives a session of it`);
  }
  for (const [id, approval] of ledger.approvals) {
    if (known.approvals.has(id)) continue;
    known.approvals.add(id);
    await spend(ledger, client, approval);
  }
}

export interface Held {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** What the rows of an STS' store must say, however they were read. */
export function compare(ledger: Ledger, decisions: readonly Row[], sessions: readonly string[]): Held {
  const jtis = new Map<string, number>();
  const permits = new Map<string, number>();
  for (const { jti, outcome, challenge } of decisions) {
    if (jti !== null) jtis.set(jti, (jtis.get(jti) ?? 0) + 1);
    if (challenge !== null && outcome === 'permit') permits.set(challenge, (permits.get(challenge) ?? 0) + 1);
  }
  const labels = new Map<string, number>();
  for (const record of sessions)
    for (const label of (JSON.parse(record) as { readonly labels: readonly string[] }).labels)
      labels.set(label, (labels.get(label) ?? 0) + 1);
  const twice = (of: ReadonlyMap<string, number>) => [...of].filter(([, count]) => count > 1).map(([key]) => key);
  const spent = [...ledger.approvals].filter(([id, { jti }]) => jti !== undefined && !permits.has(id));
  return {
    lost: [...[...ledger.jtis].filter((jti) => !jtis.has(jti)), ...spent.map(([id]) => id)],
    doubled: [...twice(jtis), ...twice(permits), ...twice(labels)],
  };
}

export interface Row {
  readonly jti: string | null;
  readonly outcome: string;
  readonly challenge: string | null;
}

export const DECISIONS = {
  embedded: `SELECT jti, outcome, json_extract(record, '$.challengeID') AS challenge FROM decisions`,
  postgres: `SELECT jti, outcome, record::json ->> 'challengeID' AS challenge FROM decisions`,
};

/** Straight from the file, whoever has it open. */
export function readEmbedded(store: string, ledger: Ledger): Held {
  const db = new DatabaseSync(store, { readOnly: true, timeout: 5000 });
  try {
    const decisions = db.prepare(DECISIONS.embedded).all() as unknown as Row[];
    const sessions = db.prepare("SELECT record FROM runtime_objects WHERE kind = 'session'").all();
    return compare(
      ledger,
      decisions,
      sessions.map(({ record }) => String(record)),
    );
  } finally {
    db.close();
  }
}
