/** Why a call on sessions or edges was refused: the codes of wire.md, "Agent sessions and delegation". */

/** What each means, with its HTTP status: src/sts/errors.ts. */
export type AgentRefusalCode =
  | 'invalid_request'
  | 'access_denied'
  | 'agent_session_not_found'
  | 'delegation_not_found'
  | 'session_not_active'
  | 'session_lease_fenced'
  | 'task_session_cannot_start_service'
  | 'idempotency_key_reused'
  | 'session_zone_limit_exceeded'
  | 'session_limit_exceeded'
  | 'session_children_limit_exceeded'
  | 'session_depth_limit_exceeded'
  | 'delegation_expiry_required'
  | 'delegation_exceeds_parent_authority'
  | 'delegation_cycle_denied'
  | 'parent_delegation_not_active'
  | 'parent_delegation_ambiguous';

export interface AgentRefusal {
  readonly type: 'refusal';
  readonly code: AgentRefusalCode;
  /** For the caller: names the field and the fix. */
  readonly message: string;
}

export function refuse(code: AgentRefusalCode, message: string): AgentRefusal {
  return { type: 'refusal', code, message };
}
