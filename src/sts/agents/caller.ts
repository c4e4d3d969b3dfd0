/** Who calls the endpoints of agent sessions: an application, by a session mandate with `agent:lifecycle` that is still in force. */
import { LIFECYCLE_SCOPE } from '../../authority/checks.ts';
import type { ApplicationRef } from '../../authority/agents/model.ts';
import type { IssuedDecision } from '../../authority/decision.ts';
import type { PolicyEngine } from '../../policy/engine.ts';
import type { Store } from '../../store/store.ts';
import type { LRU } from '../../tokens/lru.ts';
import type { Configuration, ServedZone } from '../configuration.ts';
import { OAuthError } from '../errors.ts';
import { judgeRecorded } from '../revalidate.ts';
import { verifierFor } from '../verifiers.ts';

export interface CallerPorts {
  readonly issuer: string;
  readonly configuration: Pick<Configuration, 'zone'>;
  readonly policies: Pick<PolicyEngine, 'evaluate'>;
  readonly store: Pick<Store, 'decisionByJTI'>;
  readonly decisions: LRU<IssuedDecision>;
}

export interface Caller {
  readonly zone: ServedZone;
  readonly application: ApplicationRef;
  readonly sid: string;
  readonly rootSid: string;
  /** Of its login, as recorded. */
  readonly record: IssuedDecision;
}

/** Throws OAuthError. An unknown zone answers as a mandate of another zone does. */
export async function authenticateCaller(
  authorization: string | undefined,
  zoneID: string,
  now: number,
  ports: CallerPorts,
): Promise<Caller> {
  const token = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) throw refuse('no bearer token');
  const zone = ports.configuration.zone(zoneID);
  if (!zone) throw refuse('unknown zone');
  const rules = { issuer: ports.issuer, audience: ports.issuer, use: 'session' } as const;
  const verdict = verifierFor(zone.snapshot, rules).verify(token, now);
  if (!verdict.ok) throw refuse(`session mandate: ${verdict.message}`);
  const { claims } = verdict;
  if (claims.scope !== LIFECYCLE_SCOPE || claims.sub_type !== 'application')
    throw new OAuthError('scope_insufficient', `a session mandate with the scope ${LIFECYCLE_SCOPE} is needed`);
  const judged = await judgeRecorded(claims.jti, zone, now, ports);
  if (!judged.valid) throw refuse(`session mandate no longer in force: ${judged.reason}`);
  const record = ports.decisions.get(claims.jti)!;
  const application = { id: claims.client_id, uid: record.request!.principal.applicationUID };
  return { zone, application, sid: claims.sid, rootSid: claims.root_sid, record };
}

function refuse(evidence: string): OAuthError {
  const headers = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };
  return new OAuthError('invalid_token', 'a session mandate of this zone that is in force is needed', {
    headers,
    evidence,
  });
}
