/** From one id to all that happened: events of the log, linked by the ids that one makes and another rests on. */
import type { DecisionRecord, ExchangeRequest } from '../authority/decision.ts';
import type { GatewayRecord } from '../authority/gatewayRecords.ts';
import type { RevocationTarget } from '../authority/revocation.ts';

/** What is told of one event; `Place` is where its record is. */
export interface Happened {
  /** Unix milliseconds, by the clock of whoever told it. */
  readonly at: number;
  readonly zoneUID: string;
  /** Of the record. */
  readonly id: string;
  readonly what: string;
  readonly text: string;
}

interface TraceEvent extends Happened {
  /** Ids by which it is asked for. */
  readonly names: readonly string[];
  readonly makes: readonly string[];
  readonly needs: readonly string[];
}

export interface Traced extends Happened {
  /** From 1, in the order in which it happened. */
  readonly number: number;
  /** Numbers of the events that it directly rests on. */
  readonly ledBy: readonly number[];
}

/** All that led to what the id names, and all that came of it. `records` in the order of the log. */
export function trace(records: Iterable<DecisionRecord>, id: string): readonly Traced[] {
  const events = [...records].flatMap(toEvents);
  const links = toLinks(events);
  const named = indicesOf(events, ({ names }) => names.includes(id));
  const start = named.length > 0 ? named : indicesOf(events, ({ needs }) => needs.includes(id));
  const led = reach(start, links.ledBy);
  const came = reach(start, links.leadsTo);
  const times = toTimes(events, links.ledBy);
  const order = [...new Set([...led, ...came])].sort((a, b) => times[a]! - times[b]! || a - b);
  const numbers = new Map(order.map((index, at) => [index, at + 1]));
  return order.map((index) => {
    const { names: _names, makes: _makes, needs: _needs, ...happened } = events[index]!;
    const ledBy = links.ledBy(index).flatMap((other) => numbers.get(other) ?? []);
    return { number: numbers.get(index)!, ...happened, ledBy: ledBy.sort((a, b) => a - b) };
  });
}

function indicesOf(events: readonly TraceEvent[], matches: (event: TraceEvent) => boolean): readonly number[] {
  return events.flatMap((event, index) => (matches(event) ? [index] : []));
}

/** An event rests on those before it in the log, of its zone, that made what it needs. */
function toLinks(events: readonly TraceEvent[]) {
  const makers = new Map<string, number[]>();
  const ledBy: number[][] = [];
  const leadsTo: number[][] = events.map(() => []);
  for (const [index, { zoneUID, makes, needs }] of events.entries()) {
    const known = new Set(needs.flatMap((id) => makers.get(JSON.stringify([zoneUID, id])) ?? []));
    ledBy.push([...known]);
    for (const maker of known) leadsTo[maker]!.push(index);
    for (const id of makes) {
      const key = JSON.stringify([zoneUID, id]);
      const others = makers.get(key);
      if (others) others.push(index);
      else makers.set(key, [index]);
    }
  }
  return { ledBy: (index: number) => ledBy[index]!, leadsTo: (index: number) => leadsTo[index]! };
}

/** The clocks of gateways and STS differ: nothing is told before what led to it, which is before it in the log. */
function toTimes(events: readonly TraceEvent[], ledBy: (index: number) => readonly number[]): readonly number[] {
  const times: number[] = [];
  for (const [index, { at }] of events.entries())
    times.push(ledBy(index).reduce((latest, other) => Math.max(latest, times[other]!), at));
  return times;
}

function reach(start: readonly number[], next: (index: number) => readonly number[]): ReadonlySet<number> {
  const reached = new Set(start);
  for (const index of reached) for (const other of next(index)) reached.add(other);
  return reached;
}

function toEvents(record: DecisionRecord): readonly TraceEvent[] {
  switch (record.kind) {
    case 'exchange':
      return [toExchange(record)];
    case 'refusal':
      return [toEvent(record, 'refused', record.error ?? '', { names: [record.requestID] })];
    case 'act':
      return toActs(record);
    case 'consume':
      return toConsumption(record);
    case 'configuration':
      return toConfiguration(record);
    case 'gateway':
      return (record.gateway?.requests ?? []).map((request) => toRequest(record, request));
  }
}

type Ids = Partial<Pick<TraceEvent, 'names' | 'makes' | 'needs'>>;

function toEvent({ id, at, zoneUID }: DecisionRecord, what: string, text: string, ids: Ids): TraceEvent {
  const { names = [], makes = [], needs = [] } = ids;
  return { at, zoneUID, id, what, text, names: [id, ...names], makes, needs };
}

function toExchange(record: DecisionRecord): TraceEvent {
  const { outcome, jti, request, challengeID, requestID } = record;
  const challenge = given(challengeID);
  const isHold = outcome === 'hold';
  return toEvent(record, isHold ? 'held' : outcome, toExchangeText(record), {
    names: [requestID, ...given(jti), ...challenge],
    // `sid:` is what only a Revocation asks for: mandates of one instance do not rest on each other.
    makes: [...given(jti), ...(isHold ? challenge : []), ...(jti === undefined ? [] : sidsOf(request))],
    needs: [
      ...given(request?.agentSessionID),
      ...given(request?.delegationEdgeID),
      ...given(request?.login?.jti),
      ...challenge,
    ],
  });
}

function toExchangeText({ request, jti, denial, challengeID, outcome, error }: DecisionRecord): string {
  const { principal, subject, resource, scopes = [] } = request ?? {};
  const who = subject?.type === 'user' ? ` for user ${subject.issuer}:${subject.sub}` : '';
  const what = resource === undefined ? 'logged in' : `asked for ${scopes.join(' ')} on ${resource}`;
  const session = request?.agentSessionID === undefined ? '' : ` in session ${request.agentSessionID}`;
  const spent = challengeID === undefined ? '' : `, approval ${challengeID}`;
  const came = jti === undefined ? (denial?.reason ?? error ?? outcome) : `mandate ${jti}`;
  return `${principal?.applicationID ?? 'nobody'}${who} ${what}${session}: ${came}${spent}`;
}

function sidsOf(request: ExchangeRequest | undefined): readonly string[] {
  return request ? [`sid:${request.sid}`, `sid:${request.rootSid}`] : [];
}

/** Of a mandate of single use: that it was spent, or that it came again. */
function toConsumption(record: DecisionRecord): readonly TraceEvent[] {
  const { consumed, outcome, requestID } = record;
  if (!consumed) return [];
  const { jti, resource, gateway } = consumed;
  const what = outcome === 'permit' ? 'spent' : 'spent before';
  const text = `mandate ${jti} for ${resource} at ${gateway}`;
  return [toEvent(record, what, text, { names: [requestID], needs: [jti] })];
}

const BEGINNINGS: ReadonlySet<string> = new Set(['session.started', 'delegation.created']);

/** What begins is one event with all that it makes; what ends several, as time or a cascade does, one for each. */
function toActs(record: DecisionRecord): readonly TraceEvent[] {
  const { act, requestID } = record;
  if (!act) return [];
  const { name, by, objects } = act;
  if (name === 'zone.frozen' || name === 'zone.unfrozen') {
    const reasons = objects.map(({ reason }) => String(reason)).join('; ');
    return [toEvent(record, name, `by ${by}: ${reasons}`, { names: [requestID] })];
  }
  const ids = objects.map((object) => String(object['id']));
  const about = (object: Readonly<Record<string, unknown>>) =>
    `${String(object['kind'])} ${String(object['id'])} ${String(object['status'])}`;
  if (BEGINNINGS.has(name)) {
    const needs = objects.flatMap(restsOn).filter((id) => !ids.includes(id));
    const text = `by ${by}: ${objects.map(about).join(', ')}`;
    return [toEvent(record, name, text, { names: [requestID, ...ids], makes: ids, needs })];
  }
  return objects.map((object) => {
    const id = String(object['id']);
    // A lease that goes on leads to nothing new.
    const makes = name === 'session.lease' ? [] : [id];
    const needs = name === 'revoked' ? [id, `revoked:${id}`] : [id];
    return toEvent(record, name, `by ${by}: ${about(object)}`, { names: [requestID, id], makes, needs });
  });
}

function restsOn(object: Readonly<Record<string, unknown>>): readonly string[] {
  const { parentID, edgeID, sourceSessionID, targetSessionID, path } = object;
  return [
    parentID,
    edgeID,
    sourceSessionID,
    targetSessionID,
    ...(Array.isArray(path) ? (path as unknown[]) : []),
  ].filter((id) => typeof id === 'string');
}

/** One event for itself, and one for each Revocation, which ends what it names. */
function toConfiguration(record: DecisionRecord): readonly TraceEvent[] {
  const { activation, epoch } = record;
  if (!activation) return [];
  const { digest, policy, objects, revocations } = activation;
  const text = `epoch ${epoch}, policy ${policy ? `${policy.set}@${policy.revision}` : 'none'}, ${objects.length} objects`;
  return [
    toEvent(record, 'configuration', text, { names: [digest, ...given(policy?.digest)] }),
    ...revocations.map(({ namespace, name, uid, target }) => {
      const needs = toRevoked(target);
      return toEvent(record, 'revocation', `${namespace}/${name} of ${Object.values(target).join(' ')}`, {
        names: [uid, `${namespace}/${name}`],
        // Asked for by the sweep that ends them.
        makes: needs.map((id) => `revoked:${id}`),
        needs,
      });
    }),
  ];
}

function toRevoked(target: RevocationTarget): readonly string[] {
  switch (target.type) {
    case 'session':
      return [`sid:${target.sid}`];
    case 'rootSession':
      return [`sid:${target.rootSid}`];
    case 'agentSession':
    case 'delegationEdge':
      return [target.id];
    case 'mandate':
      return [target.jti];
    default:
      // Whatever there is: to tell it all would tell nothing.
      return [];
  }
}

function toRequest(record: DecisionRecord, request: GatewayRecord): TraceEvent {
  const { at, request_id, decision, method, resource, operation, jti, error, count } = request;
  const parts = [method, resource, operation ?? (resource === undefined ? undefined : '(no operation)')];
  const came = error === undefined ? '' : `: ${error}`;
  const text = `${parts.filter(Boolean).join(' ')}${came}${count === undefined ? '' : `, ${count} more`}`;
  const what = decision === 'allow' ? 'allowed' : 'refused';
  return { ...toEvent(record, what, text, { names: [request_id], needs: given(jti) }), at };
}

function given(id: string | undefined): readonly string[] {
  return id === undefined ? [] : [id];
}
