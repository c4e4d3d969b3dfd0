/** The bodies that are sent to the runtime API, parsed once at its edge. */
import * as z from 'zod';
import { APIError, badRequest } from './errors.ts';

const name = () => z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of an object');
const scopeToken = () => z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'must be a scope-token (RFC 6749 §3.3)');
const reason = () => z.string().trim().min(1, 'says why').max(512);

/** What Kubernetes clients send along; it decides nothing. */
const head = { apiVersion: z.string().optional(), kind: z.string().optional(), metadata: z.unknown().optional() };

const reviewSpec = z.strictObject({
  zone: name(),
  application: z.string().min(3).max(127),
  user: z
    .strictObject({
      issuer: z.string().min(1).max(63),
      sub: z.string().min(1).max(255),
      groups: z.array(z.string().max(255)).max(256).default([]),
      claims: z.record(z.string(), z.unknown()).default({}),
    })
    .optional(),
  resource: z.string().min(1).max(512).optional(),
  scopes: z.array(scopeToken()).max(64).default([]),
  operation: z
    .strictObject({ method: z.string().regex(/^[A-Z]{1,16}$/), path: z.string().startsWith('/').max(2048) })
    .optional(),
  ttlSeconds: z.int().min(1).max(86_400).optional(),
  policySetRevision: name().optional(),
});

export type ReviewSpec = z.infer<typeof reviewSpec>;

const listSpec = z.strictObject({
  zone: name(),
  application: z.string().min(3).max(127).optional(),
  resource: z.string().min(1).max(512).optional(),
  scope: scopeToken().optional(),
});

export type ListSpec = z.infer<typeof listSpec>;

const listBody = z.strictObject({ ...head, spec: listSpec, status: z.unknown().optional() });

const reviewBody = z.strictObject({ ...head, spec: reviewSpec, status: z.unknown().optional() });

const decisionBody = z.strictObject({
  ...head,
  decision: z.enum(['approved', 'rejected']),
  binding: z.string().regex(/^[0-9a-f]{64}$/, 'must be the binding of the challenge (spec.binding)'),
  reason: reason().optional(),
});

const freezeBody = z.strictObject({ ...head, reason: reason() });

const deleteOptions = z.looseObject({
  preconditions: z.looseObject({ uid: z.string().optional(), resourceVersion: z.string().optional() }).optional(),
  dryRun: z.array(z.literal('All')).optional(),
});

/** Each throws APIError, which names the member. */
export const parseReview = (body: Buffer | undefined): ReviewSpec => parse(reviewBody, body).spec;
export const parseListSpec = (body: Buffer | undefined): ListSpec => parse(listBody, body).spec;
export const parseDecision = (body: Buffer | undefined) => parse(decisionBody, body);
export const parseFreeze = (body: Buffer | undefined) => parse(freezeBody, body);
export const parseDeleteOptions = (body: Buffer | undefined) =>
  body === undefined || body.length === 0 ? {} : parse(deleteOptions, body);

function parse<T>(schema: z.ZodType<T>, body: Buffer | undefined): T {
  let value: unknown;
  try {
    value = JSON.parse(body?.toString('utf8') ?? '');
  } catch {
    throw badRequest('the body is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue!.path.join('.');
  throw new APIError(422, 'Invalid', `${path === '' ? 'the body' : path}: ${issue!.message}`);
}
