/** The token exchange (RFC 8693): parse → authenticate → decide → record → mint → respond. */
import { LIFECYCLE_SCOPE } from '../authority/checks.ts';
import { lineageIDs, resolveLineage } from '../authority/agents/lineage.ts';
import { toBasis } from '../authority/basis.ts';
import { uuidv4, uuidv7 } from '../authority/clock.ts';
import {
  toIssuedDecision,
  type Denial,
  type DecisionRecord,
  type ExchangeRequest,
  type Permit,
} from '../authority/decision.ts';
import type { AuthorityRecord, CommitResult, SingleUse } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import { authenticateClient, type ClientCredentials } from './authenticate/client.ts';
import type { Authenticated } from './authenticate/ports.ts';
import { authenticateSubject, type AuthenticatedSubject } from './authenticate/subject.ts';
import type { ServedZone } from './configuration.ts';
import { decide, type Decided } from './decisions.ts';
import { OAuthError, toDenialError, toLimited, toUnavailable } from './errors.ts';
import type { ExchangePorts } from './exchangePorts.ts';
import type { BareCommit } from './runtime/runtimes.ts';
import { proveKey } from './proveKey.ts';
import { settleHold } from './stepUp/settle.ts';
import { mint, signingKeyOf, type TokenResponse } from './mandate.ts';
import { checkTTLCap, parseTokenForm, type TokenForm } from './tokenForm.ts';

export interface ExchangeCall {
  readonly body: Buffer;
  /** The raw Authorization header, if any. */
  readonly authorization: string | undefined;
  /** The value of the one DPoP header, if any. */
  readonly dpop: string | undefined;
  readonly requestID: string;
  /** Remote address, for limits. */
  readonly source: string;
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
  await knowWhatIsNamed(form, zone, ports);
  const unbound = toRequest(form, client, subject, zone, ports.clock.now());
  const jkt = proveKey(call, unbound, ports);
  const request = jkt === undefined ? unbound : { ...unbound, jkt };
  limitMints(zone, ports);
  signingKeyOf(zone, ports);
  const effects = toEffects(client, subject);
  const made = await decideAndRecord({ request, challengeID: form.challengeID, call, effects }, ports);
  if (made.result.type === 'denial') throw toDenialError(made.result, made.record.id);
  return mint(made.result, made.zone, made.record, ports);
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
  if (!zone && !ports.configuration.isKnown()) throw toUnavailable('the first configuration is not served yet');
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
  { snapshot, runtime }: ServedZone,
  now: number,
): ExchangeRequest {
  const use = chooseUse(form, from);
  checkTTLCap(form.ttlSeconds, use);
  if (use === 'resource') checkTarget(form);
  const request: ExchangeRequest = {
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
  return withinSession(request, form, from, { snapshot, runtime }, now);
}

/** What another replica has just written is read once, before its id counts as unknown, or as not yet decided. */
async function knowWhatIsNamed(
  { agentSessionID, delegationEdgeID, challengeID }: TokenForm,
  { snapshot, runtime }: ServedZone,
  { runtimes }: ExchangePorts,
): Promise<void> {
  const isKnown =
    (agentSessionID === undefined || runtime.session(agentSessionID) !== undefined) &&
    (delegationEdgeID === undefined || runtime.edge(delegationEdgeID) !== undefined) &&
    (challengeID === undefined || (runtime.challenge(challengeID)?.state ?? 'pending') !== 'pending');
  if (isKnown) return;
  try {
    await runtimes.refresh(snapshot.uid);
  } catch (error) {
    throw toStoreError(error);
  }
}

/** Within an agent session, whose authority it is comes from our records of it: the root of its chain. */
function withinSession(
  request: ExchangeRequest,
  { agentSessionID, delegationEdgeID }: TokenForm,
  from: AuthenticatedSubject['from'],
  { snapshot, runtime }: Pick<ServedZone, 'snapshot' | 'runtime'>,
  now: number,
): ExchangeRequest {
  if (agentSessionID === undefined && delegationEdgeID === undefined) return request;
  const { principal, subject } = request;
  const application = { id: principal.applicationID, uid: principal.applicationUID };
  const named = {
    ...request,
    ...(agentSessionID !== undefined && { agentSessionID }),
    ...(delegationEdgeID !== undefined && { delegationEdgeID }),
  };
  const lineage = resolveLineage({ agentSessionID, delegationEdgeID, application }, runtime, snapshot, now);
  if (lineage?.type !== 'lineage') return named;
  const { root } = lineage;
  if (from !== 'application' && !(subject.issuer === root.subject.issuer && subject.sub === root.subject.sub))
    throw new OAuthError('invalid_request', 'subject_token is of another subject than the agent session acts for');
  return {
    ...named,
    subject: root.subject,
    ...(root.subjectIssuer !== undefined && { subjectIssuer: root.subjectIssuer }),
    ...(root.application.uid !== application.uid && { root: root.application }),
    rootSid: root.rootSid,
    lineage: lineageIDs(lineage, runtime),
  };
}

function chooseUse({ scopes, resources, use, agentSessionID }: TokenForm, from: AuthenticatedSubject['from']) {
  if (use === 'resource' || agentSessionID !== undefined) return 'resource';
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
  readonly nonce: string | undefined;
  /** The request is an authentication of its own; a session that it names or presents has its record already. */
  readonly opensRecord: boolean;
}

function toEffects(client: Authenticated, { consume, from, notAfter, nonce }: AuthenticatedSubject): Effects {
  const opensRecord = from === 'idToken' || (from === 'application' && notAfter === undefined);
  return { consume: [...client.consume, ...consume], nonce, opensRecord };
}

interface Recorded extends Durable {
  /** The pair that it was decided under. */
  readonly zone: ServedZone;
}

/** One exchange that is decided, and what a permit brings about besides. */
interface Deciding {
  readonly request: ExchangeRequest;
  readonly challengeID: string | undefined;
  readonly call: ExchangeCall;
  readonly effects: Effects;
}

/** Decides and makes it durable; when the zone's epoch rose meanwhile, decides again under the new one. */
async function decideAndRecord(deciding: Deciding, ports: ExchangePorts): Promise<Recorded> {
  let { effects } = deciding;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const zone = ports.configuration.zone(deciding.request.zoneID);
    if (!zone) throw new OAuthError('zone_invalid', 'no accepted Zone has this id');
    const now = ports.clock.now();
    const decided = await decide(zone, deciding.request, now, ports.policies);
    const made = await makeDurable(decided, { ...deciding, effects }, now, ports);
    effects = { ...effects, consume: [] };
    if (made.head <= zone.epoch || made.result.type === 'denial') return { ...made, zone };
    if (!(await ports.configuration.reached(zone.snapshot.id, made.head, EPOCH_WAIT_MS))) break;
  }
  throw toUnavailable('the epoch of the zone rose faster than the exchange could be decided');
}

interface Durable {
  readonly result: Permit | Denial;
  readonly record: DecisionRecord;
  /** The store's head for the zone. */
  readonly head: number;
}

/** Throws OAuthError for a hold that is not spent. */
async function makeDurable(
  decided: Decided,
  { request, challengeID, call, effects }: Deciding,
  now: number,
  ports: ExchangePorts,
): Promise<Durable> {
  const { result, zone } = decided;
  const record = (of: Decided['result'], spent?: string) =>
    toRecord({ ...decided, result: of }, request, call, ports, {
      now,
      challengeID: spent,
    });
  const commitOf = (of: Decided['result'], made: DecisionRecord) => toCommit(of, made, zone, effects, ports);
  try {
    if (result.type !== 'hold') {
      const made = record(result);
      const commit = commitOf(result, made);
      return { result, record: made, head: take(await ports.store.commit(commit), commit, ports) };
    }
    const newID = () => uuidv4(ports.randomBytes);
    const held = { hold: result, zone, challengeID, now, newID, toRecord: record, toCommit: commitOf };
    let commit: BareCommit | undefined;
    const { value, result: written } = await ports.runtimes.write(zone.snapshot.uid, (view) => {
      const decision = settleHold(held, view);
      commit = decision.type === 'commit' ? decision.commit : undefined;
      return decision;
    });
    const head = written && commit ? take(written, commit, ports) : zone.epoch;
    if (value.type === 'refusal') throw value.error;
    return { result: value.permit, record: value.record, head };
  } catch (error) {
    throw toStoreError(error);
  }
}

/** A hold leaves the login token to the retry; whoever authenticated by a signature used that up. */
function toCommit(
  result: Decided['result'],
  decision: DecisionRecord,
  zone: ServedZone,
  { consume, nonce, opensRecord }: Effects,
  ports: ExchangePorts,
): BareCommit {
  const spent = result.type === 'hold' ? consume.filter((use) => use.class === 'private_key_jwt') : consume;
  const opened = result.type === 'permit' && opensRecord ? toAuthorityRecord(result, zone, nonce, ports) : undefined;
  return { decision, consume: spent, ...(opened && { authorityRecord: opened }) };
}

/** What was committed is remembered. The store's head for the zone. */
function take(result: CommitResult, { decision, authorityRecord }: BareCommit, ports: ExchangePorts): number {
  if ('conflict' in result) throw new Error('an exchange that changes no runtime state met a conflict of it');
  if (!result.ok) throw toReplay(result.replayed);
  if (authorityRecord) ports.records.set(authorityRecord.sid, authorityRecord);
  if (decision.jti !== undefined) ports.decisions.set(decision.jti, toIssuedDecision(decision));
  return result.zoneEpoch;
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
  ports: ExchangePorts,
  { now, challengeID }: { readonly now: number; readonly challengeID: string | undefined },
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
    ...(challengeID !== undefined && { challengeID }),
  } as const;
  if (result.type === 'hold') return { ...base, outcome: 'hold', error: 'interaction_required' };
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
  nonce: string | undefined,
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
    ...(nonce !== undefined && { nonce }),
    createdAt: known?.createdAt ?? now,
    expiresAt: until,
  };
}
