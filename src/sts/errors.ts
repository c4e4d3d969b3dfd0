/** Every error that crosses the STS' wire: one table of codes, and the one class that carries them (RFC 6749 §5.2). */
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
  zone_invalid: { statuses: [403], meaning: 'right credential, wrong zone' },
  scope_insufficient: {
    statuses: [403],
    meaning: 'a scope that the Resource does not declare, or that no Grant in force gives',
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

/** The JSON body of an error. */
export function toErrorBody(error: OAuthError, requestID: string): Readonly<Record<string, unknown>> {
  return { error: error.code, error_description: error.message, requestId: requestID, ...error.details.body };
}
