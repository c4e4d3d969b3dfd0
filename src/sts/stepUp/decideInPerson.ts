/** The user decides in person: by a fresh login through an approver application, made for exactly this challenge (wire.md, "Step-up"). */
import type { Decider } from '../../authority/stepUp/approvers.ts';
import type { Challenge } from '../../authority/stepUp/challenge.ts';
import type { IssuedDecision } from '../../authority/decision.ts';
import type { PolicyEngine } from '../../policy/engine.ts';
import type { Store } from '../../store/store.ts';
import type { LRU } from '../../tokens/lru.ts';
import type { SubjectPorts } from '../authenticate/subject.ts';
import type { ServedZone } from '../configuration.ts';
import { OAuthError } from '../errors.ts';
import { judgeRecorded } from '../revalidate.ts';
import { verifierFor } from '../verifiers.ts';

export interface InPersonPorts {
  readonly issuer: string;
  readonly policies: Pick<PolicyEngine, 'evaluate'>;
  readonly store: Pick<Store, 'decisionByJTI'>;
  readonly decisions: LRU<IssuedDecision>;
  readonly authorityRecord: SubjectPorts['authorityRecord'];
}

/** How long ago the user may have logged in, in seconds. */
const MAX_LOGIN_AGE = 300;
const SKEW = 5;

/** Throws OAuthError. Whether this user may decide it is left to checkDecider. */
export async function authenticateInPerson(
  authorization: string | undefined,
  challenge: Challenge,
  zone: ServedZone,
  now: number,
  ports: InPersonPorts,
): Promise<Decider> {
  const token = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) throw refuse('no bearer token');
  const rules = { issuer: ports.issuer, audience: ports.issuer, use: 'session' } as const;
  const verdict = verifierFor(zone.snapshot, rules).verify(token, now);
  if (!verdict.ok) throw refuse(`session mandate: ${verdict.message}`);
  const { claims } = verdict;
  if (claims.sub_type !== 'user') throw refuse('session mandate of no user');
  const judged = await judgeRecorded(claims.jti, zone, now, ports);
  if (!judged.valid) throw refuse(`login no longer in force: ${judged.reason}`);
  const record = await ports.authorityRecord(zone.snapshot.uid, claims.sid);
  if (!record) throw refuse('no record of this login');
  if (record.nonce !== challenge.binding) throw refuse('the login was not made for this challenge');
  const loggedInAt = record.subject.auth_time;
  const seconds = Math.floor(now / 1000);
  const notBefore = Math.max(Math.floor(challenge.createdAt / 1000) - SKEW, seconds - MAX_LOGIN_AGE);
  if (loggedInAt === null || loggedInAt < notBefore) throw refuse('the login is not fresh (auth_time)');
  const { issuer, sub } = record.subject;
  return { type: 'subject', issuer, sub, subjectIssuer: record.subjectIssuer ?? '', applicationID: claims.client_id };
}

function refuse(evidence: string): OAuthError {
  const headers = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };
  const message =
    'a login of the user is needed that was made for this challenge: an ID token with nonce = binding and a fresh auth_time';
  return new OAuthError('invalid_token', message, { headers, evidence });
}
