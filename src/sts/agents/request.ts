/** Calls of applications on runtime state: authenticated before the body is read, and every error with `request_id`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { OAuthError } from '../errors.ts';
import { parseJSONBody } from '../server.ts';
import type { Caller } from './caller.ts';

export interface Call {
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface Callers {
  route(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, handle: (call: Call) => Promise<unknown>): void;
}

/** `authenticate` throws OAuthError. */
export function createCallers(
  server: FastifyInstance,
  authenticate: (request: FastifyRequest, zoneID: string) => Promise<Caller>,
): Callers {
  const callers = new WeakMap<FastifyRequest, Caller>();
  return {
    route(method, url, handle) {
      server.route({
        method,
        url,
        onRequest: async (request) => {
          const zoneID = (request.params as Readonly<Record<string, string>>)['zone'] ?? '';
          callers.set(request, await authenticate(request, zoneID));
        },
        handler: (request, reply) => handle({ caller: callers.get(request)!, request, reply }),
      });
    },
  };
}

/** Throws OAuthError. `absent`: what no body at all means, where one need not be sent. */
export function bodyOf(request: FastifyRequest, absent?: unknown): unknown {
  const body = request.body as Buffer | undefined;
  if (absent !== undefined && (body === undefined || body.length === 0)) return absent;
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
    throw new OAuthError('invalid_request', 'Content-Type must be application/json', { status: 415 });
  return parseJSONBody(request);
}
