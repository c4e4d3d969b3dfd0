/** What callers send to the endpoints of agent sessions and delegations, parsed once at the edge (wire.md). */
import * as z from 'zod';
import { OAuthError } from '../errors.ts';

const id = () => z.string().regex(/^[0-9a-f-]{36}$/, 'must be an id as this service gave it: a UUID');
const applicationID = () => z.string().min(1).max(127);
const scopeToken = () => z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'must be a scope-token (RFC 6749 §3.3)');
const identifier = () => z.string().min(1).max(512);
const ttl = (max: number) => z.int('must be an integer').min(1).max(max);

const MAX_METADATA = 4096;
const MAX_TTL = 86_400;

const metadata = z
  .record(z.string(), z.unknown())
  .refine(
    (value) => JSON.stringify(value).length <= MAX_METADATA,
    `must be at most ${MAX_METADATA} characters of JSON`,
  );

export const startBody = z
  .strictObject({
    application_id: applicationID(),
    lifecycle: z.enum(['task', 'service']).default('task'),
    parent_id: id().optional(),
    subject_session_id: z.string().min(1).max(128).optional(),
    subject_token: z.string().min(1).max(8192).optional(),
    ttl_seconds: ttl(MAX_TTL).optional(),
    labels: z.array(z.string().min(1).max(64)).max(32).default([]),
    metadata: metadata.default({}),
    parent_authority: z.enum(['inherit', 'none']).optional(),
    inherit_parent_edge_id: id().optional(),
  })
  .refine(({ lifecycle, ttl_seconds }) => lifecycle === 'task' || ttl_seconds === undefined, {
    path: ['ttl_seconds'],
    message: 'is not for a service: its lease keeps it alive',
  })
  .refine((body) => (body.subject_session_id === undefined) === (body.subject_token === undefined), {
    path: ['subject_token'],
    message: 'goes with subject_session_id: the login must be proved',
  })
  .refine(({ parent_id, parent_authority }) => parent_id !== undefined || parent_authority !== 'inherit', {
    path: ['parent_authority'],
    message: 'needs parent_id',
  })
  .refine(
    ({ inherit_parent_edge_id, parent_authority, parent_id }) =>
      inherit_parent_edge_id === undefined || (parent_authority !== 'none' && parent_id !== undefined),
    { path: ['inherit_parent_edge_id'], message: 'needs parent_id, and parent_authority other than none' },
  );

export const fenceBody = z.strictObject({ lease_generation: z.int().min(0).optional() });

export const heartbeatBody = z.strictObject({
  status: z.string().max(64).optional(),
  lease_generation: z.int().min(0).optional(),
});

/** Nothing is read of it: the caller holds the lease by asking for it. */
export const emptyBody = z.strictObject({});

const constraints = z.strictObject({
  resources: z.array(identifier()).min(1).max(64).optional(),
  max_hops: z.int().min(1).max(10).optional(),
  max_depth: z.int().min(1).max(10).optional(),
  ttl_seconds: ttl(MAX_TTL).optional(),
  expires_at: z.iso.datetime({ offset: true, error: 'must be an RFC 3339 instant' }).optional(),
  policy_approved: z.boolean().optional(),
  broad_reason: z.string().max(512).optional(),
});

export const delegateBody = z
  .strictObject({
    issuer_application_id: applicationID(),
    source_session_id: id(),
    target_session_id: id(),
    receiver_application_id: applicationID(),
    scopes: z.array(scopeToken()).min(1).max(64),
    parent_edge_id: id().optional(),
    resource_id: identifier().optional(),
    ttl_seconds: ttl(MAX_TTL).optional(),
    constraints: constraints.default({}),
  })
  .refine(({ constraints: { max_hops: hops, max_depth: depth } }) => !hops || !depth || hops === depth, {
    path: ['constraints', 'max_depth'],
    message: 'says the same as max_hops and differs from it',
  })
  .refine(
    ({ resource_id, constraints: { resources } }) => !resource_id || !resources || resources.includes(resource_id),
    {
      path: ['resource_id'],
      message: 'is not among constraints.resources',
    },
  );

export type StartBody = z.output<typeof startBody>;
export type DelegateBody = z.output<typeof delegateBody>;

/** Throws OAuthError naming the field. */
export function parseBody<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new OAuthError('invalid_request', field === '' ? `the body: ${issue?.message}` : `${field}: ${issue?.message}`);
}
