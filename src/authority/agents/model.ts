/** What an agent does under Caracal: governed runs (agent sessions), and transfers of authority between two of them (edges). */
import type { PolicySubject } from '../policyInput.ts';

/** An Application as it was: one that is re-created under the same id is another. */
export interface ApplicationRef {
  /** `<namespace>.<name>`. */
  readonly id: string;
  readonly uid: string;
}

/** A task ends with its time; a service lives as long as somebody holds its lease. */
export type Lifecycle = 'task' | 'service';

/** `ended` and `expired` are for good; `suspended` may be resumed. */
export type SessionStatus = 'active' | 'suspended' | 'ended' | 'expired';

/** One governed run of an agent. */
export interface AgentSession {
  readonly kind: 'agentSession';
  /** UUIDv7. */
  readonly id: string;
  readonly application: ApplicationRef;
  /** The authority record of the login that started it, and that of the chain's root. */
  readonly sid: string;
  readonly rootSid: string;
  /** For whom it acts, frozen when it started. */
  readonly subject: PolicySubject;
  /** Of a user: the URL of the issuer at the login. */
  readonly subjectIssuer?: string;
  /** Of a user: the authority record of the login; the session ends with it. */
  readonly subjectSid?: string;
  readonly parentID?: string;
  /** 0 at the root. */
  readonly depth: number;
  readonly lifecycle: Lifecycle;
  readonly labels: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status: SessionStatus;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Unix seconds, exclusive; absent where a lease is what keeps it alive. */
  readonly expiresAt?: number;
  /** Of a service: who holds it, by generation, and until when (Unix seconds, exclusive). */
  readonly lease?: { readonly generation: number; readonly until: number };
  /** The edge that it inherited from its parent: it ends with it. */
  readonly edgeID?: string;
  /** Unix milliseconds. */
  readonly endedAt?: number;
}

/** `revoked` and `expired` are for good. */
export type EdgeStatus = 'active' | 'revoked' | 'expired';

/** A bounded, expiring transfer of authority from one agent session to another. Never changed but for its status. */
export interface DelegationEdge {
  readonly kind: 'delegationEdge';
  /** UUIDv7. */
  readonly id: string;
  readonly issuer: ApplicationRef;
  readonly sourceSessionID: string;
  readonly receiver: ApplicationRef;
  readonly targetSessionID: string;
  readonly parentEdgeID?: string;
  /** Not empty. */
  readonly scopes: readonly string[];
  /** Identifiers; empty: every Resource that the parent, or the root's Grants, reach. */
  readonly resources: readonly string[];
  /** How often it may be passed on from here; 0: not at all. */
  readonly hopsLeft: number;
  /** Edge ids root → this one, inclusive. */
  readonly path: readonly string[];
  readonly status: EdgeStatus;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix seconds, exclusive. */
  readonly expiresAt: number;
  /** Unix milliseconds. */
  readonly endedAt?: number;
}
