/** Who the application acts for: itself, a login of its own, or a user whose ID token was addressed to it. */
import { createHash } from 'node:crypto';
import type { Principal } from '../../authority/decision.ts';
import type { PolicySubject } from '../../authority/policyInput.ts';
import type { Issued } from '../../authority/revocation.ts';
import { authorityRecordID } from '../../authority/sid.ts';
import type { ApplicationEntry, SubjectIssuer, ZoneSnapshot } from '../../authority/snapshot.ts';
import type { AuthorityRecord, SingleUse, Store } from '../../store/store.ts';
import { verifyForeignToken } from '../../tokens/foreign.ts';
import { createLRU } from '../../tokens/lru.ts';
import { parseCompactJWT } from '../../tokens/parse.ts';
import { OAuthError } from '../errors.ts';
import type { TokenForm } from '../tokenForm.ts';
import { keysOf } from './client.ts';
import type { Authenticated, AuthenticationPorts } from './ports.ts';
import { verifierFor } from '../verifiers.ts';
import { toUserSubject } from './userClaims.ts';

export interface AuthenticatedSubject {
  readonly subject: PolicySubject;
  /** Of a user: the issuer's URL at the login. */
  readonly subjectIssuer?: string;
  /** Of the ID token that was just presented. */
  readonly nonce?: string;
  readonly sid: string;
  readonly rootSid: string;
  /** Unix seconds; undefined where only configuration bounds it. */
  readonly notAfter: number | undefined;
  /** The token that proved it, where that is older than the request. */
  readonly login?: Issued;
  readonly consume: readonly SingleUse[];
  /** How it was proved; decides which use may be minted. */
  readonly from: 'application' | 'login' | 'idToken';
}

/** On whose request the subject is judged, and where. */
export interface SubjectContext extends Pick<Authenticated, 'principal' | 'application'> {
  readonly zone: ZoneSnapshot;
  /** Unix milliseconds. */
  readonly now: number;
}

export interface SubjectPorts extends AuthenticationPorts {
  readonly authorityRecord: Store['authorityRecord'];
}

const MAX_ID_TOKEN_BYTES = 16 * 1024;
/** An ID token is a login, fresh and used once. */
const MAX_LOGIN_AGE_SECONDS = 300;
/** A binding is 64 characters; what is longer is none. */
const MAX_NONCE = 128;

/** Throws OAuthError. A subject token that was sent is never passed over in favour of the application itself. */
export async function authenticateSubject(
  form: Pick<TokenForm, 'subjectToken' | 'sessionID'>,
  context: SubjectContext,
  ports: SubjectPorts,
): Promise<AuthenticatedSubject> {
  const subject = await toSubject(form, context, ports);
  if (form.sessionID === undefined || form.sessionID === subject.sid) return subject;
  return attachSession(form.sessionID, subject, context, ports);
}

function toSubject(
  { subjectToken }: Pick<TokenForm, 'subjectToken'>,
  context: SubjectContext,
  ports: SubjectPorts,
): AuthenticatedSubject | Promise<AuthenticatedSubject> {
  if (!subjectToken) return toApplicationSubject(context);
  if (subjectToken.type === 'access_token') return authenticateLogin(subjectToken.token, context, ports);
  return authenticateIDToken(subjectToken.token, context, ports);
}

const MAX_SIDS = 4096;
const sids = createLRU<string>(MAX_SIDS);

/** By the whole tuple that it follows from. */
function sidOf(zoneUID: string, { applicationUID, instance }: Principal): string {
  const tuple = JSON.stringify([zoneUID, applicationUID, instance]);
  let sid = sids.get(tuple);
  if (sid === undefined) sids.set(tuple, (sid = authorityRecordID(zoneUID, applicationUID, instance)));
  return sid;
}

function toApplicationSubject({ principal, zone }: SubjectContext): AuthenticatedSubject {
  const sid = sidOf(zone.uid, principal);
  return {
    subject: applicationSubject(principal.applicationID),
    sid,
    rootSid: sid,
    notAfter: undefined,
    consume: [],
    from: 'application',
  };
}

function applicationSubject(id: string): PolicySubject {
  return { type: 'application', issuer: '', sub: id, groups: [], claims: {}, auth_time: null, acr: null, amr: [] };
}

/** A `use=session` mandate of this very application; the subject's facts come from our record of that login. */
async function authenticateLogin(
  token: string,
  { principal, zone, now }: SubjectContext,
  ports: SubjectPorts,
): Promise<AuthenticatedSubject> {
  const { issuer } = ports;
  const verifier = verifierFor(zone, { issuer, audience: issuer, use: 'session' });
  const verdict = verifier.verify(token, now);
  if (!verdict.ok) throw refuse(`login: ${verdict.message}`);
  const { claims } = verdict;
  if (claims.client_id !== principal.applicationID) throw refuse('login of another application');
  const record = await ports.authorityRecord(zone.uid, claims.sid);
  if (!record || record.principal.applicationUID !== principal.applicationUID) throw refuse('no record of this login');
  const notAfter = Math.min(claims.exp, record.expiresAt);
  if (notAfter * 1000 <= now) throw refuse('the login has ended');
  const { subject, subjectIssuer } = record;
  return {
    subject,
    ...(subjectIssuer !== undefined && { subjectIssuer }),
    sid: record.sid,
    rootSid: record.rootSid,
    notAfter,
    login: { jti: claims.jti, at: claims.iat * 1000, epoch: claims.epoch },
    consume: [],
    from: 'login',
  };
}

async function authenticateIDToken(
  token: string,
  { principal, application, zone, now }: SubjectContext,
  ports: SubjectPorts,
): Promise<AuthenticatedSubject> {
  const parsed = parseCompactJWT(token, { maxBytes: MAX_ID_TOKEN_BYTES });
  if (!parsed.ok) throw refuse(`ID token: ${parsed.problem}`);
  if (/^(application\/)?at\+jwt$/i.test(String(parsed.header['typ']))) throw refuse('an access token is no ID token');
  const trusted = [...zone.subjectIssuers.values()].find(({ issuer }) => issuer === parsed.payload['iss']);
  if (!trusted) throw refuse('ID token of an issuer that the Zone does not trust');
  if (application.subjectAudiences.length === 0) throw refuse('the Application lists no subjectAudiences');
  const claims = await verifyIDToken(token, trusted, application, now, ports);
  checkAuthorizedParty(claims, application);
  const subject = toUserSubject(claims, trusted, refuse);
  const digest = createHash('sha256').update(parsed.signingInput).digest('hex');
  const instance = `login:${JSON.stringify([trusted.issuer, subject.sub, digest])}`;
  const sid = authorityRecordID(zone.uid, principal.applicationUID, instance);
  const exp = claims['exp'] as number;
  const consume = {
    class: 'login_token',
    zoneUID: '',
    key: digest,
    expiresAt: Math.ceil(exp) + MAX_LOGIN_AGE_SECONDS,
  } as const;
  return {
    subject,
    subjectIssuer: trusted.issuer,
    ...(typeof claims['nonce'] === 'string' && { nonce: claims['nonce'].slice(0, MAX_NONCE) }),
    sid,
    rootSid: sid,
    notAfter: Math.floor(exp),
    login: { at: Math.floor(claims['iat'] as number) * 1000 },
    consume: [consume],
    from: 'idToken',
  };
}

async function verifyIDToken(
  token: string,
  { issuer, keys }: SubjectIssuer,
  application: ApplicationEntry,
  now: number,
  { keySets }: SubjectPorts,
): Promise<Readonly<Record<string, unknown>>> {
  const rules = { issuer, audiences: application.subjectAudiences, nowMs: now, maxAgeSeconds: MAX_LOGIN_AGE_SECONDS };
  let verdict = verifyForeignToken(token, { ...rules, keys: await keysOf(() => keySets.get(keys, now)) });
  if (!verdict.ok && verdict.problem === 'unknown_key') {
    verdict = verifyForeignToken(token, { ...rules, keys: await keysOf(() => keySets.refresh(keys, now)) });
  }
  if (!verdict.ok) throw refuse(`ID token: ${verdict.message}`);
  return verdict.claims;
}

/** OIDC Core §3.1.3.7: azp, where present or where there are several audiences, must be ours too. */
function checkAuthorizedParty(claims: Readonly<Record<string, unknown>>, { subjectAudiences }: ApplicationEntry): void {
  const { azp, aud } = claims;
  const isRequired = Array.isArray(aud) && aud.length > 1;
  if (azp === undefined && !isRequired) return;
  if (typeof azp !== 'string' || !subjectAudiences.includes(azp))
    throw refuse('ID token: azp is not among subjectAudiences');
}

/** `session_id` may name another record of this application that is not a user's; never someone else's. */
async function attachSession(
  sessionID: string,
  subject: AuthenticatedSubject,
  { principal, zone }: SubjectContext,
  ports: SubjectPorts,
): Promise<AuthenticatedSubject> {
  const record = subject.from === 'application' ? await ports.authorityRecord(zone.uid, sessionID) : undefined;
  if (!record || !isOwn(record, principal)) {
    throw new OAuthError(
      'invalid_request',
      'session_id is neither the session of the token presented nor one of this application',
    );
  }
  return { ...subject, sid: record.sid, rootSid: record.rootSid, notAfter: record.expiresAt };
}

function isOwn(record: AuthorityRecord, { applicationUID }: Principal): boolean {
  return record.principal.applicationUID === applicationUID && record.subject.type === 'application';
}

function refuse(evidence: string): OAuthError {
  return new OAuthError('invalid_token', 'the subject token is not valid', { evidence });
}
