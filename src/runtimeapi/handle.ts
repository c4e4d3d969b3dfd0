/** The runtime API as a function: a request that was authenticated and authorized, to an answer. */
import type { Readable } from 'node:stream';
import { parseAccept, type Form } from './accept.ts';
import { parseDecision, parseDeleteOptions, parseFreeze, parseListSpec, parseReview } from './bodies.ts';
import { toDiscovery } from './discovery.ts';
import { APIError, notFound, toStatus } from './errors.ts';
import { GROUP, GROUP_VERSION } from './group.ts';
import { includeOf, toList, toOne } from './list.ts';
import { instant } from './objects.ts';
import { toOpenAPI } from './openapi.ts';
import { parseTarget, toAttributes, type Target } from './path.ts';
import type { FreezeState, RuntimePorts, User } from './ports.ts';
import { openWatch } from './watch.ts';

export interface APIRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  readonly accept: string | undefined;
  readonly body: Buffer | undefined;
  readonly user: User;
  readonly requestID: string;
}

export interface APIAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A document, or the lines of a watch. */
  readonly body: Readonly<Record<string, unknown>> | Readable;
}

/** Discovery and OpenAPI: the same wherever data may be, and for everyone. Undefined for other paths. */
export function answerDiscovery({ method, url, accept }: Pick<APIRequest, 'method' | 'url' | 'accept'>) {
  const path = url.split('?')[0]!;
  const isDiscovery = path === '/apis' || path === `/apis/${GROUP}` || path === `/apis/${GROUP_VERSION}`;
  if (method !== 'GET' || (!isDiscovery && !path.startsWith('/openapi/'))) return undefined;
  return answerErrors(() => {
    const body = isDiscovery ? toDiscovery(path, parseAccept(accept)) : toOpenAPI(path);
    if (body === undefined) throw new APIError(404, 'NotFound', 'no such path');
    const isAggregated = (body as { readonly kind?: string }).kind === 'APIGroupDiscoveryList';
    const as = ';g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const headers = { 'content-type': `application/json${isAggregated ? as : ''}`, vary: 'Accept' };
    return { status: 200, headers, body: body as APIAnswer['body'] };
  });
}

/** Never rejects for a refusal. */
export async function handle(request: APIRequest, ports: RuntimePorts): Promise<APIAnswer> {
  const discovery = answerDiscovery(request);
  if (discovery) return discovery;
  try {
    const url = new URLSearchParams(request.url.split('?')[1] ?? '');
    const target = parseTarget(request.url.split('?')[0]!);
    if (!target) throw new APIError(404, 'NotFound', 'the runtime API has no such path');
    if (!toAttributes(request.method, target, url)) throw methodNotAllowed(request.method);
    return await answer(request, target, { query: url, form: parseAccept(request.accept) }, ports);
  } catch (error) {
    if (error instanceof APIError) return toRefusal(error);
    throw error;
  }
}

export function toRefusal(error: APIError): APIAnswer {
  const retry = error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) };
  return { status: error.status, headers: retry, body: toStatus(error) };
}

function answerErrors(run: () => APIAnswer): APIAnswer {
  try {
    return run();
  } catch (error) {
    if (error instanceof APIError) return toRefusal(error);
    throw error;
  }
}

export function methodNotAllowed(method: string): APIError {
  return new APIError(405, 'MethodNotAllowed', `${method} is not supported here`);
}

interface Asked {
  readonly query: URLSearchParams;
  readonly form: Form;
}

async function answer(request: APIRequest, target: Target, asked: Asked, ports: RuntimePorts): Promise<APIAnswer> {
  const doing = { user: request.user, requestID: request.requestID };
  const { acts } = ports;
  switch (target.type) {
    case 'collection': {
      const question = { ...target, ...asked };
      const isWatch = ['true', '1'].includes(asked.query.get('watch') ?? '');
      return { status: 200, body: isWatch ? openWatch(question, ports) : toList(question, ports) };
    }
    case 'object':
      return request.method === 'DELETE'
        ? remove(request, target, asked.query, ports)
        : { status: 200, body: get(target, asked, ports) };
    case 'decision': {
      const { decision, binding, reason } = parseDecision(request.body);
      const said = { approved: decision === 'approved', binding, ...(reason !== undefined && { reason }) };
      const decided = await acts.decide(target.namespace, target.name, said, doing);
      return { status: 201, body: { ...decided } };
    }
    case 'freeze':
      return freeze(request, target, ports);
    case 'review': {
      const spec = parseReview(request.body);
      return toAnswered('AuthorityReview', spec, await acts.review(target.namespace, spec));
    }
    case 'authorities': {
      const spec = parseListSpec(request.body);
      return toAnswered('AuthorityList', spec, await acts.authorities(target.namespace, spec));
    }
  }
}

/** A question is an object that is nowhere but in its answer. */
function toAnswered(kind: string, spec: object, status: object): APIAnswer {
  const metadata = { creationTimestamp: null };
  return { status: 201, body: { kind, apiVersion: GROUP_VERSION, metadata, spec, status } };
}

type ObjectTarget = Extract<Target, { readonly type: 'object' }>;

function get({ resource, namespace, name }: ObjectTarget, { query, form }: Asked, { objects, now }: RuntimePorts) {
  const object = objects.get(resource.plural, namespace, name);
  if (!object) throw notFound(resource.plural, name);
  return { ...toOne(object, { form, now: now(), include: includeOf(query) }) };
}

async function remove(
  { body, user, requestID }: APIRequest,
  { resource, namespace, name }: ObjectTarget,
  query: URLSearchParams,
  { objects, acts }: RuntimePorts,
): Promise<APIAnswer> {
  const { plural } = resource;
  if (plural === 'stepupchallenges') throw methodNotAllowed('DELETE');
  const options = parseDeleteOptions(body);
  const object = objects.get(plural, namespace, name);
  if (!object) throw notFound(plural, name);
  const { uid = object.metadata.uid, resourceVersion = object.metadata.resourceVersion } = options.preconditions ?? {};
  if (uid !== object.metadata.uid || resourceVersion !== object.metadata.resourceVersion)
    throw new APIError(409, 'Conflict', 'the object is not the one of preconditions (uid, resourceVersion)');
  const isDryRun = options.dryRun !== undefined || query.get('dryRun') === 'All';
  if (!isDryRun) await acts.end(plural, namespace, name, { user, requestID });
  const details = { name, group: GROUP, kind: plural, uid: object.metadata.uid };
  return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}

type FreezeTarget = Extract<Target, { readonly type: 'freeze' }>;

async function freeze(request: APIRequest, { namespace, name }: FreezeTarget, { acts }: RuntimePorts) {
  const doing = { user: request.user, requestID: request.requestID };
  if (request.method === 'POST') {
    const { reason } = parseFreeze(request.body);
    return { status: 201, body: toZoneFreeze(namespace, name, await acts.freeze(namespace, name, reason, doing)) };
  }
  const state =
    request.method === 'DELETE' ? await acts.unfreeze(namespace, name, doing) : acts.freezeOf(namespace, name);
  if (!state) throw notFound('zones', name);
  return { status: 200, body: toZoneFreeze(namespace, name, state) };
}

function toZoneFreeze(namespace: string, name: string, { spec, command }: FreezeState): APIAnswer['body'] {
  const status = { ...(spec && { spec }), ...(command && { command: { ...command, at: instant(command.at) } }) };
  return { kind: 'ZoneFreeze', apiVersion: GROUP_VERSION, metadata: { name, namespace }, status };
}
