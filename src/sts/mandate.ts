/** From a permit and its record to the mandate that it gives, signed, in the body of a 200. */
import type { Lineage } from '../authority/agents/lineage.ts';
import type { MandateClaims } from '../authority/claims.ts';
import type { DecisionRecord, Permit } from '../authority/decision.ts';
import { mintMandate, UnmintableMandate, type SigningKey } from '../tokens/mint.ts';
import type { ServedZone } from './configuration.ts';
import { OAuthError, toUnavailable } from './errors.ts';
import type { ExchangePorts } from './exchangePorts.ts';
import { ACCESS_TOKEN_TYPE } from './tokenForm.ts';

type MintPorts = Pick<ExchangePorts, 'issuer' | 'signingKey'>;

/** The body of a 200 (RFC 8693 §2.2.1). */
export interface TokenResponse {
  readonly access_token: string;
  readonly issued_token_type: string;
  readonly token_type: 'Bearer' | 'DPoP';
  readonly expires_in: number;
  readonly scope?: string;
  readonly target_resources: readonly string[];
}

/** Asked for before anything is recorded too, so that no permit is recorded whose mandate cannot exist. */
export function signingKeyOf({ snapshot }: ServedZone, ports: MintPorts): SigningKey {
  const key = ports.signingKey(snapshot);
  if (!key) throw toUnavailable('the zone has no signing key that may sign now');
  return key;
}

export function mint(permit: Permit, zone: ServedZone, record: DecisionRecord, ports: MintPorts): TokenResponse {
  const key = signingKeyOf(zone, ports);
  const claims = toClaims(permit, zone, record, ports.issuer);
  return {
    access_token: sign(claims, key),
    issued_token_type: ACCESS_TOKEN_TYPE,
    token_type: claims.cnf ? 'DPoP' : 'Bearer',
    expires_in: claims.exp - claims.iat,
    ...(claims.scope !== undefined && { scope: claims.scope }),
    target_resources: claims.target ?? [],
  };
}

/** What a verifier would refuse is not issued: only a request of unusual size gets here. */
function sign(claims: MandateClaims, key: SigningKey): string {
  try {
    return mintMandate(claims, key);
  } catch (error) {
    if (error instanceof UnmintableMandate)
      throw new OAuthError('invalid_scope', `no mandate can carry this: ${error.message}`);
    throw error;
  }
}

function toClaims(
  { request, expiresAt, policyDigest, lineage }: Permit,
  zone: ServedZone,
  record: DecisionRecord,
  issuer: string,
): MandateClaims {
  const { principal, subject, use, resource, scopes, sid, rootSid } = request;
  const isUser = subject.type === 'user';
  const sub = isUser ? `${subject.issuer}:${subject.sub}` : subject.sub;
  return {
    iss: issuer,
    aud: [resource ?? issuer],
    exp: expiresAt,
    iat: Math.floor(record.at / 1000),
    jti: record.jti!,
    sub,
    sub_type: subject.type,
    ...(isUser && { sub_iss: subject.issuer, sub_id: subject.sub }),
    zone_id: zone.snapshot.id,
    client_id: principal.applicationID,
    use,
    sid,
    root_sid: rootSid,
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...(resource !== undefined && { target: [resource] }),
    ...(sub !== principal.applicationID && { act: { sub: principal.applicationID } }),
    ...(lineage && toChainClaims(lineage)),
    ...(isOnce(record, zone) && { once: true }),
    ...(request.jkt !== undefined && { cnf: { jkt: request.jkt } }),
    pol: policyDigest,
    epoch: record.epoch,
  };
}

/** wire.md: the session, and for a delegation the edges root → leaf with who issued each, then the receiver. */
function toChainClaims({ session, edges }: Lineage): Partial<MandateClaims> {
  const leaf = edges.at(-1);
  if (!leaf) return { agent_session_id: session.id };
  const issuers = edges.map(({ id, issuer, sourceSessionID }) => ({
    application_id: issuer.id,
    agent_session_id: sourceSessionID,
    delegation_edge_id: id,
  }));
  return {
    agent_session_id: session.id,
    delegation_edge_id: leaf.id,
    source_session_id: leaf.sourceSessionID,
    target_session_id: leaf.targetSessionID,
    delegation_path: leaf.path,
    hop_count: leaf.path.length,
    delegation_chain: [...issuers, { application_id: session.application.id, agent_session_id: session.id }],
  };
}

/** What spent an approval, and what its Resource says is for one request. */
function isOnce({ challengeID, request }: DecisionRecord, { snapshot }: ServedZone): boolean {
  if (challengeID !== undefined) return true;
  return request?.resource !== undefined && snapshot.resources.get(request.resource)?.singleUse === true;
}
