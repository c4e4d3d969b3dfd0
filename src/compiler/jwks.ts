/** Whether the public keys written in a spec are usable, and what identifies each of them. */
import { createHash, createPublicKey } from 'node:crypto';
import type { PublicJWK } from '../authority/snapshot.ts';

const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  EC: ['ES256'],
  RSA: ['RS256', 'PS256'],
  OKP: ['EdDSA', 'Ed25519'],
};

/** Why the key cannot verify a signature we accept (EC P-256, RSA ≥ 2048 bit, Ed25519), or undefined. */
export function checkJWK(jwk: PublicJWK): string | undefined {
  if (jwk.use !== undefined && jwk.use !== 'sig') return `use is ${jwk.use}; only sig verifies signatures`;
  const algorithms = Object.hasOwn(ALGORITHMS, jwk.kty) ? ALGORITHMS[jwk.kty]! : undefined;
  if (!algorithms) return 'kty must be EC, RSA or OKP';
  if (jwk.alg !== undefined && !algorithms.includes(jwk.alg))
    return `alg must be ${algorithms.join(' or ')} for ${jwk.kty}`;
  if (jwk.kty === 'EC' && jwk.crv !== 'P-256') return 'crv must be P-256';
  if (jwk.kty === 'OKP' && jwk.crv !== 'Ed25519') return 'crv must be Ed25519';
  return checkImport(jwk);
}

/** One key has one spelling, so that its thumbprint says whether two objects name the same key. */
function checkImport(jwk: PublicJWK): string | undefined {
  const written = members(jwk);
  try {
    const key = createPublicKey({ key: { ...written }, format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && bits < 2048) return `an RSA key needs at least 2048 bits, this one has ${bits}`;
    const exported = key.export({ format: 'jwk' }) as Readonly<Record<string, unknown>>;
    const odd = Object.keys(written).find((name) => written[name] !== exported[name]);
    return odd === undefined ? undefined : `${odd} is not written as RFC 7518 says (base64url, no padding)`;
  } catch {
    return 'it is no valid public key';
  }
}

/** The required members in the order of RFC 7638 §3.2. */
function members(jwk: PublicJWK): Record<string, string> {
  const names =
    jwk.kty === 'RSA' ? ['e', 'kty', 'n'] : jwk.kty === 'EC' ? ['crv', 'kty', 'x', 'y'] : ['crv', 'kty', 'x'];
  const source = jwk as unknown as Readonly<Record<string, string | undefined>>;
  return Object.fromEntries(names.map((name) => [name, source[name] ?? '']));
}

/** RFC 7638, SHA-256, base64url. */
export function thumbprint(jwk: PublicJWK): string {
  return createHash('sha256')
    .update(JSON.stringify(members(jwk)))
    .digest('base64url');
}
