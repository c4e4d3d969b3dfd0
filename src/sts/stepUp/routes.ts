/** `/step-up/{id}` and its alias `/approvals/{id}`: how far a challenge is, and the user's own decision. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { OAuthError } from '../errors.ts';
import { bodyOf } from '../agents/request.ts';
import { parseBody } from '../agents/bodies.ts';
import type { Challenges, FoundChallenge } from './challenges.ts';
import { authenticateInPerson, type InPersonPorts } from './decideInPerson.ts';

export interface StepUpPorts extends InPersonPorts {
  readonly challenges: Challenges;
  now(): number;
}

const MAX_WAIT_SECONDS = 25;

const decisionBody = z.strictObject({
  decision: z.enum(['approved', 'rejected']),
  binding: z.string().regex(/^[0-9a-f]{64}$/, 'must be the binding of the challenge'),
  reason: z.string().min(1).max(512).optional(),
});

export function addStepUpRoutes(server: FastifyInstance, ports: StepUpPorts): void {
  for (const base of ['/step-up', '/approvals']) {
    // Nobody authenticates here: whoever knows the id of 122 random bits may ask how far it is, and learns no more.
    server.get(`${base}/:id`, async (request) => {
      const found = await ports.challenges.wait(idOf(request), waitOf(request) * 1000);
      return toStatus(found);
    });
    server.post(`${base}/:id/decision`, async (request) => {
      const { decision, ...said } = parseBody(decisionBody, bodyOf(request));
      const found = ports.challenges.find(idOf(request));
      if (!found) throw notFound();
      const { authorization } = request.headers;
      const decider = await authenticateInPerson(authorization, found.challenge, found.zone, ports.now(), ports);
      const { binding, reason } = said;
      const answer = { approved: decision === 'approved', binding, ...(reason !== undefined && { reason }) };
      const decided = await ports.challenges.decide(found, answer, decider, request.id);
      return toStatus({ ...found, challenge: decided });
    });
  }
}

function toStatus(found: FoundChallenge | undefined) {
  if (!found) throw notFound();
  const { id, state, expiresAt } = found.challenge;
  return { id, state, expires_at: new Date(expiresAt * 1000).toISOString() };
}

function notFound(): OAuthError {
  return new OAuthError('challenge_not_found', 'no challenge has this id');
}

function idOf(request: FastifyRequest): string {
  return (request.params as Readonly<Record<string, string>>)['id'] ?? '';
}

/** Seconds; none where it is not said. */
function waitOf(request: FastifyRequest): number {
  const { wait, ...others } = request.query as Readonly<Record<string, unknown>>;
  if (Object.keys(others).length > 0) throw new OAuthError('invalid_request', 'the query takes wait only');
  if (wait === undefined) return 0;
  if (typeof wait === 'string' && /^[0-9]{1,2}$/.test(wait) && Number(wait) <= MAX_WAIT_SECONDS) return Number(wait);
  throw new OAuthError('invalid_request', `wait must be 0 to ${MAX_WAIT_SECONDS} seconds`);
}
