/** An identity provider for the demo's users: a key made for this run, and ID tokens signed with it. */
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import type { PublicJWK } from '../../src/authority/snapshot.ts';

export interface IdentityProvider {
  readonly publicKey: PublicJWK;
  /** An ID token as a login at the provider would give it to the application with `audience`. */
  signIn(user: { readonly sub: string; readonly groups: readonly string[] }, audience: string): Promise<string>;
}

export async function createIdentityProvider(issuer: string): Promise<IdentityProvider> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const kid = `demo-${crypto.randomUUID()}`;
  const { kty, crv, x, y } = await exportJWK(publicKey);
  return {
    publicKey: { kty: kty!, crv: crv!, x: x!, y: y!, kid, alg: 'ES256', use: 'sig' },
    signIn: ({ sub, groups }, audience) =>
      new SignJWT({ groups, auth_time: Math.floor(Date.now() / 1000) })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer(issuer)
        .setSubject(sub)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('5m')
        .setJti(crypto.randomUUID())
        .sign(privateKey),
  };
}
