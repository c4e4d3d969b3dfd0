/** The token exchange (RFC 8693): parse → authenticate → decide → record → mint → respond. */
import { LIFECYCLE_SCOPE } from '../authority/checks.ts';
import type { MandateClaims, MandateUse } from '../authority/claims.ts';
import { toBasis } from '../authority/basis.ts';
import { uuidv7 } from '../authority/clock.ts';
import { toIssuedDecision, type DecisionRecord, type ExchangeRequest, type Permit } from '../authority/decision.ts';
import type { AuthorityRecord, SingleUse } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import { mintMandate, UnmintableMandate, type SigningKey } from '../tokens/mint.ts';
import { authenticateClient, type ClientCredentials } from './authenticate/client.ts';
import type { Authenticated } from './authenticate/ports.ts';
import { authenticateSubject, type AuthenticatedSubject } from './authenticate/subject.ts';
import type { ServedZone } from './configuration.ts';
import { decide, type Decided } from './decisions.ts';
import { OAuthError, toDenialError, toLimited, toUnavailable } from './errors.ts';
import type { ExchangePorts } from './exchangePorts.ts';
import { ACCESS_TOKEN_TYPE, checkTTLCap, parseTokenForm, type TokenForm } from './tokenForm.ts';

export interface ExchangeCall {
  readonly body: Buffer;
  /** The raw Authorization header, if any. */
  readonly authorization: string | undefined;
  readonly requestID: string;
  /** Remote address, for limits. */
  readonly source: string;
}

/** The body of a 200 (RFC 8693 §2.2.1). */
export interface TokenResponse {
  readonly access_token: string;
  readonly issued_token_type: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope?: string;
  readonly target_resources: readonly string[];
}

/** How often one exchange is decided again because the zone's epoch rose meanwhile. */
const MAX_ATTEMPTS = 4;
const EPOCH_WAIT_MS = 1000;
/**
 * Assertions that fail per source and minute, since each may cost a signature check. Successes are not counted, and
 * secrets neither: they are random and cost a digest, and many clients share the address of an ingress.
 */
export const FAILURES_PER_MINUTE = 30_000;

/** Throws OAuthError; whatever the outcome, it is recorded before it is answered. */
export async function exchange(call: ExchangeCall, ports: ExchangePorts): Promise<TokenResponse> {
  const form = parseTokenForm(call.body);
  const credentials = readCredentials(form, call.authorization);
  const { client, subject, zone } = await authenticate(form, credentials, call, ports);
  const request = toRequest(form, client, subject, zone);
  limitMints(zone, ports);
  signingKeyOf(zone, ports);
  const { decided, record } = await decideAndRecord(request, call, toEffects(client, subject), ports);
  if (decided.result.type === 'denial') throw toDenialError(decided.result, record.id);
  return mint(decided.result, decided.zone, record, ports);
}

/** Exactly one way of client authentication; a subject token is none. */
function readCredentials(form: TokenForm, authorization: string | undefined): ClientCredentials {
  const basic = authorization === undefined ? undefined : parseBasic(authorization);
  const ways = [form.clientAssertion, form.clientSecret, basic].filter((way) => way !== undefined);
  if (ways.length === 0)
    throw new OAuthError('invalid_client', 'client authentication is required: send client_assertion');
  if (ways.length > 1) throw new OAuthError('invalid_request', 'more than one way of client authentication');
  if (form.clientAssertion !== undefined)
    return { type: 'assertion', assertion: form.clientAssertion, clientID: form.clientID };
  if (basic) {
    if (form.clientID !== undefined && form.clientID !== basic.clientID) {
      throw new OAuthError('invalid_request', 'client_id differs from the user of HTTP Basic');
    }
    return { type: 'secret', ...basic, via: 'basic' };
  }
  if (form.clientID === undefined)
    throw new OAuthError('invalid_request', 'application_id is required with client_secret');
  return { type: 'secret', secret: form.clientSecret!, clientID: form.clientID, via: 'form' };
}

/** RFC 6749 §2.3.1: both halves are form-urlencoded. */
function parseBasic(authorization: string): { readonly clientID: string; readonly secret: string } {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const at = text.indexOf(':');
  try {
    if (at > 0) {
      const [clientID, secret] = [text.slice(0, at), text.slice(at + 1)].map((part) =>
        decodeURIComponent(part.replaceAll('+', ' ')),
      );
      return { clientID: clientID!, secret: secret! };
    }
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new OAuthError('invalid_request', 'the Authorization header is not HTTP Basic with a client id and a secret');
}

async function authenticate(form: TokenForm, credentials: ClientCredentials, call: ExchangeCall, ports: ExchangePorts) {
  const isSigned = credentials.type === 'assertion' || form.subjectToken !== undefined;
  const wait = isSigned ? ports.failures.peek(call.source, FAILURES_PER_MINUTE) : undefined;
  if (wait !== undefined) throw toLimited(wait, 'too many assertions from this address failed');
  const now = ports.clock.now();
  const zone = ports.configuration.zone(form.zoneID);
  try {
    const client = await authenticateClient(credentials, zone?.snapshot, form.zoneID, now, ports.authentication);
    if (!zone) throw new OAuthError('zone_invalid', 'no accepted Zone has this id');
    const context = { principal: client.principal, application: client.application, zone: zone.snapshot, now };
    const subject = await authenticateSubject(form, context, ports.authentication);
    return { client, subject, zone };
  } catch (error) {
    if (isSigned && error instanceof OAuthError && error.status !== 503)
      ports.failures.take(call.source, FAILURES_PER_MINUTE);
    throw toStoreError(error);
  }
}

function limitMints({ snapshot }: ServedZone, { mints }: ExchangePorts): void {
  const wait = mints.take(snapshot.uid, snapshot.mintsPerMinute);
  if (wait !== undefined) throw toLimited(wait, 'the zone mints as many mandates as limits.mintsPerMinute allows');
}

/** Which mandate is asked for (wire.md, "Which `use` is minted"). */
function toRequest(
  form: TokenForm,
  { principal }: Authenticated,
  { subject, subjectIssuer, sid, rootSid, notAfter, login, from }: AuthenticatedSubject,
  { snapshot }: ServedZone,
): ExchangeRequest {
  const use = chooseUse(form, from);
  checkTTLCap(form.ttlSeconds, use);
  if (use === 'resource') checkTarget(form);
  return {
    zoneID: snapshot.id,
    principal,
    subject,
    ...(subjectIssuer !== undefined && { subjectIssuer }),
    use,
    resource: use === 'resource' ? form.resources[0] : undefined,
    scopes: form.scopes ?? [],
    ttlSeconds: form.ttlSeconds,
    sid,
    rootSid,
    notAfter,
    ...(login && { login }),
  };
}

function chooseUse({ scopes, resources, use }: TokenForm, from: AuthenticatedSubject['from']): MandateUse {
  if (use === 'resource') return 'resource';
  const isLifecycle = scopes?.length === 1 && scopes[0] === LIFECYCLE_SCOPE;
  if (isLifecycle && from === 'application') return 'session';
  return from === 'idToken' && resources.length === 0 && scopes === undefined ? 'session' : 'resource';
}

function checkTarget({ resources, scopes }: TokenForm): void {
  if (resources.length === 0)
    throw new OAuthError('invalid_target', 'resource is required: exactly one resource identifier');
  if (resources.length > 1) throw new OAuthError('invalid_target', 'exactly one resource for each mandate');
  if (scopes === undefined) throw new OAuthError('invalid_scope', 'scope is required with a resource');
}

/** What a permit brings about besides its record. */
interface Effects {
  readonly consume: readonly SingleUse[];
  /** The request is an authentication of its own; a session that it names or presents has its record already. */
  readonly opensRecord: boolean;
}

function toEffects(client: Authenticated, { consume, from, notAfter }: AuthenticatedSubject): Effects {
  const opensRecord = from === 'idToken' || (from === 'application' && notAfter === undefined);
  return { consume: [...client.consume, ...consume], opensRecord };
}

interface Recorded {
  readonly decided: Decided;
  readonly record: DecisionRecord;
}

/** Decides and makes it durable; when the zone's epoch rose meanwhile, decides again under the new one. */
async function decideAndRecord(
  request: ExchangeRequest,
  call: ExchangeCall,
  effects: Effects,
  ports: ExchangePorts,
): Promise<Recorded> {
  let pending = effects;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const zone = ports.configuration.zone(request.zoneID);
    if (!zone) throw new OAuthError('zone_invalid', 'no accepted Zone has this id');
    const now = ports.clock.now();
    const decided = await decide(zone, request, now, ports.policies);
    const record = toRecord(decided, request, call, now, ports);
    const head = await commit(record, decided, pending, ports);
    pending = { ...effects, consume: [] };
    if (head <= zone.epoch || decided.result.type === 'denial') return { decided, record };
    if (!(await ports.configuration.reached(request.zoneID, head, EPOCH_WAIT_MS))) break;
  }
  throw toUnavailable('the epoch of the zone rose faster than the exchange could be decided');
}

/** The store's head for the zone. */
async function commit(
  record: DecisionRecord,
  { result, zone }: Decided,
  { consume, opensRecord }: Effects,
  ports: ExchangePorts,
): Promise<number> {
  const authorityRecord = result.type === 'permit' && opensRecord ? toAuthorityRecord(result, zone, ports) : undefined;
  try {
    const committed = await ports.store.commit({
      decision: record,
      consume,
      ...(authorityRecord && { authorityRecord }),
    });
    if (!committed.ok) throw toReplay(committed.replayed);
    if (authorityRecord) ports.records.set(authorityRecord.sid, authorityRecord);
    if (record.jti !== undefined) ports.decisions.set(record.jti, toIssuedDecision(record));
    return committed.zoneEpoch;
  } catch (error) {
    throw toStoreError(error);
  }
}

function toStoreError(error: unknown): unknown {
  return error instanceof StoreUnavailable ? toUnavailable(`store: ${error.message}`) : error;
}

function toReplay(replayed: SingleUse): OAuthError {
  if (replayed.class === 'private_key_jwt')
    return new OAuthError('invalid_client', 'client authentication failed', { evidence: 'jti used before' });
  return new OAuthError('invalid_token', 'the subject token is not valid', { evidence: 'ID token used before' });
}

function toRecord(
  decided: Decided,
  request: ExchangeRequest,
  call: ExchangeCall,
  now: number,
  ports: ExchangePorts,
): DecisionRecord {
  const { result, zone, inputs, outcomes } = decided;
  const base = {
    id: uuidv7(now, ports.randomBytes),
    zoneUID: zone.snapshot.uid,
    zoneID: zone.snapshot.id,
    at: now,
    requestID: call.requestID,
    kind: 'exchange',
    epoch: zone.epoch,
    ...(zone.snapshot.policy && { policyDigest: zone.snapshot.policy.digest }),
    request,
    inputs,
    outcomes,
  } as const;
  if (result.type === 'denial')
    return { ...base, outcome: 'denial', denial: result, error: toDenialError(result, base.id).code };
  const { expiresAt, grants } = result;
  const basis = toBasis(result, zone.snapshot);
  const jti = uuidv7(now, ports.randomBytes);
  return { ...base, outcome: 'permit', jti, expiresAt, grants, ...(basis && { basis }) };
}

/** A login is kept whole; an application's own record only as often as it needs to outlive its mandates. */
function toAuthorityRecord(
  { request, expiresAt }: Permit,
  { snapshot }: ServedZone,
  ports: ExchangePorts,
): AuthorityRecord | undefined {
  const known = ports.records.get(request.sid);
  if (known && known.expiresAt >= expiresAt) return undefined;
  const now = ports.clock.now();
  const isOwn = request.subject.type === 'application';
  const until = isOwn ? Math.floor(now / 1000) + snapshot.sessionTTL : (known?.expiresAt ?? expiresAt);
  return {
    sid: request.sid,
    rootSid: request.rootSid,
    zoneUID: snapshot.uid,
    principal: request.principal,
    subject: request.subject,
    ...(request.subjectIssuer !== undefined && { subjectIssuer: request.subjectIssuer }),
    createdAt: known?.createdAt ?? now,
    expiresAt: until,
  };
}

/** Asked for before anything is recorded too, so that no permit is recorded whose mandate cannot exist. */
function signingKeyOf({ snapshot }: ServedZone, ports: ExchangePorts): SigningKey {
  const key = ports.signingKey(snapshot);
  if (!key) throw toUnavailable('the zone has no signing key that may sign now');
  return key;
}

function mint(permit: Permit, zone: ServedZone, record: DecisionRecord, ports: ExchangePorts): TokenResponse {
  const key = signingKeyOf(zone, ports);
  const claims = toClaims(permit, zone, record, ports.issuer);
  return {
    access_token: sign(claims, key),
    issued_token_type: ACCESS_TOKEN_TYPE,
    token_type: 'Bearer',
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
  { request, expiresAt, policyDigest }: Permit,
  zone: ServedZone,
  record: DecisionRecord,
  issuer: string,
): MandateClaims {
  const { principal, subject, use, resource, scopes, sid, rootSid } = request;
  const isUser = subject.type === 'user';
  const sub = isUser ? `${subject.issuer}:${subject.sub}` : principal.applicationID;
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
    ...(isUser && { act: { sub: principal.applicationID } }),
    pol: policyDigest,
    epoch: zone.epoch,
  };
}
