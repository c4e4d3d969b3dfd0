/** An identity provider for the demo's users: a key made for this run, and ID tokens signed with it. */
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import type { PublicJWK } from '../../src/authority/snapshot.ts';

export interface IdentityProvider {
  readonly publicKey: PublicJWK;
  /** An ID token as a login at the provider would give it to the application with `audience`. */
  signIn(user: User, audience: string, login?: Login): Promise<string>;
}

export interface Login {
  /** As the application sent it. */
  readonly nonce?: string;
  readonly lifetime?: string;
}

export interface User {
  readonly sub: string;
  readonly groups: readonly string[];
}

export async function createIdentityProvider(issuer: string): Promise<IdentityProvider> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const kid = `demo-${crypto.randomUUID()}`;
  const { kty, crv, x, y } = await exportJWK(publicKey);
  return {
    publicKey: { kty: kty!, crv: crv!, x: x!, y: y!, kid, alg: 'ES256', use: 'sig' },
    signIn: ({ sub, groups }, audience, { nonce, lifetime = '5m' } = {}) =>
      new SignJWT({ groups, auth_time: Math.floor(Date.now() / 1000), ...(nonce !== undefined && { nonce }) })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer(issuer)
        .setSubject(sub)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(lifetime)
        .setJti(crypto.randomUUID())
        .sign(privateKey),
  };
}
