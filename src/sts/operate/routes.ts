/** Where the runtime API is asked: by the front for its users, and in `caracal up` with the local token. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { APIError } from '../../runtimeapi/errors.ts';
import { handle, toRefusal, type APIAnswer, type APIRequest } from '../../runtimeapi/handle.ts';
import type { RuntimePorts, User } from '../../runtimeapi/ports.ts';
import { OAuthError } from '../errors.ts';
import { parseJSONBody } from '../server.ts';

export interface OperateRoutePorts {
  readonly runtimeAPI: RuntimePorts;
  /** Hex SHA-256 of the token that is the local administrator; undefined: there is none. */
  readonly localTokenDigest: string | undefined;
  /** Whether the bearer is the front's. Throws OAuthError. */
  authenticateFront(request: FastifyRequest): Promise<void>;
}

/** Whoever can read the data folder of `caracal up`. Never a machine of the cluster, so that it may approve. */
const LOCAL_ADMIN: User = { name: 'local-admin', groups: ['caracal:local'] };

export function addOperateRoutes(server: FastifyInstance, ports: OperateRoutePorts): void {
  if (ports.localTokenDigest !== undefined) addLocal(server, ports.localTokenDigest, ports);
  addFront(server, ports);
}

function addLocal(server: FastifyInstance, digest: string, { runtimeAPI }: OperateRoutePorts): void {
  const isLocal = ({ headers }: FastifyRequest): boolean => {
    const token = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(headers.authorization ?? '')?.[1];
    return token !== undefined && timingSafeEqual(digestOf(token), Buffer.from(digest, 'hex'));
  };
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    if (!isLocal(request)) return send(reply, toRefusal(new APIError(401, 'Unauthorized', NO_TOKEN)));
    const { method, id: requestID, body, raw } = request;
    const sent: APIRequest = {
      ...{ method, url: raw.url!, accept: request.headers.accept, user: LOCAL_ADMIN, requestID },
      body: Buffer.isBuffer(body) ? body : undefined,
    };
    return send(reply, await handle(sent, runtimeAPI));
  };
  for (const url of ['/apis', '/apis/*', '/openapi/*'])
    server.route({ method: ['GET', 'POST', 'DELETE'], url, handler: answer });
}

const NO_TOKEN = 'the bearer token of this `caracal up` is needed: it is in its data folder';

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export const FRONT_PATH = '/v1/runtime';

/** As the front authenticated and authorized it; `body` as text. */
const forwarded = z.strictObject({
  user: z.strictObject({
    name: z.string().min(1),
    uid: z.string().optional(),
    groups: z.array(z.string()),
    extra: z.record(z.string(), z.array(z.string())).optional(),
  }),
  method: z.enum(['GET', 'POST', 'DELETE']),
  url: z.string().startsWith('/'),
  accept: z.string().optional(),
  body: z.string().optional(),
});

function addFront(server: FastifyInstance, { runtimeAPI, authenticateFront }: OperateRoutePorts): void {
  const onRequest = async (request: FastifyRequest): Promise<void> => authenticateFront(request);
  server.post(FRONT_PATH, { onRequest, bodyLimit: 512 * 1024 }, async (request, reply) => {
    const parsed = forwarded.safeParse(parseJSONBody(request));
    if (!parsed.success) throw new OAuthError('invalid_request', 'the body is {user, method, url, accept?, body?}');
    const { user, method, url, accept, body } = parsed.data;
    const { uid, extra, ...who } = user;
    const sent: APIRequest = {
      ...{ method, url, accept, requestID: request.id },
      user: { ...who, ...(uid !== undefined && { uid }), ...(extra && { extra }) },
      body: body === undefined ? undefined : Buffer.from(body),
    };
    return send(reply, await handle(sent, runtimeAPI));
  });
}

/** A watch is sent line by line, until either end has enough. */
function send(reply: FastifyReply, { status, headers = {}, body }: APIAnswer): FastifyReply {
  return reply
    .code(status)
    .headers({ 'content-type': 'application/json', ...headers })
    .send(body);
}
