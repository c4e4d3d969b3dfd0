/** The structural checks of an exchange: code, in a fixed order, that no policy can override. */
import type { ApplicationRef } from './agents/model.ts';
import { resolveLineage, type Lineage } from './agents/lineage.ts';
import { carries, travels } from './agents/travel.ts';
import type { Denial, DenialReason, ExchangeRequest } from './decision.ts';
import { coveringGrants, grantedUntil, matchGrants, nearestGrant, type MatchingGrant } from './grants.ts';
import { toPolicyInputs } from './input.ts';
import type { PolicyInput } from './policyInput.ts';
import { findRevocation, type Issued } from './revocation.ts';
import { createRuntimeIndex, type RuntimeView } from './runtimeIndex.ts';
import { grantKey, type ApplicationEntry, type ResourceEntry, type ZoneSnapshot } from './snapshot.ts';

/** The one scope a session mandate may carry: an application's right to manage its own agent sessions. */
export const LIFECYCLE_SCOPE = 'agent:lifecycle';

/** A request that passed every structural check; policy is asked next. */
export interface CheckedExchange {
  readonly type: 'checked';
  readonly request: ExchangeRequest;
  /** One per scope, in the order of `request.scopes`; one with scope "" for a login. */
  readonly inputs: readonly PolicyInput[];
  /** `<namespace>/<name>` of every Grant that covers a requested scope. Empty for a login. */
  readonly grants: readonly string[];
  /** Unix seconds; policy may only lower it. */
  readonly expiresAt: number;
  /** Digest of the set that the inputs are for. */
  readonly policyDigest: string;
  /** Within an agent session. */
  readonly lineage?: Lineage;
}

/** What each check looks at. */
interface CheckFacts {
  readonly zone: ZoneSnapshot;
  readonly request: ExchangeRequest;
  /** Unix milliseconds. */
  readonly now: number;
  /** When the mandate under question was issued; now for one that is yet to be. */
  readonly issued: Issued;
  /** Unix seconds. */
  readonly seconds: number;
  readonly isLogin: boolean;
  /** The entry of the principal's id, only if it has the principal's UID. */
  readonly application: ApplicationEntry | undefined;
  /** On what it rests within an agent session, or why it does not. */
  readonly lineage: Lineage | Denial | undefined;
  /** Whose authority it is: the application itself, or the one at the root of the chain. */
  readonly root: ApplicationEntry | undefined;
  readonly resource: ResourceEntry | undefined;
  readonly matching: readonly MatchingGrant[];
  readonly ttlSeconds: number;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** One named check: undefined where it passes. */
export interface Check {
  readonly name: string;
  readonly check: (facts: CheckFacts) => Denial | undefined;
}

/** The result of one check, for `caracal explain`. `skipped`: an earlier check failed, so this one says nothing. */
export interface CheckReport {
  readonly name: string;
  readonly result: 'pass' | 'fail' | 'skipped';
  readonly denial?: Denial;
}

/** Every check in order; the first that fails is the denial. */
export const CHECKS: readonly Check[] = [
  { name: 'zone is not frozen', check: checkFrozen },
  { name: 'zone has an active policy set', check: checkPolicy },
  { name: 'application is in force', check: checkApplication },
  { name: 'agent session and delegation are alive', check: checkLineage },
  { name: 'root application is in force', check: checkRoot },
  { name: 'nothing it rests on is revoked', check: checkRevoked },
  { name: 'application may present the subject', check: checkSubject },
  { name: 'resource is known', check: checkResource },
  { name: 'a key is proved where the resource asks for one', check: checkBound },
  { name: 'scopes are declared', check: checkDeclared },
  { name: 'scopes are delegated', check: checkDelegated },
  { name: 'scopes are granted', check: checkGranted },
  { name: 'lifetime is left', check: checkLifetime },
];

/** Nobody has a session: whatever names one is denied. */
const NO_RUNTIME: RuntimeView = createRuntimeIndex();

/**
 * Checks the request against one zone's snapshot at `now` (Unix milliseconds). A request with `use: session` is a
 * login: its resource is ignored, no Grant is needed, and its scopes are none or exactly `agent:lifecycle`. `issued` is
 * that of a mandate which is judged again.
 */
export function checkExchange(
  zone: ZoneSnapshot,
  request: ExchangeRequest,
  now: number,
  issued: Issued = { at: now },
  runtime: RuntimeView = NO_RUNTIME,
): CheckedExchange | Denial {
  const facts = toFacts(zone, request, now, issued, runtime);
  for (const { check } of CHECKS) {
    const denial = check(facts);
    if (denial) return denial;
  }
  return toChecked(facts);
}

/** The same checks, each with its result. */
export function explainChecks(
  zone: ZoneSnapshot,
  request: ExchangeRequest,
  now: number,
  runtime: RuntimeView = NO_RUNTIME,
): readonly CheckReport[] {
  const facts = toFacts(zone, request, now, { at: now }, runtime);
  let failed = false;
  return CHECKS.map(({ name, check }): CheckReport => {
    if (failed) return { name, result: 'skipped' };
    const denial = check(facts);
    if (!denial) return { name, result: 'pass' };
    failed = true;
    return { name, result: 'fail', denial };
  });
}

function toFacts(
  zone: ZoneSnapshot,
  request: ExchangeRequest,
  now: number,
  issued: Issued,
  runtime: RuntimeView,
): CheckFacts {
  const isLogin = request.use === 'session';
  const seconds = Math.floor(now / 1000);
  const entry = zone.applications.get(request.principal.applicationID);
  const application = entry?.uid === request.principal.applicationUID ? entry : undefined;
  const resource = isLogin || request.resource === undefined ? undefined : zone.resources.get(request.resource);
  const lineage = toLineage(request, runtime, zone, now);
  const root = request.root ? findApplication(zone, request.root) : application;
  const edges = lineage?.type === 'lineage' ? lineage.edges : [];
  const granted = matchGrants(grantsOf(zone, request, resource), request.subject, seconds);
  const matching = granted.filter(({ grant }) => travels(grant, edges));
  const ttlSeconds = lifetime(zone, request, resource);
  const who = { application, lineage, root };
  const base = { zone, request, now, issued, seconds, isLogin, ...who, resource, matching, ttlSeconds };
  return { ...base, expiresAt: earliestEnd(base) };
}

function findApplication(zone: ZoneSnapshot, { id, uid }: ApplicationRef): ApplicationEntry | undefined {
  const entry = zone.applications.get(id);
  return entry?.uid === uid ? entry : undefined;
}

/** Also denied where the root or its subject is not what the request says: then it is of another chain. */
function toLineage(
  { agentSessionID, delegationEdgeID, principal, root, subject }: ExchangeRequest,
  runtime: RuntimeView,
  zone: ZoneSnapshot,
  now: number,
): Lineage | Denial | undefined {
  const application = { id: principal.applicationID, uid: principal.applicationUID };
  const lineage = resolveLineage({ agentSessionID, delegationEdgeID, application }, runtime, zone, now);
  if (lineage?.type !== 'lineage') return lineage;
  const isSame =
    (root ?? application).uid === lineage.root.application.uid &&
    subject.issuer === lineage.root.subject.issuer &&
    subject.sub === lineage.root.subject.sub;
  return isSame ? lineage : deny('DelegationNotActive', 'the root of the chain is another one');
}

function grantsOf(zone: ZoneSnapshot, request: ExchangeRequest, resource: ResourceEntry | undefined) {
  if (!resource) return [];
  return zone.grants.get(grantKey(rootID(request), resource.identifier)) ?? [];
}

function rootID({ root, principal }: ExchangeRequest): string {
  return root?.id ?? principal.applicationID;
}

/** Seconds by request, zone and Resource; the zone's value also where the request asks for more. */
function lifetime(zone: ZoneSnapshot, request: ExchangeRequest, resource: ResourceEntry | undefined): number {
  const limit = request.use === 'session' ? zone.sessionTTL : zone.mandateTTL;
  return Math.min(limit, request.ttlSeconds ?? limit, resource?.mandateTTL ?? limit);
}

/** wire.md: the minimum of request, zone, Resource, Applications, subject token or record, session, edges and Grants. */
function earliestEnd(facts: Omit<CheckFacts, 'expiresAt'>): number {
  const { seconds, ttlSeconds, application, root, lineage, request, matching, isLogin } = facts;
  const granted = isLogin ? undefined : grantedUntil(matching, request.scopes);
  return Math.min(
    seconds + ttlSeconds,
    application?.expiresAt ?? Number.POSITIVE_INFINITY,
    root?.expiresAt ?? Number.POSITIVE_INFINITY,
    lineage?.type === 'lineage' ? lineage.end : Number.POSITIVE_INFINITY,
    request.notAfter ?? Number.POSITIVE_INFINITY,
    granted ?? Number.POSITIVE_INFINITY,
  );
}

function checkFrozen({ zone }: CheckFacts): Denial | undefined {
  if (!zone.frozen) return undefined;
  return deny('ZoneFrozen', `zone ${zone.id} is frozen: ${zone.frozen.reason}`);
}

function checkPolicy({ zone }: CheckFacts): Denial | undefined {
  if (zone.policy) return undefined;
  return deny('NoActivePolicy', `zone ${zone.id} has no active policy set; set spec.policySetRef of the Zone`);
}

function checkApplication({ application, request, seconds }: CheckFacts): Denial | undefined {
  const id = request.principal.applicationID;
  if (!application) return deny('ApplicationUnknown', `application ${id} is no accepted Application of the zone`);
  if (application.expiresAt === undefined || seconds < application.expiresAt) return undefined;
  return deny('ApplicationExpired', `application ${id} has expired (spec.expiresAt)`);
}

function checkLineage({ lineage }: CheckFacts): Denial | undefined {
  return lineage?.type === 'denial' ? lineage : undefined;
}

function checkRoot({ root, request, seconds }: CheckFacts): Denial | undefined {
  if (!request.root) return undefined;
  if (!root) return deny('ApplicationUnknown', 'the application at the root of the chain is not the one of before');
  if (root.expiresAt === undefined || seconds < root.expiresAt) return undefined;
  return deny('ApplicationExpired', `application ${root.id}, the root of the chain, has expired (spec.expiresAt)`);
}

/** Every edge carries every scope; a lifetime that was asked for, from when it was issued, is not cut quietly. */
function checkDelegated({ lineage, request, issued, resource }: CheckFacts): Denial | undefined {
  if (lineage?.type !== 'lineage' || lineage.edges.length === 0) return undefined;
  const target = { resource: resource?.identifier ?? '' };
  const isCarried = (scope: string) => lineage.edges.every((edge) => carries(edge, target.resource, [scope]));
  const scope = request.scopes.find((wanted) => !isCarried(wanted));
  if (scope !== undefined)
    return deny('ScopeNotDelegated', `an edge of the chain does not carry ${scope} on ${target.resource}`, {
      scope,
      ...target,
    });
  const end = Math.min(...lineage.edges.map(({ expiresAt }) => expiresAt));
  const seconds = Math.floor(issued.at / 1000);
  if (request.ttlSeconds === undefined || seconds + request.ttlSeconds <= end) return undefined;
  return deny(
    'LifetimeExceedsDelegation',
    `ttl_seconds is longer than the edge lasts: at most ${end - seconds} are left`,
  );
}

function checkRevoked({ zone, request, issued }: CheckFacts): Denial | undefined {
  const revocation = findRevocation(zone, request, issued);
  if (!revocation) return undefined;
  const { namespace, name, target } = revocation;
  return deny('Revoked', `Revocation ${namespace}/${name} takes away what this rests on (target ${target.type})`);
}

function checkSubject(facts: CheckFacts): Denial | undefined {
  const { root, request, zone } = facts;
  const { subject } = request;
  if (subject.type === 'application') {
    if (subject.sub === rootID(request)) return undefined;
    return deny('SubjectNotPermitted', `application ${rootID(request)} acts as itself only`);
  }
  if (!zone.subjectIssuers.has(subject.issuer)) {
    return deny(
      'SubjectNotPermitted',
      `the Zone trusts no subject issuer of the name in the request (spec.subjectIssuers)`,
    );
  }
  if (request.subjectIssuer !== undefined && zone.subjectIssuers.get(subject.issuer)?.issuer !== request.subjectIssuer)
    return deny('SubjectNotPermitted', 'the subject issuer of this name was another one when the user logged in');
  if (root && root.subjectAudiences.length > 0) return undefined;
  const fix = 'list the audience of its users’ ID tokens in spec.subjectAudiences';
  return deny('SubjectNotPermitted', `application ${rootID(request)} may not act for users; ${fix}`);
}

function checkResource({ isLogin, resource, request }: CheckFacts): Denial | undefined {
  if (isLogin || resource) return undefined;
  const identifier = request.resource ?? '';
  return deny('ResourceUnknown', 'no accepted Resource of the zone has this identifier', { resource: identifier });
}

function checkBound({ resource, request }: CheckFacts): Denial | undefined {
  if (resource?.proofOfPossession !== 'Required' || request.jkt !== undefined) return undefined;
  const message = 'the Resource takes only mandates that are bound to a key: send a DPoP proof with the request';
  return deny('ProofOfPossessionRequired', message, { resource: resource.identifier });
}

function checkDeclared({ isLogin, resource, request }: CheckFacts): Denial | undefined {
  if (isLogin || !resource) return undefined;
  const scope = request.scopes.find((candidate) => !resource.scopes.includes(candidate));
  if (scope === undefined) return undefined;
  const message = `resource ${resource.identifier} does not declare scope ${scope}`;
  return deny('ScopeNotDeclared', message, { scope, resource: resource.identifier });
}

function checkGranted(facts: CheckFacts): Denial | undefined {
  return facts.isLogin ? checkLoginScopes(facts) : checkResourceScopes(facts);
}

function checkLoginScopes({ request }: CheckFacts): Denial | undefined {
  if (request.scopes.length === 0) return undefined;
  const isLifecycle = request.scopes.every((scope) => scope === LIFECYCLE_SCOPE);
  if (isLifecycle && request.subject.type === 'application') return undefined;
  const scope = request.scopes.find((candidate) => candidate !== LIFECYCLE_SCOPE) ?? LIFECYCLE_SCOPE;
  const message = `a login carries no scope but ${LIFECYCLE_SCOPE}, and that only for the application itself`;
  return deny('ScopeNotGranted', message, { scope });
}

function checkResourceScopes(facts: CheckFacts): Denial | undefined {
  const { zone, request, resource, matching, seconds } = facts;
  const target = { resource: resource?.identifier ?? '' };
  if (request.scopes.length === 0) return deny('ScopeNotGranted', 'the request names no scope', target);
  const scope = request.scopes.find((wanted) => !matching.some(({ grant }) => grant.scopes.includes(wanted)));
  if (scope === undefined) return undefined;
  const nearest = nearestGrant(grantsOf(zone, request, resource), request.subject, scope, seconds);
  const who = request.subject.type === 'user' ? 'for this user' : 'for itself';
  const message = `no Grant in force gives ${rootID(request)} ${who} the scope ${scope} on ${target.resource}`;
  return deny('ScopeNotGranted', message, { scope, ...target, ...(nearest && { nearestGrant: nearest }) });
}

function checkLifetime({ expiresAt, seconds }: CheckFacts): Denial | undefined {
  if (expiresAt >= seconds + 1) return undefined;
  return deny('LifetimeExhausted', 'what bounds the lifetime leaves less than one second');
}

function toChecked(facts: CheckFacts): CheckedExchange | Denial {
  const { zone, application, root, lineage, request, matching } = facts;
  if (!zone.policy || !application || !root) return deny('NoActivePolicy', `zone ${zone.id} has no active policy set`);
  return {
    type: 'checked',
    request,
    inputs: toPolicyInputs({ ...facts, application, root, lineage: lineage?.type === 'lineage' ? lineage : undefined }),
    grants: coveringGrants(matching, request.scopes).map(({ grant }) => `${grant.namespace}/${grant.name}`),
    expiresAt: facts.expiresAt,
    policyDigest: zone.policy.digest,
    ...(lineage?.type === 'lineage' && { lineage }),
  };
}

function deny(
  reason: DenialReason,
  message: string,
  details: Omit<Denial, 'type' | 'reason' | 'message'> = {},
): Denial {
  return { type: 'denial', reason, message, ...details };
}
