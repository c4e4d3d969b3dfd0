/** Builds the policy inputs of an exchange: total, frozen facts only, one per scope under decision. */
import type { Lineage } from './agents/lineage.ts';
import type { ExchangeRequest } from './decision.ts';
import { toPolicyGrants, type MatchingGrant } from './grants.ts';
import type { PolicyDelegation, PolicyInput, PolicySession, PolicyTime } from './policyInput.ts';
import type { ApplicationEntry, ResourceEntry, ZoneSnapshot } from './snapshot.ts';

/** What the checks found out, from which inputs are built. */
export interface InputFacts {
  readonly zone: ZoneSnapshot;
  readonly request: ExchangeRequest;
  readonly application: ApplicationEntry;
  /** At the root of the chain; the application itself without delegation. */
  readonly root: ApplicationEntry;
  readonly lineage: Lineage | undefined;
  /** Undefined for a login. */
  readonly resource: ResourceEntry | undefined;
  readonly matching: readonly MatchingGrant[];
  /** Seconds the mandate would live by request, zone and Resource. */
  readonly ttlSeconds: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** One input per requested scope; a login (no resource) has exactly one, with scope "". */
export function toPolicyInputs(facts: InputFacts): readonly PolicyInput[] {
  const shared = toSharedInput(facts);
  const scopes = facts.resource ? facts.request.scopes : [''];
  return scopes.map((scope) => ({ ...shared, scope }));
}

function toSharedInput(facts: InputFacts): Omit<PolicyInput, 'scope'> {
  const { zone, request, application, root, lineage, resource } = facts;
  return {
    schema: 'caracal.run/policy-input/v1',
    zone: { id: zone.id },
    action: { name: resource ? 'token_exchange' : 'session' },
    principal: {
      ...toIdentity(application),
      credential: request.principal.credential,
      workload: request.principal.workload,
      key_bound: request.jkt !== undefined,
    },
    root: toIdentity(root),
    subject: request.subject,
    session: lineage ? toSession(lineage, facts.now) : null,
    delegation: lineage ? toDelegation(lineage) : null,
    resource: resource ? toInputResource(resource) : null,
    request: { scopes: request.scopes, ttl_seconds: facts.ttlSeconds, use: request.use },
    grants: toPolicyGrants(facts.matching, request.scopes),
    time: toPolicyTime(facts.now),
  };
}

function toIdentity({ id, namespace, name }: ApplicationEntry) {
  return { id, namespace, name };
}

/** Labels and metadata are what the agent says of itself: policies see them as claimed. */
function toSession({ session }: Lineage, now: number): PolicySession {
  const { id, lifecycle, depth, parentID, startedAt, labels, metadata } = session;
  return {
    id,
    kind: lifecycle,
    depth,
    parent: parentID ?? null,
    age_seconds: Math.max(0, Math.floor((now - startedAt) / 1000)),
    claimed: { labels, metadata },
  };
}

function toDelegation({ session, edges }: Lineage): PolicyDelegation | null {
  const leaf = edges.at(-1);
  if (!leaf) return null;
  const issuers = edges.map(({ issuer, sourceSessionID }) => ({ application: issuer.id, session: sourceSessionID }));
  return {
    edge_id: leaf.id,
    scopes: leaf.scopes,
    resources: leaf.resources,
    hops_left: leaf.hopsLeft,
    chain: [...issuers, { application: session.application.id, session: session.id }],
    expires_at: leaf.expiresAt,
  };
}

function toInputResource(resource: ResourceEntry): PolicyInput['resource'] {
  const { identifier, namespace, name, type, scopes } = resource;
  return { identifier, namespace, name, type, scopes };
}

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

let lastTime: PolicyTime | undefined;

/** The UTC reading of `now` (Unix milliseconds), whole seconds: many inputs have the same one. */
export function toPolicyTime(now: number): PolicyTime {
  const unix = Math.floor(now / 1000);
  if (lastTime?.unix !== unix) lastTime = readTime(unix);
  return lastTime;
}

function readTime(unix: number): PolicyTime {
  const date = new Date(unix * 1000);
  return {
    unix,
    rfc3339: `${date.toISOString().slice(0, 19)}Z`,
    weekday: WEEKDAYS[date.getUTCDay()]!,
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
  };
}
