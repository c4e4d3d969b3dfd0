/** Application: registered software, the principal. */
import * as z from 'zod';
import type { BaseStatus, KindObject } from './meta.ts';
import { jwks, keySource, name } from './schema.ts';

export const applicationSpec = z.object({
  zoneRef: z.object({ name: name(63), namespace: name(63).optional() }),
  displayName: z.string().max(128).optional(),
  identities: z
    .array(
      z.object({
        serviceAccount: z.object({ name: z.string() }).optional(),
        oidc: z.object({ issuer: z.string(), audience: z.string(), subject: z.string(), ...keySource() }).optional(),
        privateKeyJWT: z.object({ jwks: jwks() }).optional(),
        clientSecret: z.object({ sha256: z.array(z.string()).min(1).max(4) }).optional(),
      }),
    )
    .min(1)
    .max(16),
  subjectAudiences: z.array(z.string()).optional(),
  expiresAt: z.string().optional(),
});

export type ApplicationSpec = z.output<typeof applicationSpec>;

export interface ApplicationStatus extends BaseStatus {
  /** Identity types, comma-separated: the Identity column. */
  readonly identity?: string;
}

export type Application = KindObject<'Application', ApplicationSpec, ApplicationStatus>;
