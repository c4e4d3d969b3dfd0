/** Good tokens to alter, and tokens signed over any header and payload. */
import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { MandateClaims } from '../../src/authority/claims.ts';
import type { PublicJWK } from '../../src/authority/snapshot.ts';
import { generateZoneKey } from '../../src/tokens/generate.ts';
import { importSigningKey, mintMandate } from '../../src/tokens/mint.ts';
import { createMandateVerifier, type MandateVerifierConfig } from '../../src/tokens/verify.ts';

export const NOW = 1_800_000_000_000;
export const SECONDS = NOW / 1000;
export const ISSUER = 'https://sts.example';
export const ZONE = 'payments.prod';
export const RESOURCE = 'resource://payments';

export const zoneKey = generateZoneKey(NOW, NOW);
export const otherKey = generateZoneKey(NOW, NOW);
export const signingKey = importSigningKey(zoneKey);

export const CLAIMS: MandateClaims = {
  iss: ISSUER,
  aud: [RESOURCE],
  exp: SECONDS + 300,
  iat: SECONDS,
  jti: '0193a5f0-0000-7000-8000-000000000001',
  sub: 'payments.agent',
  sub_type: 'application',
  zone_id: ZONE,
  client_id: 'payments.agent',
  use: 'resource',
  sid: '0193a5f0-0000-8000-8000-000000000002',
  root_sid: '0193a5f0-0000-8000-8000-000000000002',
  scope: 'payments:read payments:write',
  target: [RESOURCE],
  pol: 'sha256:00',
  epoch: 1_800_000_000,
};

export const USER_CLAIMS: MandateClaims = {
  ...CLAIMS,
  sub: 'corp:alice',
  sub_type: 'user',
  sub_iss: 'corp',
  sub_id: 'alice',
  act: { sub: 'payments.agent' },
};

export const CONFIG: MandateVerifierConfig = {
  issuer: ISSUER,
  zoneID: ZONE,
  audience: RESOURCE,
  use: 'resource',
  keys: () => [zoneKey],
};

export const GOOD = mintMandate(CLAIMS, signingKey);
export const HEADER = { alg: 'ES256', kid: zoneKey.kid, typ: 'at+jwt' };

export const encode = (bytes: string | Uint8Array) => Buffer.from(bytes).toString('base64url');

/** Signed with the zone's key over exactly these texts. */
export function signTexts(
  header: string | Uint8Array,
  payload: string | Uint8Array,
  key = signingKey.privateKey,
): string {
  const signingInput = `${encode(header)}.${encode(payload)}`;
  return `${signingInput}.${encode(signES256(signingInput, key))}`;
}

export function signES256(signingInput: string, key: KeyObject): Uint8Array {
  return sign('sha256', Buffer.from(signingInput), { key, dsaEncoding: 'ieee-p1363' });
}

export function signObjects(header: object, payload: object): string {
  return signTexts(JSON.stringify(header), JSON.stringify(payload));
}

/** The problem that the verifier names, or `accepted`. */
export function problemOf(token: string, config: Partial<MandateVerifierConfig> = {}, nowMs = NOW): string {
  const verdict = createMandateVerifier({ ...CONFIG, ...config }).verify(token, nowMs);
  return verdict.ok ? 'accepted' : verdict.problem;
}

export interface ForeignSigner {
  readonly jwk: PublicJWK;
  readonly privateKey: KeyObject;
}

export function makeSigner(
  kind: 'rsa' | 'weakRSA' | 'ec' | 'ed25519',
  members: Partial<PublicJWK> = {},
): ForeignSigner {
  const pair =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : kind === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 });
  const jwk = pair.publicKey.export({ format: 'jwk' }) as unknown as PublicJWK;
  return { jwk: { ...jwk, ...members }, privateKey: pair.privateKey };
}

export const zonePrivateKey = createPrivateKey({
  key: { kty: 'EC', crv: 'P-256', x: zoneKey.x, y: zoneKey.y, d: zoneKey.d },
  format: 'jwk',
});
