/** Authenticates the application that asks: by ServiceAccount token, private key, OIDC workload token or client secret. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../../authority/decision.ts';
import type { CredentialType, PolicyWorkload } from '../../authority/policyInput.ts';
import type { ApplicationEntry, ApplicationIdentity, PublicJWK, ZoneSnapshot } from '../../authority/snapshot.ts';
import { verifyForeignToken } from '../../tokens/foreign.ts';
import { parseCompactJWT } from '../../tokens/parse.ts';
import { readToken } from '../../tokens/seenTokens.ts';
import { thumbprint } from '../../tokens/thumbprint.ts';
import { OAuthError, toUnavailable } from '../errors.ts';
import { findByOIDC, findByServiceAccount, trustsIssuer } from './directory.ts';
import type { Authenticated, AuthenticationPorts } from './ports.ts';
import { verifyServiceAccountToken } from './serviceAccount.ts';

/** How the client presented itself; the form or the header, exactly one way. */
export type ClientCredentials =
  | { readonly type: 'assertion'; readonly assertion: string; readonly clientID: string | undefined }
  | { readonly type: 'secret'; readonly secret: string; readonly clientID: string; readonly via: 'form' | 'basic' };

const MAX_ASSERTION_BYTES = 16 * 1024;
/** 256 random bits in base64url. */
const MIN_SECRET = 43;
const UNKNOWN_ZONE = 'no accepted Zone has the id in zone_id';
/** A private_key_jwt may not outlive this, since its jti is remembered until it expires. */
const MAX_KEY_ASSERTION_SECONDS = 600;

/** `zone` undefined: no such zone, which fails like a wrong credential does. Throws OAuthError. */
export async function authenticateClient(
  credentials: ClientCredentials,
  zone: ZoneSnapshot | undefined,
  zoneID: string,
  now: number,
  ports: AuthenticationPorts,
): Promise<Authenticated> {
  if (credentials.type === 'secret') return authenticateSecret(credentials, zone);
  const authenticated = await authenticateAssertion(credentials.assertion, zone, zoneID, now, ports);
  if (credentials.clientID === undefined || credentials.clientID === authenticated.application.id) return authenticated;
  throw refuse('client_id is not the application that the assertion belongs to');
}

function authenticateSecret(
  { secret, clientID, via }: Extract<ClientCredentials, { type: 'secret' }>,
  zone: ZoneSnapshot | undefined,
): Authenticated {
  const digest = createHash('sha256').update(secret).digest();
  const application = zone?.applications.get(clientID);
  const known = secretsOf(application);
  const matched = known.filter((candidate) => timingSafeEqual(Buffer.from(candidate, 'hex'), digest));
  if (!zone) throw refuseSecret(via, UNKNOWN_ZONE);
  if (!application) throw refuseSecret(via, 'no Application of the zone has this id');
  if (matched.length === 0 || secret.length < MIN_SECRET)
    throw refuseSecret(via, `no client secret of application ${application.id}`);
  return toAuthenticated(application, 'clientSecret', digest.toString('hex'), null);
}

function secretsOf(application: ApplicationEntry | undefined): readonly string[] {
  const digests = application?.identities.flatMap((identity) =>
    identity.type === 'clientSecret' ? identity.sha256 : [],
  );
  return (digests ?? []).filter((text) => /^[0-9a-f]{64}$/.test(text));
}

function refuseSecret(via: 'form' | 'basic', evidence: string): OAuthError {
  if (via === 'form') return new OAuthError('access_denied', 'client authentication failed', { status: 401, evidence });
  const headers = { 'WWW-Authenticate': 'Basic realm="caracal", charset="UTF-8"' };
  return new OAuthError('invalid_client', 'client authentication failed', { headers, evidence });
}

async function authenticateAssertion(
  assertion: string,
  zone: ZoneSnapshot | undefined,
  zoneID: string,
  now: number,
  ports: AuthenticationPorts,
): Promise<Authenticated> {
  const parsed = readToken(assertion, { maxBytes: MAX_ASSERTION_BYTES });
  if (!parsed.ok) throw refuse(`client assertion: ${parsed.problem}`);
  const { iss, sub } = parsed.payload;
  if (typeof iss !== 'string' || typeof sub !== 'string') throw refuse('client assertion without iss or sub');
  if (iss === ports.workloads.issuer()) return authenticateWorkload(assertion, zone, zoneID, now, ports);
  if (!zone) throw refuse(UNKNOWN_ZONE);
  if (iss === sub && zone.applications.has(iss))
    return authenticateKey(assertion, zone.applications.get(iss)!, now, ports);
  if (trustsIssuer(zone, iss)) return authenticateOIDC(assertion, { iss, sub }, zone, now, ports);
  throw refuse('client assertion of an issuer that no Application of the zone trusts');
}

function authenticateWorkload(
  assertion: string,
  zone: ZoneSnapshot | undefined,
  zoneID: string,
  now: number,
  { issuer, workloads }: AuthenticationPorts,
): Authenticated {
  const verdict = verifyServiceAccountToken(assertion, `${issuer}/zones/${zoneID}`, workloads, now);
  if (!verdict.ok) {
    if (verdict.problem === 'audience' && isForAnotherZone(assertion, now, issuer, workloads)) {
      throw new OAuthError('zone_invalid', "the token's audience is that of another zone", {
        evidence: verdict.message,
      });
    }
    if (verdict.problem === 'unknown') throw toUnavailable(verdict.message);
    throw refuse(`ServiceAccount token: ${verdict.message}`);
  }
  const { namespace, serviceAccount, serviceAccountUID, pod, podUID } = verdict.workload;
  if (!zone) throw refuse(UNKNOWN_ZONE);
  const application = findByServiceAccount(zone, namespace, serviceAccount);
  if (!application) throw refuse(`no Application of the zone has ServiceAccount ${namespace}/${serviceAccount}`);
  const workload = { namespace, service_account: serviceAccount, service_account_uid: serviceAccountUID, pod };
  return toAuthenticated(application, 'serviceAccount', podUID, workload);
}

/** True for a good token whose one audience is another zone of ours: right credential, wrong zone. */
function isForAnotherZone(
  assertion: string,
  now: number,
  issuer: string,
  workloads: AuthenticationPorts['workloads'],
): boolean {
  const parsed = parseCompactJWT(assertion, { maxBytes: MAX_ASSERTION_BYTES });
  const aud = parsed.ok ? parsed.payload['aud'] : undefined;
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  if (typeof only !== 'string' || !only.startsWith(`${issuer}/zones/`) || only.endsWith('/gateways')) return false;
  return verifyServiceAccountToken(assertion, only, workloads, now).ok;
}

/** RFC 7523 §3 and OIDC Core §9: iss = sub = client id, aud exactly the issuer, jti single use. */
function authenticateKey(
  assertion: string,
  application: ApplicationEntry,
  now: number,
  { issuer }: AuthenticationPorts,
): Authenticated {
  const keys = application.identities.flatMap((identity) =>
    identity.type === 'privateKeyJWT' ? identity.jwks.keys : [],
  );
  if (keys.length === 0) throw refuse(`application ${application.id} has no private key identity`);
  const verdict = verifyForeignToken(assertion, {
    keys,
    issuer: application.id,
    audiences: [issuer],
    exactAudience: true,
    nowMs: now,
  });
  if (!verdict.ok) throw refuse(`private_key_jwt: ${verdict.message}`);
  const { jti, exp, sub } = verdict.claims;
  if (sub !== application.id) throw refuse('private_key_jwt: sub is not iss');
  if (typeof jti !== 'string' || jti === '' || jti.length > 256)
    throw refuse('private_key_jwt: jti is required, at most 256 characters');
  if (typeof exp !== 'number' || exp > now / 1000 + MAX_KEY_ASSERTION_SECONDS) {
    throw refuse(`private_key_jwt: exp is more than ${MAX_KEY_ASSERTION_SECONDS} s ahead`);
  }
  const instance = thumbprint(verdict.key);
  const consume = {
    class: 'private_key_jwt',
    zoneUID: '',
    key: JSON.stringify([instance, jti]),
    expiresAt: Math.ceil(exp) + 5,
  } as const;
  return { ...toAuthenticated(application, 'privateKeyJWT', instance, null), consume: [consume] };
}

async function authenticateOIDC(
  assertion: string,
  { iss, sub }: { readonly iss: string; readonly sub: string },
  zone: ZoneSnapshot,
  now: number,
  ports: AuthenticationPorts,
): Promise<Authenticated> {
  const match = findByOIDC(zone, iss, sub);
  if (!match) throw refuse('no Application of the zone has this OIDC subject');
  const { identity, application } = match;
  const verdict = await verifyOIDC(assertion, identity, now, ports);
  if (!verdict.ok) throw refuse(`OIDC workload token: ${verdict.message}`);
  return toAuthenticated(application, 'oidc', JSON.stringify([iss, sub]), null);
}

/** Once more with fresh keys when the token names a key that the set does not hold. */
async function verifyOIDC(
  assertion: string,
  identity: Extract<ApplicationIdentity, { type: 'oidc' }>,
  now: number,
  { keySets }: AuthenticationPorts,
) {
  const verify = (keys: readonly PublicJWK[]) =>
    verifyForeignToken(assertion, { keys, issuer: identity.issuer, audiences: [identity.audience], nowMs: now });
  const verdict = verify(await keysOf(() => keySets.get(identity.keys, now)));
  if (verdict.ok || verdict.problem !== 'unknown_key') return verdict;
  return verify(await keysOf(() => keySets.refresh(identity.keys, now)));
}

/** A key set that cannot be had is an outage, not a wrong credential. */
export async function keysOf(fetch: () => Promise<readonly PublicJWK[]>): Promise<readonly PublicJWK[]> {
  try {
    return await fetch();
  } catch (error) {
    throw toUnavailable(`key set: ${error instanceof Error ? error.message : 'unavailable'}`);
  }
}

function toAuthenticated(
  application: ApplicationEntry,
  credential: CredentialType,
  instance: string,
  workload: PolicyWorkload | null,
): Authenticated {
  const principal: Principal = {
    applicationID: application.id,
    applicationUID: application.uid,
    credential,
    instance: `${credential}:${instance}`,
    workload,
  };
  return { principal, application, consume: [] };
}

/** One answer for whatever was wrong: what exactly is in the record and the log. */
function refuse(evidence: string): OAuthError {
  return new OAuthError('invalid_client', 'client authentication failed', { evidence });
}
