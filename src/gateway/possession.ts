/** Whether who sends a mandate holds the key that it is bound to (RFC 9449 §7.1), and that it may be sent without one. */
import type { MandateClaims } from '../authority/claims.ts';
import type { CanonicalRequest } from '../http/canonical.ts';
import { DPOP_ALG, type DPoPVerifier } from '../tokens/dpop.ts';
import type { FailureBudget } from './failureBudget.ts';
import { refuse, type Refusal, type RefusalCode } from './refusal.ts';
import type { ServedResource } from './zoneState.ts';

/** What a client sent to be known by. */
export interface Presented {
  readonly authorization: string | undefined;
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
  /** Remote address. */
  readonly source: string;
}

export interface PossessionPorts {
  readonly dpop: DPoPVerifier;
  readonly failures: FailureBudget;
  readonly proto: 'http' | 'https';
  /** Where clients reach this gateway; empty: by the scheme of its listener and the Host that they send. */
  readonly publicOrigins: readonly string[];
}

/** To whom sent none. */
export function askForMandate({ resource }: ServedResource, ports: PossessionPorts): Refusal {
  if (resource.proof_of_possession === 'Required')
    return deny('missing_token', 'send a mandate as Authorization: DPoP, with a proof', ports);
  return refuse('missing_token', 'send a mandate as Authorization: Bearer');
}

/** False for the ordinary mandate: a bearer's, for a Resource that asks for no more. */
export function isBound(authorization: string, claims: MandateClaims, { resource }: ServedResource): boolean {
  return claims.cnf !== undefined || resource.proof_of_possession === 'Required' || isDPoP(authorization);
}

/** RFC 9110 §11.1: schemes are the same in either case. */
export function isDPoP(authorization: string): boolean {
  return authorization.charCodeAt(0) === 0x44 || authorization.charCodeAt(0) === 0x64;
}

/** Undefined where the key is proved. */
export function checkPossession(
  request: CanonicalRequest,
  token: string,
  claims: MandateClaims,
  presented: Presented,
  ports: PossessionPorts,
): Refusal | undefined {
  const { cnf } = claims;
  if (!cnf) return deny('invalid_token', 'the mandate is bound to no key: get one with a DPoP proof', ports);
  if (!isDPoP(presented.authorization!))
    return deny('invalid_token', 'the mandate is bound to a key: send it as Authorization: DPoP, with a proof', ports);
  const proof = onlyProof(presented.rawHeaders);
  if (proof === undefined) return deny('invalid_dpop_proof', 'send exactly one DPoP header with the mandate', ports);
  if (ports.failures.isExhausted(presented.source))
    return refuse('rate_limited', 'too many invalid proofs from this address', { retryAfter: 1 });
  const urls = originsOf(request, ports).map((origin) => `${origin}${request.path}`);
  const verdict = ports.dpop.verify(proof, { method: request.method, urls, accessToken: token, jkt: cnf.jkt });
  if (verdict.ok) return undefined;
  switch (verdict.problem) {
    case 'nonce':
      return deny('use_dpop_nonce', verdict.message, ports);
    case 'full':
      return refuse('rate_limited', verdict.message, { retryAfter: 1 });
    case 'signature':
      ports.failures.add(presented.source);
      return deny('invalid_dpop_proof', verdict.message, ports);
    default:
      return deny('invalid_dpop_proof', verdict.message, ports);
  }
}

function originsOf({ host }: CanonicalRequest, { proto, publicOrigins }: PossessionPorts): readonly string[] {
  return publicOrigins.length > 0 ? publicOrigins : [`${proto}://${host.toLowerCase()}`];
}

function onlyProof(rawHeaders: readonly string[]): string | undefined {
  let proof: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]!.length !== 4 || rawHeaders[index]!.toLowerCase() !== 'dpop') continue;
    if (proof !== undefined) return undefined;
    proof = rawHeaders[index + 1]!;
  }
  return proof;
}

/** With the nonce that the next proof needs (RFC 9449 §9). */
function deny(code: RefusalCode, message: string, { dpop }: PossessionPorts): Refusal {
  return refuse(code, message, { dpop: { algs: DPOP_ALG, nonce: dpop.nonce() } });
}
