/** Resource: a protected API with named scopes. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';
import { duration, name } from './schema.ts';

export const resourceSpec = z.object({
  zoneRef: z.object({ name: name(63), namespace: name(63).optional() }),
  identifier: z.string(),
  type: z.enum(['HTTP']).default('HTTP'),
  scopes: z.array(z.object({ name: z.string(), description: z.string().optional() })).min(1).max(64),
  protectedBy: z.array(z.object({ serviceAccount: z.string() })).optional(),
  upstream: z
    .object({
      url: z.string().optional(),
      service: z
        .object({ name: name(63), port: z.int().min(1).max(65535), scheme: z.enum(['http', 'https']).optional() })
        .optional(),
    })
    .optional(),
  operations: z
    .array(
      z.object({ methods: z.array(z.string()).min(1), path: z.string(), scopes: z.array(z.string()).min(1) }),
    )
    .max(256)
    .optional(),
  operationEnforcement: z.enum(['Declared', 'Uniform']).default('Declared'),
  mandate: z.object({ ttl: duration().optional() }).optional(),
});

export type ResourceSpec = z.output<typeof resourceSpec>;

export interface ResourceStatus extends BaseStatus {
  readonly gateways?: { readonly connected: number; readonly current: number; readonly summary: string };
}

export type Resource = KindObject<'Resource', ResourceSpec, ResourceStatus>;
