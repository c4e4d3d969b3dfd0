/** What operators do to runtime state: each one write with its record, decided under the present state. */
import { endSession } from '../../authority/agents/sessions.ts';
import { revokeEdge } from '../../authority/agents/edges.ts';
import type { Changed } from '../../authority/agents/outcome.ts';
import { refuse, type AgentRefusal } from '../../authority/agents/refusal.ts';
import type { RuntimeAct } from '../../authority/decision.ts';
import { freezeZone, unfreezeZone } from '../../authority/freeze.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';
import type { ZoneSnapshot } from '../../authority/snapshot.ts';
import type { Decider } from '../../authority/stepUp/approvers.ts';
import { APIError, notFound } from '../../runtimeapi/errors.ts';
import { toAPIObject } from '../../runtimeapi/objects.ts';
import type { Doing, FreezeState, RuntimeActs, User } from '../../runtimeapi/ports.ts';
import { StoreUnavailable } from '../../store/store.ts';
import type { Configuration, ServedZone } from '../configuration.ts';
import { OAuthError } from '../errors.ts';
import { toActRecord, type ActPorts } from '../runtime/act.ts';
import type { Decision, Runtimes } from '../runtime/runtimes.ts';
import type { Challenges } from '../stepUp/challenges.ts';

export interface OperatePorts extends ActPorts {
  readonly configuration: Pick<Configuration, 'zone' | 'zones'>;
  readonly runtimes: Pick<Runtimes, 'write'>;
  readonly challenges: Challenges;
  readonly review: RuntimeActs['review'];
  readonly authorities: RuntimeActs['authorities'];
}

export function createActs(ports: OperatePorts): RuntimeActs {
  const { configuration } = ports;
  const zoneOf = (namespace: string, name: string): ServedZone => {
    const zone = configuration.zone(`${namespace}.${name}`);
    if (!zone) throw notFound('zones', name);
    return zone;
  };
  const holding = (namespace: string, has: (view: RuntimeView) => boolean): ServedZone | undefined =>
    [...configuration.zones().values()].find(
      ({ snapshot, runtime }) => snapshot.namespace === namespace && has(runtime),
    );
  return {
    async end(plural, namespace, id, doing) {
      const isSession = plural === 'agentsessions';
      const zone = holding(namespace, (view) => (isSession ? view.session(id) : view.edge(id)) !== undefined);
      if (!zone) throw notFound(plural, id);
      if (isSession) await operate(zone, 'session.ended', doing, (view, now) => endByID(id, view, now), ports);
      else await operate(zone, 'delegation.revoked', doing, (view, now) => revokeByID(id, view, now), ports);
    },
    async decide(namespace, id, decision, { user, requestID }) {
      const found = ports.challenges.find(id);
      if (found?.zone.snapshot.namespace !== namespace) throw notFound('stepupchallenges', id);
      const { snapshot } = found.zone;
      const decider = toDecider(user, snapshot);
      const decided = await ports.challenges.decide(found, decision, decider, requestID).catch(rethrow);
      // The version of the write is the watches' business; a decision is final, and nobody goes on from it.
      return toAPIObject(decided, snapshot, 0);
    },
    freezeOf(namespace, name) {
      const zone = configuration.zone(`${namespace}.${name}`);
      return zone && toFreezeState(zone);
    },
    async freeze(namespace, name, reason, doing) {
      const zone = zoneOf(namespace, name);
      const by = toBy(doing.user);
      await operate(zone, 'zone.frozen', doing, (view, now) => freezeZone({ reason, by }, view, now), ports);
      return toFreezeState(zoneOf(namespace, name));
    },
    async unfreeze(namespace, name, doing) {
      const zone = zoneOf(namespace, name);
      await operate(zone, 'zone.unfrozen', doing, (view, now) => unfreezeZone(toBy(doing.user), view, now), ports);
      return toFreezeState(zoneOf(namespace, name));
    },
    review: (namespace, spec) => ports.review(namespace, spec),
    authorities: (namespace, spec) => ports.authorities(namespace, spec),
  };
}

/** Throws APIError. Nothing is written where it is so already. */
async function operate<T>(
  zone: ServedZone,
  name: RuntimeAct['name'],
  { user, requestID }: Doing,
  act: (view: RuntimeView, now: number) => Changed<T> | AgentRefusal,
  ports: OperatePorts,
): Promise<void> {
  const decide = (view: RuntimeView): Decision<AgentRefusal | undefined> => {
    const outcome = act(view, ports.clock.now());
    if (outcome.type === 'refusal') return { type: 'answer', value: outcome };
    const { puts, change } = outcome;
    if (puts.length === 0) return { type: 'answer', value: undefined };
    const decision = toActRecord(zone, { name, by: toBy(user), puts, requestID }, ports);
    const runtime = { puts, ...(change && { change }) };
    return { type: 'commit', commit: { decision, runtime }, value: undefined };
  };
  const { value } = await ports.runtimes.write(zone.snapshot.uid, decide).catch(rethrow);
  if (!value) return;
  const isMissing = value.code === 'agent_session_not_found' || value.code === 'delegation_not_found';
  throw new APIError(isMissing ? 404 : 409, isMissing ? 'NotFound' : 'Conflict', value.message);
}

const NO_SESSION = refuse('agent_session_not_found', 'there is no such agent session any more');
const NO_EDGE = refuse('delegation_not_found', 'there is no such delegation edge any more');

function endByID(id: string, view: RuntimeView, now: number) {
  const session = view.session(id);
  return session ? endSession(session, undefined, view, now) : NO_SESSION;
}

function revokeByID(id: string, view: RuntimeView, now: number) {
  const edge = view.edge(id);
  return edge ? revokeEdge(edge, view, now) : NO_EDGE;
}

function toBy({ name }: User): string {
  return `operator:${name}`;
}

/** A ServiceAccount is also every Application that it is an identity of: none of the chain may decide. */
function toDecider({ name, groups }: User, snapshot: ZoneSnapshot): Decider {
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? [];
  const applications = [...snapshot.applications.values()].filter(({ identities }) =>
    identities.some((one) => one.type === 'serviceAccount' && one.namespace === namespace && one.name === account),
  );
  return { type: 'operator', name, groups, applications: applications.map(({ id }) => id) };
}

function toFreezeState({ configured, runtime }: ServedZone): FreezeState {
  const command = runtime.freeze();
  return {
    ...(configured.frozen && { spec: { reason: configured.frozen.reason } }),
    ...(command && { command: { reason: command.reason, by: command.by, at: command.at } }),
  };
}

const REASONS: Readonly<Record<number, string>> = { 403: 'Forbidden', 404: 'NotFound', 409: 'Conflict' };

function rethrow(error: unknown): never {
  if (error instanceof StoreUnavailable) throw unavailable();
  if (!(error instanceof OAuthError)) throw error;
  if (error.status === 503) throw unavailable();
  throw new APIError(error.status, REASONS[error.status] ?? 'BadRequest', error.message);
}

function unavailable(): APIError {
  return new APIError(503, 'ServiceUnavailable', 'the store cannot be reached now; nothing was changed', 1);
}
