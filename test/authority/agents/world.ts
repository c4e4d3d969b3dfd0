/** Agent sessions and edges for tests: made by the commands themselves and applied as entries, as a store would. */
import { checkExchange, type CheckedExchange } from '../../../src/authority/checks.ts';
import type { Denial, ExchangeRequest } from '../../../src/authority/decision.ts';
import { delegate, type Delegate } from '../../../src/authority/agents/edges.ts';
import { lineageIDs, resolveLineage } from '../../../src/authority/agents/lineage.ts';
import type { AgentSession, ApplicationRef, DelegationEdge } from '../../../src/authority/agents/model.ts';
import type { Changed } from '../../../src/authority/agents/outcome.ts';
import type { AgentRefusal } from '../../../src/authority/agents/refusal.ts';
import { startSession, type Started, type StartSession } from '../../../src/authority/agents/sessions.ts';
import type { AuthorityChange } from '../../../src/authority/feed.ts';
import type { Issued } from '../../../src/authority/revocation.ts';
import type { RuntimeEntry, RuntimeObject } from '../../../src/authority/runtime.ts';
import { createRuntimeIndex, type RuntimeView } from '../../../src/authority/runtimeIndex.ts';
import type { ZoneSnapshot } from '../../../src/authority/snapshot.ts';
import { ITSELF, NOW, SECONDS, application, grant, request, zone, type ZoneParts } from '../zone.ts';

/** Where decisions become state: in memory here, a real store elsewhere. The view has what was committed before it resolves. */
export interface RuntimePort {
  readonly view: RuntimeView;
  commit(puts: readonly RuntimeObject[], change: AuthorityChange | undefined): Promise<void>;
}

export interface MemoryPort extends RuntimePort {
  readonly entries: readonly RuntimeEntry[];
  write(puts: readonly RuntimeObject[], change?: AuthorityChange): void;
}

/** Objects go through JSON, as in a store. */
export function memoryPort(): MemoryPort {
  const index = createRuntimeIndex();
  const entries: RuntimeEntry[] = [];
  const write = (puts: readonly RuntimeObject[], change?: AuthorityChange): void => {
    const raised = change && { raised: { epoch: entries.length + 1, change } };
    const entry: RuntimeEntry = { sequence: index.sequence() + 1, puts, ...raised };
    const stored = JSON.parse(JSON.stringify(entry)) as RuntimeEntry;
    entries.push(stored);
    index.apply(stored);
  };
  return { view: index, entries, write, commit: (puts, change) => Promise.resolve(write(puts, change)) };
}

export const CART: ApplicationRef = { id: 'shop.cart', uid: 'uid-cart' };
export const TILL: ApplicationRef = { id: 'shop.till', uid: 'uid-till' };
export const BANK: ApplicationRef = { id: 'shop.bank', uid: 'uid-bank' };

/** Three Applications that may delegate to each other; the first has a Grant that travels everywhere. */
export function openZone(parts: ZoneParts = {}): ZoneSnapshot {
  const delegation = { receivers: 'Zone', applications: [] } as const;
  return zone({
    applications: [CART, TILL, BANK].map(({ id, uid }) => application({ id, uid, delegation })),
    grants: [grant({ scopes: ['read', 'write'], delegation: 'Zone' })],
    ...parts,
  });
}

export function startOf(start: Partial<StartSession> & Pick<StartSession, 'sessionID'>): StartSession {
  const by = start.application ?? CART;
  return {
    edgeID: `edge-to-${start.sessionID}`,
    application: by,
    sid: `sid-${by.id}`,
    rootSid: `sid-${by.id}`,
    subject: { ...ITSELF, sub: by.id },
    lifecycle: 'task',
    labels: [],
    metadata: {},
    parentAuthority: 'inherit',
    ...start,
  };
}

/** Between sessions that are known: issuer and receiver are theirs. */
export function orderOf(
  edgeID: string,
  source: AgentSession,
  target: AgentSession,
  order: Partial<Delegate> = {},
): Delegate {
  return {
    edgeID,
    issuer: source.application,
    sourceSessionID: source.id,
    receiverID: target.application.id,
    targetSessionID: target.id,
    scopes: ['read'],
    resources: [],
    maxHops: 3,
    expiresAt: SECONDS + 1000,
    ...order,
  };
}

export interface World {
  readonly zone: ZoneSnapshot;
  readonly view: RuntimeView;
  readonly entries: readonly RuntimeEntry[];
  /** Throws where it is refused. */
  start(start: Partial<StartSession> & Pick<StartSession, 'sessionID'>): Started;
  /** Throws where it is refused. */
  edge(id: string, source: string, target: string, order?: Partial<Delegate>): DelegationEdge;
  /** Writes what a command came to; throws where it is refused. */
  write<T>(outcome: Changed<T> | AgentRefusal): T;
  /** As the token endpoint asks within a session. */
  exchange(
    sessionID: string,
    edgeID?: string,
    more?: { readonly asked?: Partial<ExchangeRequest>; readonly at?: number; readonly zone?: ZoneSnapshot } & {
      readonly issued?: Issued;
    },
  ): CheckedExchange | Denial;
}

export function world(parts: ZoneParts = {}): World {
  const snapshot = openZone(parts);
  const { view, entries, write } = memoryPort();
  const apply = <T>(outcome: Changed<T> | AgentRefusal): T => {
    if (outcome.type === 'refusal') throw new Error(`${outcome.code}: ${outcome.message}`);
    if (outcome.puts.length > 0) write(outcome.puts, outcome.change);
    return outcome.result;
  };
  return {
    zone: snapshot,
    view,
    entries,
    write: apply,
    start: (start) => apply(startSession(startOf(start), view, snapshot, NOW)),
    edge(id, source, target, order) {
      const made = orderOf(id, view.session(source)!, view.session(target)!, order);
      return apply(delegate(made, view, snapshot, NOW));
    },
    exchange(sessionID, edgeID, { asked = {}, at = NOW, zone: under = snapshot, issued } = {}) {
      return exchangeWithin({ sessionID, edgeID }, { asked, view, zone: under, now: at, ...(issued && { issued }) });
    },
  };
}

/** What the session's own application may have within it: subject, root and lineage are found, never asked for. */
export function exchangeWithin(
  { sessionID, edgeID }: { readonly sessionID: string; readonly edgeID: string | undefined },
  facts: {
    readonly asked: Partial<ExchangeRequest>;
    readonly view: RuntimeView;
    readonly zone: ZoneSnapshot;
    readonly now: number;
    readonly issued?: Issued;
  },
): CheckedExchange | Denial {
  const { asked, view, zone: snapshot, now } = facts;
  const by = view.session(sessionID)?.application ?? CART;
  const query = { agentSessionID: sessionID, delegationEdgeID: edgeID, application: by };
  const lineage = resolveLineage(query, view, snapshot, now);
  const root = lineage?.type === 'lineage' ? lineage.root : undefined;
  const asks = request({
    principal: { ...request().principal, applicationID: by.id, applicationUID: by.uid },
    subject: { ...ITSELF, sub: by.id },
    agentSessionID: sessionID,
    ...(edgeID !== undefined && { delegationEdgeID: edgeID }),
    ...(root && { subject: root.subject, root: root.application, rootSid: root.rootSid }),
    ...(lineage?.type === 'lineage' && { lineage: lineageIDs(lineage, view) }),
    ...asked,
  });
  return checkExchange(snapshot, asks, now, facts.issued ?? { at: now }, view);
}

/** The reason of a denial, or `checked`. */
export function reasonOf(result: CheckedExchange | Denial): string {
  return result.type === 'denial' ? result.reason : result.type;
}

/** The code of a refusal, or `changed`. */
export function codeOf(outcome: Changed<unknown> | AgentRefusal): string {
  return outcome.type === 'refusal' ? outcome.code : outcome.type;
}
