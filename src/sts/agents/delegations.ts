/** `/zones/{zone}/delegations`: pass authority on, see what came in and went out, revoke. */
import type { FastifyRequest } from 'fastify';
import { delegate, revokeEdge, type Delegate, type Revoked } from '../../authority/agents/edges.ts';
import type { AgentSession, DelegationEdge } from '../../authority/agents/model.ts';
import { refuse } from '../../authority/agents/refusal.ts';
import { isOwn } from '../../authority/agents/ownership.ts';
import { edgesOf, reachOf } from '../../authority/agents/travel.ts';
import { uuidv7 } from '../../authority/clock.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';
import { OAuthError, toAgentError } from '../errors.ts';
import { toDelegated, toEdgeAnswer } from './answers.ts';
import { delegateBody, emptyBody, parseBody, type DelegateBody } from './bodies.ts';
import type { Caller } from './caller.ts';
import { change, parseIdempotencyKey, type ChangePorts } from './change.ts';
import { toPage } from './page.ts';
import { bodyOf, type Callers } from './request.ts';

export interface DelegationRoutePorts extends ChangePorts {
  readonly callers: Callers;
}

const BASE = '/zones/:zone/delegations';

export function addDelegationRoutes(ports: DelegationRoutePorts): void {
  const { callers } = ports;
  callers.route('POST', BASE, async ({ caller, request, reply }) => {
    const body = parseBody(delegateBody, bodyOf(request));
    const answered = await create(caller, body, request, ports);
    if (answered.isReplay) reply.header('Idempotency-Replayed', 'true');
    return reply.code(201).send(answered.body);
  });
  callers.route('GET', `${BASE}/inbound/:session`, async ({ caller, request }) => {
    const session = findSession(caller, request);
    return toPage(caller.zone.runtime.inbound(session.id), request.query, toEdgeAnswer);
  });
  callers.route('GET', `${BASE}/inbound/:session/:id`, async ({ caller, request }) => {
    const session = findSession(caller, request);
    const edge = caller.zone.runtime.edge(paramOf(request, 'id'));
    if (edge?.targetSessionID !== session.id) throw toAgentError(NOT_FOUND);
    return toEdgeAnswer(edge);
  });
  callers.route('GET', `${BASE}/outbound/:session`, async ({ caller, request }) => {
    const session = findSession(caller, request);
    return toPage(caller.zone.runtime.outbound(session.id), request.query, toEdgeAnswer);
  });
  callers.route('PATCH', `${BASE}/:id/revoke`, async ({ caller, request }) => {
    parseBody(emptyBody, bodyOf(request, {}));
    const id = paramOf(request, 'id');
    const { body } = await change(
      { caller, requestID: request.id, name: 'delegation.revoked' },
      (view, now) => {
        const edge = view.edge(id);
        return edge && isOwnEdge(edge, caller, view) ? revokeEdge(edge, view, now) : NOT_FOUND;
      },
      toRevoked,
      ports,
    );
    return body;
  });
}

function create(caller: Caller, body: DelegateBody, request: FastifyRequest, ports: DelegationRoutePorts) {
  if (body.issuer_application_id !== caller.application.id)
    throw new OAuthError('access_denied', 'issuer_application_id is not the application of the session mandate');
  const { snapshot } = caller.zone;
  const raw = request.body as Buffer;
  const key = parseIdempotencyKey(request.headers['idempotency-key'], raw);
  const order = toOrder(caller, body, ports);
  if (!order) throw toAgentError(NO_EXPIRY);
  return change(
    { caller, requestID: request.id, name: 'delegation.created', ...key },
    (view, now) => delegate(order, view, snapshot, now),
    (edge, view) => {
      const source = view.session(edge.sourceSessionID)!;
      return toDelegated(edge, reachOf(edge, source, view, snapshot, ports.clock.now()));
    },
    ports,
  );
}

const NO_EXPIRY = refuse('delegation_expiry_required', 'ttl_seconds or constraints.expires_at is required');

function toOrder(caller: Caller, body: DelegateBody, { clock, randomBytes }: ChangePorts): Delegate | undefined {
  const { constraints } = body;
  const now = clock.now();
  const expiresAt = toExpiry(body, now);
  if (expiresAt === undefined) return undefined;
  const resources = constraints.resources ?? (body.resource_id === undefined ? [] : [body.resource_id]);
  return {
    edgeID: uuidv7(now, randomBytes),
    issuer: caller.application,
    sourceSessionID: body.source_session_id,
    receiverID: body.receiver_application_id,
    targetSessionID: body.target_session_id,
    ...(body.parent_edge_id !== undefined && { parentEdgeID: body.parent_edge_id }),
    scopes: [...new Set(body.scopes)],
    resources: [...new Set(resources)].sort(),
    maxHops: constraints.max_hops ?? constraints.max_depth ?? 1,
    expiresAt,
  };
}

/** Unix seconds: the earliest of what is said. */
function toExpiry({ ttl_seconds: ttl, constraints }: DelegateBody, now: number): number | undefined {
  const seconds = Math.floor(now / 1000);
  const said = [
    ...[ttl, constraints.ttl_seconds].flatMap((one) => (one === undefined ? [] : [seconds + one])),
    ...(constraints.expires_at === undefined ? [] : [Math.floor(Date.parse(constraints.expires_at) / 1000)]),
  ];
  return said.length === 0 ? undefined : Math.min(...said);
}

const NOT_FOUND = refuse('delegation_not_found', 'the zone has no such edge of this application');

/** Own: passed on by an own session, or under an edge that was. */
function isOwnEdge(edge: DelegationEdge, { application }: Caller, view: RuntimeView): boolean {
  return (edgesOf(edge.path, view) ?? [edge]).some(({ sourceSessionID }) => {
    const source = view.session(sourceSessionID);
    return source !== undefined && isOwn(source, application, view);
  });
}

function findSession(caller: Caller, request: FastifyRequest): AgentSession {
  const { runtime } = caller.zone;
  const session = runtime.session(paramOf(request, 'session'));
  if (session && isOwn(session, caller.application, runtime)) return session;
  throw toAgentError(refuse('agent_session_not_found', 'the zone has no such agent session of this application'));
}

function toRevoked({ revokedEdges, affectedSessions, terminatedSessions }: Revoked) {
  return { revoked_edges: revokedEdges, affected_sessions: affectedSessions, terminated_sessions: terminatedSessions };
}

function paramOf(request: FastifyRequest, name: string): string {
  return (request.params as Readonly<Record<string, string>>)[name] ?? '';
}
