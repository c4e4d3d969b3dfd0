/** `/zones/{zone}/agents`: start, list, see, suspend, resume, keep alive and end agent sessions. */
import type { FastifyRequest } from 'fastify';
import {
  endSession,
  heartbeat,
  resumeSession,
  startSession,
  suspendSession,
  takeLease,
} from '../../authority/agents/sessions.ts';
import type { StartSession } from '../../authority/agents/sessions.ts';
import type { AgentSession } from '../../authority/agents/model.ts';
import { isOwn } from '../../authority/agents/ownership.ts';
import type { Changed } from '../../authority/agents/outcome.ts';
import { refuse, type AgentRefusal } from '../../authority/agents/refusal.ts';
import { uuidv7 } from '../../authority/clock.ts';
import type { RuntimeAct } from '../../authority/decision.ts';
import type { RuntimeView } from '../../authority/runtimeIndex.ts';
import { authenticateSubject, type SubjectPorts } from '../authenticate/subject.ts';
import { OAuthError, toAgentError } from '../errors.ts';
import { toLease, toSessionAnswer } from './answers.ts';
import { emptyBody, fenceBody, heartbeatBody, parseBody, startBody, type StartBody } from './bodies.ts';
import type { Caller } from './caller.ts';
import { change, parseIdempotencyKey, type ChangePorts } from './change.ts';
import { toPage } from './page.ts';
import { bodyOf, type Call, type Callers } from './request.ts';

export interface SessionRoutePorts extends ChangePorts {
  readonly callers: Callers;
  readonly authentication: SubjectPorts;
}

const BASE = '/zones/:zone/agents';

export function addSessionRoutes(ports: SessionRoutePorts): void {
  const { callers } = ports;
  callers.route('POST', BASE, async ({ caller, request, reply }) => {
    const body = parseBody(startBody, bodyOf(request));
    const answered = await start(caller, body, request, ports);
    if (answered.isReplay) reply.header('Idempotency-Replayed', 'true');
    return reply.code(201).send(answered.body);
  });
  callers.route('GET', BASE, async ({ caller, request }) => {
    const own = [...caller.zone.runtime.sessions()].filter((session) => isVisible(session, caller));
    return toPage(own, request.query, (session) => show(session, caller));
  });
  callers.route('GET', `${BASE}/:id`, async ({ caller, request }) => show(find(caller, request), caller));
  callers.route('GET', `${BASE}/:id/children`, async ({ caller, request }) => {
    const children = caller.zone.runtime.children(find(caller, request).id);
    return toPage(children, request.query, (session) => show(session, caller));
  });
  callers.route('DELETE', `${BASE}/:id`, async ({ caller, request, reply }) => {
    const { lease_generation: generation } = parseBody(fenceBody, bodyOf(request, {}));
    const act = (session: AgentSession, view: RuntimeView, now: number) => endSession(session, generation, view, now);
    await changeSession({ name: 'session.ended', act, toBody: () => ({}) }, { caller, request }, ports);
    return reply.code(204).send();
  });
  callers.route('PATCH', `${BASE}/:id/suspend`, async ({ caller, request }) => {
    parseBody(emptyBody, bodyOf(request, {}));
    const toBody = (session: AgentSession) => show(session, caller);
    return changeSession({ name: 'session.suspended', act: suspendSession, toBody }, { caller, request }, ports);
  });
  callers.route('PATCH', `${BASE}/:id/resume`, async ({ caller, request }) => {
    parseBody(emptyBody, bodyOf(request, {}));
    const toBody = (session: AgentSession) => show(session, caller);
    return changeSession({ name: 'session.resumed', act: resumeSession, toBody }, { caller, request }, ports);
  });
  callers.route('POST', `${BASE}/:id/heartbeat`, async ({ caller, request }) => {
    const { lease_generation: generation } = parseBody(heartbeatBody, bodyOf(request, {}));
    const act = (session: AgentSession, _view: RuntimeView, now: number) => heartbeat(session, generation, now);
    const toBody = (session: AgentSession) => ({ agent: toLease(session) });
    return changeSession({ name: 'session.lease', act, toBody }, { caller, request }, ports);
  });
  callers.route('POST', `${BASE}/:id/lease`, async ({ caller, request }) => {
    parseBody(emptyBody, bodyOf(request, {}));
    return changeSession({ name: 'session.lease', act: takeLease, toBody: toLease }, { caller, request }, ports);
  });
}

async function start(caller: Caller, body: StartBody, request: FastifyRequest, ports: SessionRoutePorts) {
  if (body.application_id !== caller.application.id)
    throw new OAuthError('access_denied', 'application_id is not the application of the session mandate');
  const order = await toStart(caller, body, ports);
  const { snapshot } = caller.zone;
  const raw = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  const key = parseIdempotencyKey(request.headers['idempotency-key'], raw);
  return change(
    { caller, requestID: request.id, name: 'session.started', ...key },
    (view, now) => startSession(order, view, snapshot, now),
    ({ session }, view) => toSessionAnswer(session, snapshot.id, view),
    ports,
  );
}

/** Acts for the application itself, or for the user whose login is proved. */
async function toStart(caller: Caller, body: StartBody, ports: SessionRoutePorts): Promise<StartSession> {
  const now = ports.clock.now();
  const user = await proveLogin(caller, body, ports);
  const own = caller.record.request!;
  return {
    sessionID: uuidv7(now, ports.randomBytes),
    edgeID: uuidv7(now, ports.randomBytes),
    application: caller.application,
    sid: caller.sid,
    rootSid: user?.rootSid ?? caller.rootSid,
    subject: user?.subject ?? own.subject,
    ...(user?.subjectIssuer !== undefined && { subjectIssuer: user.subjectIssuer }),
    ...(user && { login: { sid: user.sid, expiresAt: user.notAfter! } }),
    lifecycle: body.lifecycle,
    ...(body.parent_id !== undefined && { parentID: body.parent_id }),
    ...(body.ttl_seconds !== undefined && { ttlSeconds: body.ttl_seconds }),
    labels: body.labels,
    metadata: body.metadata,
    parentAuthority: body.parent_authority ?? (body.inherit_parent_edge_id === undefined ? 'none' : 'inherit'),
    ...(body.inherit_parent_edge_id !== undefined && { inheritParentEdgeID: body.inherit_parent_edge_id }),
  };
}

async function proveLogin({ zone, record }: Caller, body: StartBody, { authentication, clock }: SessionRoutePorts) {
  const { subject_token: token, subject_session_id: sid } = body;
  if (token === undefined) return undefined;
  const { snapshot } = zone;
  const { principal } = record.request!;
  const application = snapshot.applications.get(principal.applicationID)!;
  const context = { principal, application, zone: snapshot, now: clock.now() };
  const form = { subjectToken: { token, type: 'access_token' as const }, sessionID: undefined };
  const subject = await authenticateSubject(form, context, authentication);
  if (subject.subject.type === 'user' && subject.sid === sid) return subject;
  throw new OAuthError('invalid_token', 'subject_token is no login of a user with the session subject_session_id');
}

interface SessionAct<T> {
  readonly name: RuntimeAct['name'];
  readonly act: (session: AgentSession, view: RuntimeView, now: number) => Changed<T> | AgentRefusal;
  readonly toBody: (result: T) => Readonly<Record<string, unknown>>;
}

function changeSession<T>(
  { name, act, toBody }: SessionAct<T>,
  { caller, request }: Pick<Call, 'caller' | 'request'>,
  ports: ChangePorts,
): Promise<Readonly<Record<string, unknown>>> {
  const id = idOf(request);
  const decide = (view: RuntimeView, now: number) => {
    const session = view.session(id);
    if (!session || !isOwn(session, caller.application, view)) return NOT_FOUND;
    return act(session, view, now);
  };
  return change({ caller, requestID: request.id, name }, decide, toBody, ports).then(({ body }) => body);
}

const NOT_FOUND = refuse('agent_session_not_found', 'the zone has no such agent session of this application');

function find(caller: Caller, request: FastifyRequest): AgentSession {
  const session = caller.zone.runtime.session(idOf(request));
  if (session && isVisible(session, caller)) return session;
  throw toAgentError(NOT_FOUND);
}

function isVisible(session: AgentSession, { application, zone }: Caller): boolean {
  return isOwn(session, application, zone.runtime);
}

function show(session: AgentSession, { zone }: Caller) {
  return toSessionAnswer(session, zone.snapshot.id, zone.runtime);
}

function idOf(request: FastifyRequest): string {
  return (request.params as Readonly<Record<string, string>>)['id'] ?? '';
}
