/** Whether a token is a mandate for this verifier: cheap checks first, the signature last. */
import { verify as verifySignature, type KeyObject } from 'node:crypto';
import { MANDATE_TYP, type MandateClaims, type MandateUse } from '../authority/claims.ts';
import { checkTimes } from './instants.ts';
import { parseMandateClaims } from './mandateShape.ts';
import { parseCompactJWT } from './parse.ts';
import { createZoneKeys, type ZonePublicKey } from './zoneKeys.ts';

export type MandateProblem =
  | 'malformed'
  | 'header'
  | 'unknown_key'
  | 'signature'
  | 'claims'
  | 'issuer'
  | 'audience'
  | 'zone'
  | 'use'
  | 'expired'
  | 'not_yet';

/** Messages never quote the token. */
export type MandateVerdict =
  | { readonly ok: true; readonly claims: MandateClaims }
  | { readonly ok: false; readonly problem: MandateProblem; readonly message: string };

export interface MandateVerifierConfig {
  /** Byte for byte. */
  readonly issuer: string;
  readonly zoneID: string;
  /** The one audience: a resource identifier, or the issuer for sessions. */
  readonly audience: string;
  readonly use: MandateUse;
  /** The zone's keys as they are now. */
  readonly keys: () => readonly ZonePublicKey[];
}

export interface MandateVerifier {
  /** Total and synchronous; `nowMs` is Unix milliseconds. */
  verify(token: string, nowMs: number): MandateVerdict;
}

export const MAX_TOKEN_BYTES = 8192;
const SIGNATURE_BYTES = 64;

type Refusal = Extract<MandateVerdict, { ok: false }>;

/** Throws TypeError without issuer, zone or audience: a check is never skipped because it was not configured. */
export function createMandateVerifier(config: MandateVerifierConfig): MandateVerifier {
  for (const name of ['issuer', 'zoneID', 'audience', 'use'] as const) {
    if (!config[name]) throw new TypeError(`a mandate verifier needs ${name}; set it`);
  }
  const findKey = createZoneKeys(config.keys);
  return {
    verify(token, nowMs) {
      const parsed = parseCompactJWT(token, { maxBytes: MAX_TOKEN_BYTES });
      if (!parsed.ok) return refuse('malformed', parsed.problem);
      const refusal = checkHeader(parsed.header, config);
      if (refusal) return refusal;
      const key = findKey(parsed.header['kid'] as string);
      if (!key) return refuse('unknown_key', `no key of zone ${config.zoneID} has its kid`);
      const shaped = parseMandateClaims(parsed.payload);
      if (!shaped.ok) return refuse('claims', shaped.message);
      const { claims } = shaped;
      return (
        checkClaims(claims, config) ??
        checkNow(claims, nowMs) ??
        checkSignature(parsed.signingInput, parsed.signature, key) ?? { ok: true, claims }
      );
    },
  };
}

/** What a mandate is for replay, revocation and caching: never the string, which has twins. */
export function mandateIdentity({ iss, zone_id, jti }: Pick<MandateClaims, 'iss' | 'zone_id' | 'jti'>): string {
  return JSON.stringify([iss, zone_id, jti]);
}

/** Exactly `alg`, `kid` and `typ`: with that `crit`, `jwk`, `jku`, `x5u`, `b64`, `zip` and all others are refused. */
function checkHeader(header: Readonly<Record<string, unknown>>, { use }: MandateVerifierConfig): Refusal | undefined {
  const { alg, kid, typ } = header;
  if (Object.keys(header).length !== 3 || typeof kid !== 'string' || typeof typ !== 'string') {
    return refuse('header', 'the header must be exactly alg, kid and typ');
  }
  if (alg !== 'ES256') return refuse('header', 'alg must be ES256');
  return typ === MANDATE_TYP[use] ? undefined : refuse('use', `typ must be ${MANDATE_TYP[use]}`);
}

function checkClaims(claims: MandateClaims, config: MandateVerifierConfig): Refusal | undefined {
  if (claims.iss !== config.issuer) return refuse('issuer', `iss must be ${config.issuer}`);
  if (claims.zone_id !== config.zoneID) return refuse('zone', `zone_id must be ${config.zoneID}`);
  if (claims.use !== config.use) return refuse('use', `use must be ${config.use}`);
  if (claims.aud.length === 1 && claims.aud[0] === config.audience) return undefined;
  return refuse('audience', `aud must be exactly ${config.audience}`);
}

function checkNow({ exp, iat }: MandateClaims, nowMs: number): Refusal | undefined {
  const problem = checkTimes(exp, [iat], nowMs);
  if (problem === undefined) return undefined;
  return refuse(problem, problem === 'expired' ? 'it has expired' : 'iat is in the future; compare the clocks');
}

function checkSignature(signingInput: string, signature: Uint8Array, key: KeyObject): Refusal | undefined {
  if (signature.length !== SIGNATURE_BYTES) return refuse('signature', 'an ES256 signature has 64 bytes');
  return isSigned(signingInput, signature, key) ? undefined : refuse('signature', 'the signature is wrong');
}

function isSigned(signingInput: string, signature: Uint8Array, key: KeyObject): boolean {
  try {
    const bytes = Buffer.from(signingInput, 'latin1');
    return verifySignature('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature) === true;
  } catch {
    return false;
  }
}

function refuse(problem: MandateProblem, message: string): Refusal {
  return { ok: false, problem, message };
}
