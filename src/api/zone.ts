/** Zone: the tenant boundary. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';
import { duration, keySource, name } from './schema.ts';

export const zoneSpec = z.object({
  displayName: z.string().max(128).optional(),
  policySetRef: z.object({ name: name(52), revision: z.int().min(1).optional(), digest: z.string().max(71).optional() }).optional(),
  allowedNamespaces: z
    .object({
      from: z.enum(['Same', 'All', 'Selector']).default('Same'),
      selector: z
        .object({
          matchLabels: z.record(z.string(), z.string()).optional(),
          matchExpressions: z
            .array(
              z.object({
                key: z.string(),
                operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
                values: z.array(z.string()).optional(),
              }),
            )
            .optional(),
        })
        .optional(),
    })
    .default({ from: 'Same' }),
  tokens: z.object({ mandateTTL: duration().default('5m'), sessionTTL: duration().default('60m') }).prefault({}),
  keys: z
    .object({
      rotateEvery: duration().default('720h'),
      publishBefore: duration().default('10m'),
      overlap: duration().default('24h'),
      revoke: z.array(z.string()).optional(),
    })
    .prefault({}),
  limits: z.object({ mintsPerMinute: z.int().min(1).default(60000) }).prefault({}),
  subjectIssuers: z
    .array(
      z.object({
        name: name(63),
        issuer: z.string(),
        ...keySource(),
        groupsClaim: z.string().optional(),
        claims: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  enforcement: z.object({ staleAfter: duration().default('10s') }).prefault({}),
  freeze: z.object({ reason: z.string().max(256) }).optional(),
});

export type ZoneSpec = z.output<typeof zoneSpec>;

export interface ZoneStatus extends BaseStatus {
  readonly zoneID?: string;
  readonly issuer?: string;
  readonly jwksURI?: string;
  readonly policy?: { readonly set: string; readonly revision: number; readonly digest: string };
  readonly signingKey?: { readonly kid: string; readonly rotatesAt: string };
  readonly gateways?: { readonly connected: number; readonly current: number; readonly summary: string };
}

export type Zone = KindObject<'Zone', ZoneSpec, ZoneStatus>;
