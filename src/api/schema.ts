/** Schema pieces that several kinds share. */
import * as z from 'zod';

/** A DNS label (RFC 1123) of at most `max` characters. */
export const name = (max: number) => z.string().min(1).max(max).regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

/** A Go-style duration such as "15m" or "1h30m". */
export const duration = () => z.string().max(32).regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/);

const publicJWK = z.object({
  kty: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
  n: z.string().optional(),
  e: z.string().optional(),
});

/** `{keys: […]}` of public members only. */
export const jwks = () => z.object({ keys: z.array(publicJWK).min(1).max(16) });

/** Either `jwks` or `jwksURL`; a CEL rule says exactly one. */
export const keySource = () => ({ jwks: jwks().optional(), jwksURL: z.string().max(512).optional() });
