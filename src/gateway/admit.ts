/** Whether a request passes: mandate → freshness → verify → possession → authority → operation → scopes → spend. The first that fails is the answer. */
import type { MandateClaims } from '../authority/claims.ts';
import type { CanonicalRequest } from '../http/canonical.ts';
import type { MandateProblem } from '../tokens/verify.ts';
import type { GatewayMetrics } from './metrics.ts';
import { askForMandate, checkPossession, isBound, type PossessionPorts, type Presented } from './possession.ts';
import { refuse, type Refusal } from './refusal.ts';
import { isSingleUse, spend } from './singleUse.ts';
import type { GatewayZone } from './zone.ts';
import type { ServedResource, Standing } from './zoneState.ts';

export interface Admission {
  readonly type: 'admission';
  readonly claims: MandateClaims;
  readonly token: string;
  readonly served: ServedResource;
  readonly zone: GatewayZone;
}

export interface AdmitPorts extends PossessionPorts {
  readonly metrics: GatewayMetrics;
  now(): number;
}

/** A value in the common case: a promise only where the STS has to be asked. */
export function admit(
  request: CanonicalRequest,
  presented: Presented,
  target: { readonly zone: GatewayZone; readonly served: ServedResource },
  ports: AdmitPorts,
): Admission | Refusal | Promise<Admission | Refusal> {
  const { zone, served } = target;
  const { authorization, source } = presented;
  if (authorization === undefined) return askForMandate(served, ports);
  const token = readMandate(authorization);
  if (typeof token !== 'string') return token;
  if (!zone.isFresh()) return STALE;
  const verified = verify(token, served, source, ports);
  if ('type' in verified) return verified;
  if (isBound(authorization, verified, served)) {
    const refusal = checkPossession(request, token, verified, presented, ports);
    if (refusal) return refusal;
  }
  const standing = zone.standing(verified, token);
  const decide = (known: Standing): Admission | Refusal | Promise<Admission | Refusal> => {
    const refusal = checkStanding(known, zone) ?? checkOperation(request, verified, served);
    if (refusal) return refusal;
    const admission: Admission = { type: 'admission', claims: verified, token, served, zone };
    return isSingleUse(verified, served) ? spend(admission, ports.now()) : admission;
  };
  return typeof standing === 'string' ? decide(standing) : standing.then(decide);
}

const STALE = refuse('sts_unavailable', 'the gateway cannot prove that what it knows is fresh', { retryAfter: 1 });

/** RFC 6750 §2.1, RFC 9449 §7.1, exactly: one scheme, one space, one token. */
function readMandate(authorization: string): string | Refusal {
  const [, token] = /^(?:Bearer|DPoP) ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization) ?? [];
  return token ?? refuse('invalid_token', 'Authorization must be Bearer or DPoP, one space and the mandate');
}

function verify(token: string, served: ServedResource, source: string, ports: AdmitPorts): MandateClaims | Refusal {
  const now = ports.now();
  const known = served.verified.get(token, now);
  if (known) {
    ports.metrics.count('caracal_gateway_verified_hits_total');
    return known;
  }
  if (ports.failures.isExhausted(source))
    return refuse('rate_limited', 'too many invalid mandates from this address', { retryAfter: 1 });
  const verdict = served.verifier.verify(token, now);
  if (verdict.ok) {
    served.verified.set(token, verdict.claims, now);
    return verdict.claims;
  }
  if (verdict.problem === 'signature') ports.failures.add(source);
  return toRefusal(verdict.problem, verdict.message);
}

function toRefusal(problem: MandateProblem, evidence: string): Refusal {
  switch (problem) {
    case 'zone':
      return refuse('invalid_zone', 'the mandate is of another zone', { evidence });
    case 'expired':
      return refuse('invalid_token', 'the mandate has expired', { evidence });
    case 'audience':
      return refuse('invalid_token', 'the mandate is for another Resource', { evidence });
    case 'use':
      return refuse('invalid_token', 'this is no mandate for a Resource', { evidence });
    default:
      return refuse('invalid_token', 'the mandate is not valid', { evidence });
  }
}

/** Freshness once more: the question took its time, or the process slept. */
function checkStanding(standing: Standing, zone: GatewayZone): Refusal | undefined {
  if (!zone.isFresh()) return STALE;
  if (zone.isFrozen()) return refuse('invalid_token', 'the zone is frozen');
  if (standing === 'in_force') return undefined;
  if (standing === 'ended')
    return refuse('invalid_token', 'the mandate is no longer in force: its authority was taken away');
  return refuse('sts_unavailable', 'whether the mandate is still in force could not be told in time', {
    retryAfter: 1,
  });
}

const scopesOf = new WeakMap<MandateClaims, ReadonlySet<string>>();

function granted(claims: MandateClaims): ReadonlySet<string> {
  const known = scopesOf.get(claims);
  if (known) return known;
  const scopes = new Set(claims.scope?.split(' '));
  scopesOf.set(claims, scopes);
  return scopes;
}

function checkOperation(
  request: CanonicalRequest,
  claims: MandateClaims,
  { resource, operations, scopes }: ServedResource,
): Refusal | undefined {
  const held = granted(claims);
  const needed = operations.find(request.method, request.segments);
  if (needed) {
    const missing = needed.find((scope) => !held.has(scope));
    return missing === undefined
      ? undefined
      : refuse('insufficient_scope', `the operation needs the scope ${missing}`, { scope: missing });
  }
  if (resource.operation_enforcement === 'Declared')
    return refuse('operation_not_permitted', 'the Resource declares no such operation');
  for (const scope of held) if (scopes.has(scope)) return undefined;
  return refuse('insufficient_scope', 'the mandate carries no scope of the Resource');
}
