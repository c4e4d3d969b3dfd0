/** Tokens that callers of the STS bring: signed by issuers of the test's own, whole or altered. */
import { createPrivateKey, randomUUID, sign, type KeyObject } from 'node:crypto';
import type { PublicJWK } from '../../src/authority/snapshot.ts';
import { makeSigner, type ForeignSigner } from '../tokens/signing.ts';

export const ISSUER = 'https://sts.example';
export const CLUSTER_ISSUER = 'https://kubernetes.default.svc.cluster.local';
export const CI_ISSUER = 'https://ci.example';
export const IDP_ISSUER = 'https://idp.example';

const makeKey = (kid: string): ForeignSigner => makeSigner('ec', { kid });

export const cluster = makeKey('cluster');
export const ci = makeKey('ci');
export const idp = makeKey('idp');
export const otherIdp = makeKey('other-idp');
/** The private key of shop.cart. */
export const cartKey = makeKey('cart');
export const stranger = makeKey('cluster');

export type Claims = Readonly<Record<string, unknown>>;

const encode = (bytes: string | Uint8Array) => Buffer.from(bytes).toString('base64url');

/** ES256 over exactly this header and payload; objects are written as JSON. */
export function signToken(key: KeyObject, header: string | object, payload: string | object | Uint8Array): string {
  const input = `${encode(toBytes(header))}.${encode(toBytes(payload))}`;
  return `${input}.${encode(sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }))}`;
}

function toBytes(value: string | object): string | Uint8Array {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  return JSON.stringify(value);
}

export function signAs({ jwk, privateKey }: ForeignSigner, claims: Claims, header: Claims = {}): string {
  return signToken(privateKey, { alg: 'ES256', kid: jwk.kid, ...header }, claims);
}

/** A token as the API server issues it for a pod; `claims` overrides. */
export function serviceAccountClaims(seconds: number, claims: Claims = {}): Claims {
  return {
    aud: [`${ISSUER}/zones/shop.main`],
    exp: seconds + 3600,
    iat: seconds,
    nbf: seconds,
    iss: CLUSTER_ISSUER,
    jti: randomUUID(),
    sub: 'system:serviceaccount:shop:cart',
    'kubernetes.io': podOf('shop', 'cart'),
    ...claims,
  };
}

export function podOf(namespace: string, serviceAccount: string, podUID = `pod-${namespace}-${serviceAccount}`) {
  return {
    namespace,
    serviceaccount: { name: serviceAccount, uid: `sa-${namespace}-${serviceAccount}` },
    pod: { name: `${serviceAccount}-0`, uid: podUID },
  };
}

export function keyAssertionClaims(seconds: number, claims: Claims = {}): Claims {
  const id = 'shop.cart';
  return { iss: id, sub: id, aud: ISSUER, iat: seconds, exp: seconds + 300, jti: randomUUID(), ...claims };
}

export function ciClaims(seconds: number, claims: Claims = {}): Claims {
  return { iss: CI_ISSUER, sub: 'repo:shop/cart', aud: ISSUER, iat: seconds, exp: seconds + 300, ...claims };
}

export function idTokenClaims(seconds: number, claims: Claims = {}): Claims {
  return {
    iss: IDP_ISSUER,
    sub: 'alice',
    aud: 'cart-web',
    iat: seconds,
    exp: seconds + 3600,
    nonce: randomUUID(),
    groups: ['staff'],
    department: 'sales',
    ...claims,
  };
}

/** Header and claims of a JWT, unverified. */
export function decode(token: string): { readonly header: Claims; readonly claims: Record<string, unknown> } {
  const [header, claims] = token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>);
  return { header: header!, claims: claims! };
}

export function privateKeyOf(key: { readonly x: string; readonly y: string; readonly d: string }): KeyObject {
  const { x, y, d } = key;
  return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' });
}

/** The members a Kubernetes object may carry. */
export function toSpecKey({ kty, kid, crv, x, y }: PublicJWK): { kty: 'EC' } & Record<string, string> {
  return { kty: kty as 'EC', kid: kid!, crv: crv!, x: x!, y: y! };
}
