/** Why a call on sessions or edges was refused: the codes of wire.md, "Agent sessions and delegation". */

export const AGENT_REFUSALS = {
  invalid_request: 'malformed, or a combination that means nothing; the message names the field',
  access_denied: 'it acts on what is neither its own nor below it',
  agent_session_not_found: 'the zone has no agent session of this id that the caller may see',
  delegation_not_found: 'the zone has no delegation edge of this id that the caller may see',
  session_not_active: 'the agent session, or one that it hangs on, is suspended, expired or ended',
  session_lease_fenced: 'somebody else holds the lease by now: the generation is not the present one',
  task_session_cannot_start_service: 'a service would outlive the task that starts it',
  idempotency_key_reused: 'the Idempotency-Key was sent before, with another body',
  session_zone_limit_exceeded: 'the zone has as many sessions as `limits.agentSessions` allows',
  session_limit_exceeded: 'the Application has as many sessions as `limits.agentSessionsPerApplication` allows',
  session_children_limit_exceeded: 'the parent has as many children as `limits.children` allows',
  session_depth_limit_exceeded: 'the parent is as deep as `limits.depth` allows',
  delegation_expiry_required: 'an edge needs an end: ttl_seconds or constraints.expires_at',
  delegation_exceeds_parent_authority: 'an edge only narrows: scopes, resources, hops and end of what it passes on',
  delegation_cycle_denied: 'the receiver is where the authority came from',
  parent_delegation_not_active: 'the edge that would be passed on is not active, or not one of this session',
  parent_delegation_ambiguous: 'the session holds several edges: name the one that is passed on',
} as const;

export type AgentRefusalCode = keyof typeof AGENT_REFUSALS;

export interface AgentRefusal {
  readonly type: 'refusal';
  readonly code: AgentRefusalCode;
  /** For the caller: names the field and the fix. */
  readonly message: string;
}

export function refuse(code: AgentRefusalCode, message: string): AgentRefusal {
  return { type: 'refusal', code, message };
}
