/** Builds the policy inputs of an exchange: total, frozen facts only, one per scope under decision. */
import type { ExchangeRequest } from './decision.ts';
import { toPolicyGrants, type MatchingGrant } from './grants.ts';
import type { PolicyInput, PolicyTime } from './policyInput.ts';
import type { ApplicationEntry, ResourceEntry, ZoneSnapshot } from './snapshot.ts';

/** What the checks found out, from which inputs are built. */
export interface InputFacts {
  readonly zone: ZoneSnapshot;
  readonly request: ExchangeRequest;
  readonly application: ApplicationEntry;
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
  const { zone, request, application, resource } = facts;
  const identity = { id: application.id, namespace: application.namespace, name: application.name };
  return {
    schema: 'caracal.run/policy-input/v1',
    zone: { id: zone.id },
    action: { name: resource ? 'token_exchange' : 'session' },
    principal: {
      ...identity,
      credential: request.principal.credential,
      workload: request.principal.workload,
      key_bound: false,
    },
    root: identity,
    subject: request.subject,
    session: null,
    delegation: null,
    resource: resource ? toInputResource(resource) : null,
    request: { scopes: request.scopes, ttl_seconds: facts.ttlSeconds, use: request.use },
    grants: toPolicyGrants(facts.matching, request.scopes),
    time: toPolicyTime(facts.now),
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
