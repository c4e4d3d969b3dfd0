/** Mandates, signed: the only place where one comes into being. */
import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { MANDATE_TYP, type MandateClaims, type MandateUse } from '../authority/claims.ts';
import type { PrivateZoneKey } from './keys.ts';
import { MAX_MANDATE_BYTES, parseMandateClaims } from './mandateShape.ts';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

export class UnmintableMandate extends Error {
  override readonly name = 'UnmintableMandate';
}

/** Import once and keep: an import costs about as much as a signature. */
export function importSigningKey({ kid, x, y, d }: PrivateZoneKey): SigningKey {
  return { kid, privateKey: createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' }) };
}

/** Throws UnmintableMandate for claims that verifiers would refuse, or where it is longer than 4096 bytes. */
export function mintMandate(claims: MandateClaims, key: SigningKey): string {
  const payload = JSON.stringify(claims);
  const shaped = parseMandateClaims(JSON.parse(payload) as Record<string, unknown>);
  if (!shaped.ok) throw new UnmintableMandate(shaped.message);
  const signingInput = `${headerOf(key, claims.use)}.${encode(payload)}`;
  const signature = sign('sha256', Buffer.from(signingInput, 'latin1'), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  const token = `${signingInput}.${signature.toString('base64url')}`;
  if (token.length <= MAX_MANDATE_BYTES) return token;
  throw new UnmintableMandate(`it would be longer than ${MAX_MANDATE_BYTES} bytes; ask for fewer resources or scopes`);
}

const headers = new WeakMap<SigningKey, Map<MandateUse, string>>();

/** Encoded; the same for every mandate of one use that a key signs. */
function headerOf(key: SigningKey, use: MandateUse): string {
  let made = headers.get(key);
  if (!made) headers.set(key, (made = new Map()));
  let header = made.get(use);
  if (header === undefined) {
    header = encode(JSON.stringify({ alg: 'ES256', kid: key.kid, typ: MANDATE_TYP[use] }));
    made.set(use, header);
  }
  return header;
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}
