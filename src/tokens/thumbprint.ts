/** The name of a public key that follows from the key alone (RFC 7638, SHA-256, base64url). */
import { hash } from 'node:crypto';
import type { PublicJWK } from '../authority/snapshot.ts';

/** Required members in lexicographic order: RFC 7638 §3.2, for OKP RFC 8037 §2. */
const MEMBERS = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
} as const satisfies Readonly<Record<string, readonly (keyof PublicJWK)[]>>;

/** Throws TypeError for another `kty` or where a required member is missing. */
export function thumbprint(jwk: PublicJWK): string {
  return hash('sha256', JSON.stringify(requiredMembers(jwk)), 'base64url');
}

/** What makes the key: nothing else of a JWK takes part in verifying. */
export function requiredMembers(jwk: PublicJWK): Readonly<Record<string, string>> {
  if (!isKeyType(jwk.kty)) throw new TypeError('kty must be EC, RSA or OKP');
  const required: Record<string, string> = {};
  for (const name of MEMBERS[jwk.kty]) {
    const value = jwk[name];
    if (typeof value !== 'string') throw new TypeError(`a key of kty ${jwk.kty} needs the member ${name}`);
    required[name] = value;
  }
  return required;
}

function isKeyType(kty: string): kty is keyof typeof MEMBERS {
  return Object.hasOwn(MEMBERS, kty);
}
