/** Every error that crosses the STS' wire: one table of codes, and the one class that carries them (RFC 6749 §5.2). */
import type { AgentRefusal } from '../authority/agents/refusal.ts';
import type { Denial, DenialReason } from '../authority/decision.ts';

export interface ErrorMeaning {
  /** HTTP statuses it is sent with; the first is the usual one. */
  readonly statuses: readonly [number, ...number[]];
  readonly meaning: string;
}

export const ERRORS = {
  invalid_request: {
    statuses: [400, 405, 415, 404],
    meaning: 'malformed, duplicate or unsupported; the description names the field',
  },
  invalid_target: {
    statuses: [400],
    meaning: 'no resource or more than one where exactly one is needed, or a malformed identifier',
  },
  invalid_scope: { statuses: [400], meaning: 'no scope where one is needed, or a malformed one' },
  unsupported_grant_type: { statuses: [400], meaning: 'another grant type than token exchange' },
  payload_too_large: { statuses: [413], meaning: 'the body is larger than the endpoint takes' },
  invalid_client: { statuses: [401], meaning: 'client authentication failed, by assertion or HTTP Basic' },
  access_denied: {
    statuses: [403, 401],
    meaning: '403: denied by a check or by policy, see `reason`; 401: client authentication by form secret failed',
  },
  invalid_token: {
    statuses: [401],
    meaning: 'the subject token, or the bearer of an endpoint of gateways, is not valid',
  },
  invalid_dpop_proof: { statuses: [400], meaning: 'the DPoP proof is not one of this request (RFC 9449 §5)' },
  use_dpop_nonce: {
    statuses: [400],
    meaning: 'send the proof again with the nonce of the `DPoP-Nonce` header (RFC 9449 §8)',
  },
  interaction_required: {
    statuses: [401],
    meaning:
      'a person has to approve: wait at `/step-up/{challenge_id}`, then send the same request with `challenge_id`',
  },
  approval_consumed: { statuses: [409], meaning: 'the approval was spent, and its mandate cannot be told again' },
  challenge_not_found: { statuses: [404], meaning: 'no challenge has this id' },
  challenge_not_pending: { statuses: [409], meaning: 'the challenge was decided, has expired, or is of another act' },
  zone_invalid: { statuses: [403], meaning: 'right credential, wrong zone' },
  scope_insufficient: {
    statuses: [403],
    meaning: 'a scope that the Resource does not declare, or that no Grant in force gives',
  },
  session_required: { statuses: [403], meaning: 'an edge was named without the agent session that acts under it' },
  delegation_required: {
    statuses: [403],
    meaning: 'the agent session holds its authority by an edge: name it in `delegation_edge_id`',
  },
  agent_session_not_found: {
    statuses: [404],
    meaning: 'the zone has no agent session of this id that the caller may see',
  },
  delegation_not_found: {
    statuses: [404],
    meaning: 'the zone has no delegation edge of this id that the caller may see',
  },
  session_not_active: {
    statuses: [409],
    meaning: 'the agent session, or one that it hangs on, is suspended, expired or ended',
  },
  session_lease_fenced: { statuses: [409], meaning: 'somebody else holds the lease by now' },
  task_session_cannot_start_service: { statuses: [409], meaning: 'a service would outlive the task that starts it' },
  idempotency_key_reused: { statuses: [409], meaning: 'the Idempotency-Key was sent before, with another body' },
  session_zone_limit_exceeded: { statuses: [429], meaning: '`limits.agentSessions` of the Zone is reached' },
  session_limit_exceeded: { statuses: [429], meaning: '`limits.agentSessionsPerApplication` of the Zone is reached' },
  session_children_limit_exceeded: { statuses: [429], meaning: '`limits.children` of the Zone is reached' },
  session_depth_limit_exceeded: { statuses: [429], meaning: '`limits.depth` of the Zone is reached' },
  delegation_expiry_required: {
    statuses: [400],
    meaning: 'an edge needs an end in the future: `ttl_seconds` or `constraints.expires_at`',
  },
  delegation_exceeds_parent_authority: {
    statuses: [403],
    meaning: 'an edge only narrows: scopes, resources, hops and end of what it passes on',
  },
  delegation_cycle_denied: { statuses: [409], meaning: 'the receiver is where the authority came from' },
  parent_delegation_not_active: {
    statuses: [409],
    meaning: 'the edge that would be passed on is not active, or not one of this session',
  },
  parent_delegation_ambiguous: {
    statuses: [409],
    meaning: 'the session holds several edges: name the one that is passed on',
  },
  resource_not_found: { statuses: [404], meaning: 'no accepted Resource of the zone has this identifier' },
  zone_not_found: { statuses: [404], meaning: 'no accepted Zone has this id' },
  replica_behind: {
    statuses: [409],
    meaning: 'this replica has not reached the epoch that the caller has seen; ask again',
  },
  rate_limited: {
    statuses: [429],
    meaning: 'more than `limits.mintsPerMinute`, or too many failed authentications; see Retry-After',
  },
  sts_unavailable: {
    statuses: [503],
    meaning: 'nothing was issued: the store, the keys or the configuration are not available now',
  },
  policy_eval_failed: { statuses: [503], meaning: 'nothing was issued: the active policy set could not be evaluated' },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

export type ErrorCode = keyof typeof ERRORS;

export interface OAuthErrorDetails {
  /** When it is not the code's first status. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** More members of the body. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** For the log and the decision record, not for the caller: what exactly was wrong. Holds no secret and no token. */
  readonly evidence?: string;
}

/** A refusal on the wire. `message` is the `error_description`: never a token, a secret or an unverified claim. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: OAuthErrorDetails;
  constructor(code: ErrorCode, message: string, details: OAuthErrorDetails = {}) {
    super(message);
    this.code = code;
    this.status = details.status ?? ERRORS[code].statuses[0];
    this.details = details;
  }
}

const RETRY: Readonly<Record<string, string>> = { 'Retry-After': '1' };

export function toUnavailable(evidence: string): OAuthError {
  return new OAuthError('sts_unavailable', 'the service cannot answer now; nothing was issued', {
    headers: RETRY,
    evidence,
  });
}

export function toLimited(seconds: number, message: string): OAuthError {
  return new OAuthError('rate_limited', message, { headers: { 'Retry-After': String(seconds) } });
}

const DENIAL_CODES: Partial<Readonly<Record<DenialReason, ErrorCode>>> = {
  ResourceUnknown: 'resource_not_found',
  ScopeNotDeclared: 'scope_insufficient',
  ScopeNotGranted: 'scope_insufficient',
  PolicyFailed: 'policy_eval_failed',
  SessionRequired: 'session_required',
  DelegationRequired: 'delegation_required',
  ScopeNotDelegated: 'scope_insufficient',
};

/** A denial as the caller sees it: the reason code, the check's words, and the deny strings of policies. */
export function toDenialError(denial: Denial, decisionID: string): OAuthError {
  const code = DENIAL_CODES[denial.reason] ?? 'access_denied';
  return new OAuthError(code, `${denial.reason}: ${denial.message}`, {
    body: {
      reason: denial.reason,
      decision_id: decisionID,
      ...(denial.denials && { denials: denial.denials.map(({ policy, reason }) => ({ policy, reason })) }),
    },
    ...(code === 'policy_eval_failed' && { headers: RETRY }),
  });
}

/** A refused call on agent sessions or edges. */
export function toAgentError({ code, message }: AgentRefusal): OAuthError {
  return new OAuthError(code, message, ERRORS[code].statuses[0] === 429 ? { headers: RETRY } : {});
}

/** The JSON body of an error. */
export function toErrorBody(error: OAuthError, requestID: string): Readonly<Record<string, unknown>> {
  return { error: error.code, error_description: error.message, requestId: requestID, ...error.details.body };
}
