/** Authenticates the callers inside: gateways of a zone, and the controller, by their projected tokens. */
import { parseCompactJWT } from '../../tokens/parse.ts';
import { OAuthError, toUnavailable } from '../errors.ts';
import type { Workload, WorkloadDirectory } from '../ports.ts';
import { verifyServiceAccountToken } from './serviceAccount.ts';

export interface Gateway {
  readonly workload: Workload;
  /** Unix seconds: when its token ends, and its stream with it. */
  readonly expiresAt: number;
}

export interface BearerPorts {
  readonly issuer: string;
  readonly workloads: WorkloadDirectory;
}

/** Throws OAuthError. */
export function authenticateGateway(
  authorization: string | undefined,
  zoneID: string,
  now: number,
  { issuer, workloads }: BearerPorts,
): Gateway {
  return authenticate(authorization, `${issuer}/zones/${zoneID}/gateways`, now, workloads);
}

/** The zone that a gateway's token says it is for, where the request names none: authentication then checks exactly that. */
export function zoneOfAudience(authorization: string | undefined): string {
  const parsed = parseCompactJWT(authorization?.replace(/^Bearer /i, '') ?? '', { maxBytes: 16 * 1024 });
  const audience: unknown = parsed.ok ? [parsed.payload['aud']].flat()[0] : undefined;
  return /\/zones\/([^/]+)\/gateways$/.exec(typeof audience === 'string' ? audience : '')?.[1] ?? '';
}

export interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

/** Only the one ServiceAccount that the configuration names for this part of Caracal. Throws OAuthError. */
export function authenticatePart(
  authorization: string | undefined,
  part: ServiceAccountName | undefined,
  now: number,
  { issuer, workloads }: BearerPorts,
): void {
  const { workload } = authenticate(authorization, issuer, now, workloads);
  if (part && workload.namespace === part.namespace && workload.serviceAccount === part.name) return;
  throw refuse(`ServiceAccount ${workload.namespace}/${workload.serviceAccount} is not the one that may ask here`);
}

function authenticate(
  authorization: string | undefined,
  audience: string,
  now: number,
  workloads: WorkloadDirectory,
): Gateway {
  const token = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) throw refuse('no bearer token');
  const verdict = verifyServiceAccountToken(token, audience, workloads, now);
  if (verdict.ok) return { workload: verdict.workload, expiresAt: verdict.expiresAt };
  if (verdict.problem === 'unknown') throw toUnavailable(verdict.message);
  throw refuse(`ServiceAccount token: ${verdict.message}`);
}

function refuse(evidence: string): OAuthError {
  const headers = { 'WWW-Authenticate': 'Bearer' };
  return new OAuthError(
    'invalid_token',
    'a projected ServiceAccount token with exactly the audience of this endpoint is needed',
    { headers, evidence },
  );
}
