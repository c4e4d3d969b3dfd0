/** One DPoP proof (RFC 9449 §4.2, §4.3): its strict form, and whether it speaks of this request. */
import { createPublicKey, hash, verify as verifySignature, type KeyObject } from 'node:crypto';
import { CLOCK_SKEW } from './instants.ts';
import { createLRU } from './lru.ts';
import { parseCompactJWT } from './parse.ts';
import { thumbprint } from './thumbprint.ts';

/** The request that a proof came with. */
export interface DPoPExpectation {
  /** `htm`, in the case in which it was sent. */
  readonly method: string;
  /** What `htu` may be, byte for byte: the public URLs of this request, without query and fragment. */
  readonly urls: readonly string[];
  /** The access token that it must be bound to by `ath`; undefined at a token endpoint. */
  readonly accessToken?: string;
  /** The thumbprint (RFC 7638) of the only key that may sign it; undefined where a token is to be bound to whatever key it is. */
  readonly jkt?: string;
}

export type DPoPProblem =
  /** No proof in the form of RFC 9449 §4.2, or more than is asked for. */
  | 'malformed'
  /** Of another key than the token is bound to. */
  | 'key'
  /** For another method or URL. */
  | 'request'
  /** For another access token. */
  | 'token'
  /** Older than a minute, or from the future. */
  | 'time'
  /** Without a nonce of this instance that is still good: send a new proof with one (RFC 9449 §8). */
  | 'nonce'
  | 'signature'
  | 'replayed'
  /** More proofs came in their window than this instance remembers: which are new cannot be told. */
  | 'full';

export interface DPoPProof {
  readonly jkt: string;
  readonly jti: string;
}

export type DPoPRefusal = { readonly ok: false; readonly problem: DPoPProblem; readonly message: string };
export type CheckedProof = { readonly ok: true; readonly proof: DPoPProof } | DPoPRefusal;

export const DPOP_ALG = 'ES256';
/** How old a proof may be, in seconds, beside the skew of clocks. */
export const MAX_PROOF_AGE = 60;

const MAX_BYTES = 4096;
const SIGNATURE_BYTES = 64;
const TYP = 'dpop+jwt';
const JTI = /^[\x21-\x7e]{1,128}$/;
const COORDINATE = /^[A-Za-z0-9_-]{43}$/;
/** Of a key with `x` and `y` only: with anything more, and with it all private members, it is refused. */
const JWK_MEMBERS = 4;

/** By thumbprint: importing a key costs about as much as a signature. */
const imported = createLRU<KeyObject>(1024);

/** Total, and the signature last. `isNonce`: of this instance, and still good. `nowMs` in Unix milliseconds. */
export function checkProof(
  text: string,
  expected: DPoPExpectation,
  isNonce: (nonce: string) => boolean,
  nowMs: number,
): CheckedProof {
  const parsed = parseCompactJWT(text, { maxBytes: MAX_BYTES });
  if (!parsed.ok) return refuse('malformed', `the proof is no JWT: ${parsed.problem}`);
  const jwk = readHeader(parsed.header);
  if (typeof jwk === 'string') return refuse('malformed', jwk);
  const jkt = thumbprint(jwk);
  if (expected.jkt !== undefined && jkt !== expected.jkt)
    return refuse('key', 'the proof is of another key than the token is bound to');
  const refusal = checkClaims(parsed.payload, expected, isNonce, nowMs);
  if (refusal) return refusal;
  if (!isSigned(parsed.signingInput, parsed.signature, jkt, jwk))
    return refuse('signature', 'the signature of the proof is wrong');
  return { ok: true, proof: { jkt, jti: parsed.payload['jti'] as string } };
}

interface ProofKey {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
}

/** The public key, or what is wrong: exactly `typ`, `alg` and `jwk`, so that no `crit`, `jku`, `kid` or `x5c` is read. */
function readHeader(header: Readonly<Record<string, unknown>>): ProofKey | string {
  const { typ, alg, jwk } = header;
  if (Object.keys(header).length !== 3 || typ !== TYP) return `the header must be typ ${TYP}, alg and jwk`;
  if (alg !== DPOP_ALG) return `alg must be ${DPOP_ALG}`;
  return isProofKey(jwk) ? jwk : 'jwk must be a public P-256 key: kty, crv, x and y, and nothing else';
}

function isProofKey(value: unknown): value is ProofKey {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== JWK_MEMBERS) return false;
  const { kty, crv, x, y } = value as Readonly<Record<string, unknown>>;
  return kty === 'EC' && crv === 'P-256' && isCoordinate(x) && isCoordinate(y);
}

/** One form for each key, or its thumbprint would have twins. */
function isCoordinate(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    COORDINATE.test(value) &&
    Buffer.from(value, 'base64url').toString('base64url') === value
  );
}

/** Claims that RFC 9449 does not know say nothing to us; those that it does are checked one and all. */
function checkClaims(
  claims: Readonly<Record<string, unknown>>,
  { method, urls, accessToken }: DPoPExpectation,
  isNonce: (nonce: string) => boolean,
  nowMs: number,
): DPoPRefusal | undefined {
  const { jti, htm, htu, iat, ath, nonce } = claims;
  if (typeof jti !== 'string' || !JTI.test(jti)) return refuse('malformed', 'jti must be 1 to 128 visible characters');
  if (!Number.isSafeInteger(iat)) return refuse('malformed', 'iat must be an integer');
  if (htm !== method) return refuse('request', 'htm must be the method of the request');
  if (typeof htu !== 'string' || !urls.includes(htu))
    return refuse('request', 'htu must be the URL of the request, without query and fragment');
  if (accessToken !== undefined && ath !== hash('sha256', accessToken, 'base64url'))
    return refuse('token', 'ath must be the SHA-256 of the access token in base64url');
  const age = nowMs / 1000 - (iat as number);
  if (!(age <= MAX_PROOF_AGE + CLOCK_SKEW && age >= -CLOCK_SKEW))
    return refuse('time', `iat must be at most ${MAX_PROOF_AGE} s ago; compare the clocks`);
  return typeof nonce === 'string' && isNonce(nonce)
    ? undefined
    : refuse('nonce', 'the proof needs the nonce of the DPoP-Nonce header');
}

function isSigned(signingInput: string, signature: Uint8Array, jkt: string, jwk: ProofKey): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  try {
    const key = imported.get(jkt) ?? createPublicKey({ key: { ...jwk }, format: 'jwk' });
    imported.set(jkt, key);
    const bytes = Buffer.from(signingInput, 'latin1');
    return verifySignature('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature) === true;
  } catch {
    return false;
  }
}

function refuse(problem: DPoPProblem, message: string): DPoPRefusal {
  return { ok: false, problem, message };
}
