/** Grant: (application, subject) → scopes on a resource. A ceiling, not a decision. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';
import { name } from './schema.ts';

export const grantSpec = z.object({
  zoneRef: z.object({ name: name(63), namespace: name(63).optional() }),
  applicationRef: z.object({ name: name(63), namespace: name(63).optional() }),
  resourceRef: z.object({ name: name(63) }),
  scopes: z.array(z.string()).min(1).max(64),
  subjects: z
    .array(
      z.object({
        application: z.object({}).optional(),
        user: z.object({ issuer: name(63), sub: z.string() }).optional(),
        group: z.object({ issuer: name(63), group: z.string() }).optional(),
        anyUser: z.object({}).optional(),
      }),
    )
    .min(1)
    .optional(),
  notBefore: z.string().optional(),
  expiresAt: z.string().optional(),
});

export type GrantSpec = z.output<typeof grantSpec>;

export interface GrantStatus extends BaseStatus {
  /** Space-delimited scopes: the Scopes column. */
  readonly scopes?: string;
}

export type Grant = KindObject<'Grant', GrantSpec, GrantStatus>;
