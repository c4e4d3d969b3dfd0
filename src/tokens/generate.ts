/** A new signing key of a zone. */
import { generateKeyPairSync } from 'node:crypto';
import type { PrivateZoneKey } from './keys.ts';
import { thumbprint } from './thumbprint.ts';

/** P-256; `kid` is its thumbprint (RFC 7638). Unix milliseconds; without `activeAt` it is a standby, published only. */
export function generateZoneKey(nowMs: number, activeAt?: number): PrivateZoneKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y, d } = privateKey.export({ format: 'jwk' });
  if (x === undefined || y === undefined || d === undefined)
    throw new Error('the P-256 key just made has no x, y or d');
  return { kid: thumbprint({ kty: 'EC', crv: 'P-256', x, y }), x, y, d, createdAt: nowMs, activeAt };
}
