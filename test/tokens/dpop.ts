/** Clients that prove possession of a key: good proofs, and proofs over any header and payload. */
import { createHash, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { thumbprint } from '../../src/tokens/thumbprint.ts';
import { encode } from './signing.ts';

export interface ProofKey {
  readonly privateKey: KeyObject;
  readonly jwk: { readonly kty: string; readonly crv: string; readonly x: string; readonly y: string };
  readonly jkt: string;
}

export function newProofKey(): ProofKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const jwk = { kty: 'EC', crv: 'P-256', x, y };
  return { privateKey, jwk, jkt: thumbprint(jwk) };
}

export interface ProofRequest {
  readonly method: string;
  readonly url: string;
  readonly nonce: string;
  readonly accessToken?: string;
  /** Unix milliseconds. */
  readonly now: number;
}

export const athOf = (token: string) => createHash('sha256').update(token).digest('base64url');

export function proofClaims({ method, url, nonce, accessToken, now }: ProofRequest) {
  return {
    ...{ jti: randomUUID(), htm: method, htu: url, iat: Math.floor(now / 1000), nonce },
    ...(accessToken !== undefined && { ath: athOf(accessToken) }),
  };
}

export const proofHeader = ({ jwk }: ProofKey) => ({ typ: 'dpop+jwt', alg: 'ES256', jwk });

export function signProof(header: object, claims: object, { privateKey }: Pick<ProofKey, 'privateKey'>): string {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`;
  return `${input}.${encode(sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }))}`;
}

export function makeProof(request: ProofRequest, key: ProofKey): string {
  return signProof(proofHeader(key), proofClaims(request), key);
}
