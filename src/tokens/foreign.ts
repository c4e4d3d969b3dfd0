/** Tokens of other issuers (ServiceAccount, OIDC, private_key_jwt): same byte rules, algorithm pinned by the key. */
import { constants, verify as verifySignature, type KeyObject } from 'node:crypto';
import type { PublicJWK } from '../authority/snapshot.ts';
import { chooseKey, isForeignAlgorithm, type ForeignAlgorithm } from './foreignKeys.ts';
import { CLOCK_SKEW, checkTimes } from './instants.ts';
import { isSignedOrSeen, readToken } from './seenTokens.ts';

/** `unknown_key`: fetch the issuer's keys once more, then try again. */
export type ForeignProblem =
  | 'malformed'
  | 'header'
  | 'algorithm'
  | 'unknown_key'
  | 'ambiguous_key'
  | 'weak_key'
  | 'signature'
  | 'claims'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not_yet'
  | 'too_old';

/** Messages never quote the token. */
export type ForeignVerdict =
  | {
      readonly ok: true;
      readonly header: Readonly<Record<string, unknown>>;
      readonly claims: Readonly<Record<string, unknown>>;
      readonly key: PublicJWK;
    }
  | { readonly ok: false; readonly problem: ForeignProblem; readonly message: string };

export interface ForeignExpectations {
  readonly keys: readonly PublicJWK[];
  /** Byte for byte. */
  readonly issuer: string;
  /** `aud` must hold one of them. */
  readonly audiences: readonly string[];
  /** `aud` must be nothing but that one. */
  readonly exactAudience?: boolean;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Makes `iat` required. */
  readonly maxAgeSeconds?: number;
  readonly maxBytes?: number;
}

type Refusal = Extract<ForeignVerdict, { ok: false }>;

const DEFAULT_MAX_BYTES = 16_384;
/** They change what is signed, or bring their own key: none is ever needed (RFC 7515 §4.1, RFC 7797). */
const REFUSED_MEMBERS = ['crit', 'b64', 'zip', 'jwk', 'jku', 'x5u', 'x5c', 'enc'] as const;
/** Tokens that are for something else altogether (RFC 8725 §3.11). */
const REFUSED_TYPES = /^(?:application\/)?(?:caracal-.*|logout\+jwt|secevent\+jwt|dpop\+jwt)$/i;
/** Latest instant that still is a date. */
const MAX_NUMERIC_DATE = 8.64e12;

/** Total and synchronous. Unknown claims stay in `claims` and mean nothing; `sub` and the rest is for the caller. */
export function verifyForeignToken(token: string, expected: ForeignExpectations): ForeignVerdict {
  const parsed = readToken(token, { maxBytes: expected.maxBytes ?? DEFAULT_MAX_BYTES });
  if (!parsed.ok) return refuse('malformed', parsed.problem);
  const { header, payload } = parsed;
  const refusal = checkHeader(header) ?? checkClaims(payload, expected) ?? checkNow(payload, expected);
  if (refusal) return refusal;
  const { alg, kid } = header;
  if (!isForeignAlgorithm(alg)) return refuse('algorithm', 'alg must be RS256, PS256, ES256, EdDSA or Ed25519');
  const chosen = chooseKey(expected.keys, alg, kid as string | undefined);
  if (!chosen.ok) return chosen;
  const check = () => isSigned(alg, parsed.signingInput, chosen.publicKey, parsed.signature);
  if (!isSignedOrSeen(parsed, chosen.publicKey, check)) {
    return refuse('signature', 'the signature is wrong');
  }
  return { ok: true, header, claims: payload, key: chosen.jwk };
}

function checkHeader(header: Readonly<Record<string, unknown>>): Refusal | undefined {
  for (const name of REFUSED_MEMBERS) {
    if (Object.hasOwn(header, name)) return refuse('header', `the header must not have ${name}`);
  }
  const { kid, typ } = header;
  if (kid !== undefined && typeof kid !== 'string') return refuse('header', 'kid must be a text');
  if (typ !== undefined && typeof typ !== 'string') return refuse('header', 'typ must be a text');
  if (typ !== undefined && REFUSED_TYPES.test(typ))
    return refuse('header', 'its typ says that it is for another purpose');
  return undefined;
}

function checkClaims(claims: Readonly<Record<string, unknown>>, expected: ForeignExpectations): Refusal | undefined {
  const { issuer, audiences, exactAudience = false } = expected;
  if (issuer === '' || claims['iss'] !== issuer) return refuse('issuer', `iss must be ${issuer}`);
  const aud = toAudiences(claims['aud']);
  if (!aud) return refuse('audience', 'aud must be a text or an array of texts');
  const isMeant = aud.some((one) => one !== '' && audiences.includes(one));
  if (isMeant && (!exactAudience || aud.length === 1)) return undefined;
  const wanted = audiences.length === 0 ? 'one that is configured, and none is' : audiences.join(' or ');
  return refuse('audience', `aud must be ${exactAudience ? 'exactly ' : ''}${wanted}`);
}

function toAudiences(aud: unknown): readonly string[] | undefined {
  const list: unknown = typeof aud === 'string' ? [aud] : aud;
  return Array.isArray(list) && list.every((one) => typeof one === 'string') ? list : undefined;
}

function checkNow(claims: Readonly<Record<string, unknown>>, expected: ForeignExpectations): Refusal | undefined {
  const { exp, nbf, iat } = claims;
  const { nowMs, maxAgeSeconds } = expected;
  if (!isDate(exp)) return refuse('claims', 'exp is required and must be a date in Unix seconds');
  if (nbf !== undefined && !isDate(nbf)) return refuse('claims', 'nbf must be a date in Unix seconds');
  if (iat !== undefined && !isDate(iat)) return refuse('claims', 'iat must be a date in Unix seconds');
  const problem = checkTimes(exp, [nbf, iat], nowMs);
  if (problem === 'expired') return refuse('expired', 'it has expired');
  if (problem) return refuse(problem, 'nbf or iat is in the future; compare the clocks');
  if (maxAgeSeconds === undefined) return undefined;
  if (iat === undefined) return refuse('claims', 'iat is required');
  const isFresh = nowMs / 1000 < iat + maxAgeSeconds + CLOCK_SKEW;
  return isFresh ? undefined : refuse('too_old', `iat must be at most ${maxAgeSeconds} s ago; get a new token`);
}

function isDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_NUMERIC_DATE;
}

function isSigned(alg: ForeignAlgorithm, signingInput: string, key: KeyObject, signature: Uint8Array): boolean {
  const bytes = Buffer.from(signingInput, 'latin1');
  try {
    switch (alg) {
      case 'RS256':
        return verifySignature('sha256', bytes, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
      case 'PS256': {
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
        return verifySignature('sha256', bytes, { key, padding, saltLength }, signature);
      }
      case 'ES256':
        return (
          signature.length === 64 && verifySignature('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
        );
      case 'EdDSA':
      case 'Ed25519':
        return verifySignature(null, bytes, key, signature);
    }
  } catch {
    return false;
  }
}

function refuse(problem: ForeignProblem, message: string): Refusal {
  return { ok: false, problem, message };
}
