/** One request of a user through the API server: who, may they, and what the STS says; discovery whatever becomes of the STS. */
import type { Readable } from 'node:stream';
import { parseAccept } from '../runtimeapi/accept.ts';
import { APIError } from '../runtimeapi/errors.ts';
import { GROUP } from '../runtimeapi/group.ts';
import { answerDiscovery, methodNotAllowed, toRefusal, type APIAnswer } from '../runtimeapi/handle.ts';
import { parseTarget, toAttributes, type Attributes } from '../runtimeapi/path.ts';
import type { User } from '../runtimeapi/ports.ts';
import type { Authorize } from './authorize.ts';
import type { Replicas } from './replicas.ts';

export interface FrontRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly accept: string | undefined;
  readonly body: string | undefined;
  /** Undefined: not from the API server. */
  readonly user: User | undefined;
  /** Aborts when the user has gone. */
  readonly signal: AbortSignal;
}

export interface FrontPorts {
  readonly authorize: Authorize;
  readonly replicas: Pick<Replicas, 'ask'>;
}

/** An answer of ours, or one of the STS as it comes. */
export type FrontAnswer = Omit<APIAnswer, 'body'> & { readonly body: APIAnswer['body'] | Readable };

export async function answerRequest(request: FrontRequest, ports: FrontPorts): Promise<FrontAnswer> {
  const discovery = answerDiscovery(request);
  if (discovery) return discovery;
  try {
    return await ask(request, ports);
  } catch (error) {
    if (error instanceof APIError) return toRefusal(error);
    throw error;
  }
}

async function ask(request: FrontRequest, { authorize, replicas }: FrontPorts): Promise<FrontAnswer> {
  const { method, url, accept, body, user, signal } = request;
  if (!user) throw new APIError(401, 'Unauthorized', 'the runtime API is reached through the API server only');
  const [path = '', query = ''] = url.split('?');
  const target = parseTarget(path);
  if (!target) throw new APIError(404, 'NotFound', 'the runtime API has no such path');
  const attributes = toAttributes(method, target, new URLSearchParams(query));
  if (!attributes) throw methodNotAllowed(method);
  const { allowed, reason } = await authorize(user, attributes);
  if (!allowed) throw toForbidden(user, attributes, reason);
  const forwarded = { user, method, url, ...(accept !== undefined && { accept }), ...(body !== undefined && { body }) };
  const answer = await replicas.ask(forwarded, signal);
  if (answer) return { status: answer.statusCode, headers: toHeaders(answer.headers), body: answer.body };
  if (attributes.verb === 'list' && parseAccept(accept) === 'metadata') return NOTHING_KNOWN;
  throw new APIError(503, 'ServiceUnavailable', 'no STS answers now; nothing was changed that was not acknowledged');
}

/**
 * Garbage collection and namespace deletion ask for metadata alone, to find what is left to delete. Nothing of ours ever
 * is: runtime objects are no API objects with owners or finalizers, and end with their Zone. An error here would keep
 * every namespace of the cluster Terminating for as long as no STS answers. People, who ask for objects or tables, are
 * told that nobody answers.
 */
const NOTHING_KNOWN: FrontAnswer = {
  status: 200,
  body: {
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    // No version that a replica gives: a watch from here lists anew.
    metadata: { resourceVersion: '1' },
    items: [],
  },
};

/** In the words of the API server. */
function toForbidden({ name }: User, { verb, resource, subresource, namespace }: Attributes, reason: string): APIError {
  const what = `${resource}${subresource === undefined ? '' : `/${subresource}`}.${GROUP}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const why = reason === '' ? '' : `: ${reason}`;
  const message = `${what} is forbidden: User ${JSON.stringify(name)} cannot ${verb} resource ${JSON.stringify(what)} ${where}${why}`;
  return new APIError(403, 'Forbidden', message);
}

function toHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Readonly<Record<string, string>> {
  const kept = ['content-type', 'retry-after'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(kept);
}
