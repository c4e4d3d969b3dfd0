/** Decisions as values: a permit or a denial with a reason from a closed list, and the record that keeps either. */
import type { Activation } from './activation.ts';
import type { Lineage } from './agents/lineage.ts';
import type { ApplicationRef } from './agents/model.ts';
import type { MandateUse } from './claims.ts';
import type { GatewayAct } from './gatewayRecords.ts';
import type { Issued } from './revocation.ts';
import type { CredentialType, PolicyInput, PolicyOutcome, PolicySubject, PolicyWorkload } from './policyInput.ts';

/** Why a well-formed, authenticated exchange was denied: `reason` of a 403/404 body. Documented in docs/reference/errors.md. */
export const DENIAL_REASONS = {
  ZoneFrozen: 'the zone is frozen (`Zone.spec.freeze`, or by command: `caracal unfreeze`)',
  NoActivePolicy: 'the zone has no active policy set',
  ApplicationUnknown:
    'the Application is no longer an accepted one of the zone, or was re-created since it authenticated',
  ApplicationExpired: '`Application.spec.expiresAt` has passed',
  Revoked:
    'a Revocation takes away what the request rests on: its session, agent session, delegation edge, mandate, login, Application, user or Resource, or everything',
  ResourceUnknown: 'no accepted Resource of the zone has this identifier',
  ScopeNotDeclared: 'the Resource does not declare the scope',
  ScopeNotGranted: 'no Grant in force gives this application, for this subject, the scope on the Resource',
  SubjectNotPermitted: 'the Application may not present tokens of this user or audience',
  PolicyDenied: 'a policy of the active set denied the scope',
  PolicyNotAllowed: 'no policy of the active set allows the scope',
  StepUpRejected: 'a person rejected the approval that the request needs',
  StepUpRequired:
    'a policy of the active set wants a person to approve, and no one can: the request is for no user, or asks for too much at once',
  PolicyFailed: 'the active set could not be evaluated, which denies',
  ProofOfPossessionRequired: 'the Resource takes only mandates that are bound to a key: send a DPoP proof',
  SessionRequired: 'an edge was named without the agent session that acts under it',
  SessionUnknown: 'the zone has no such agent session of this application',
  SessionNotActive: 'the agent session, or one that it hangs on, is suspended, expired or ended',
  DelegationRequired: 'the agent session holds its authority by an edge, which was not named',
  DelegationUnknown: 'the agent session holds no such edge',
  DelegationNotActive: 'the edge, or something that it hangs on, is suspended, expired or revoked',
  DelegationNotPermitted: '`spec.delegation` of an Application of the chain does not let the next one receive',
  ScopeNotDelegated: 'an edge of the chain does not carry the scope on the Resource',
  LifetimeExceedsDelegation: '`ttl_seconds` is longer than the edge lasts',
  LifetimeExhausted: 'what bounds the lifetime (policy, Grant, Application, subject token) leaves less than one second',
} as const;

export type DenialReason = keyof typeof DENIAL_REASONS;

export interface Denial {
  readonly type: 'denial';
  readonly reason: DenialReason;
  /** For the caller: names the check, the object and, for policy, its deny strings. Never a secret or an unverified claim. */
  readonly message: string;
  readonly scope?: string;
  readonly resource?: string;
  readonly denials?: readonly { readonly policy: string; readonly reason: string }[];
  /** The Grant that came nearest, `<namespace>/<name>`, with what it lacks: for operators and `caracal explain`. */
  readonly nearestGrant?: { readonly grant: string; readonly missing: readonly string[] };
}

/** Who asks, as authentication found it. Frozen at login and kept with the authority record. */
export interface Principal {
  readonly applicationID: string;
  readonly applicationUID: string;
  readonly credential: CredentialType;
  /** What instance of the credential: pod UID, key thumbprint, secret digest. */
  readonly instance: string;
  readonly workload: PolicyWorkload | null;
}

/** A checked exchange, before policy. */
export interface ExchangeRequest {
  readonly zoneID: string;
  readonly principal: Principal;
  readonly subject: PolicySubject;
  /** URL of the user's issuer as it was at the login: its name in the Zone may come to mean another. */
  readonly subjectIssuer?: string;
  readonly use: MandateUse;
  /** Undefined for a login. */
  readonly resource: string | undefined;
  readonly scopes: readonly string[];
  /** Seconds asked for, already inside the wire's cap. */
  readonly ttlSeconds: number | undefined;
  readonly sid: string;
  readonly rootSid: string;
  /** Unix seconds: the earliest end of whatever the request rests on (subject token, authority record). */
  readonly notAfter: number | undefined;
  /** The login or ID token that the request rests on; absent where the Application authenticated for itself. */
  readonly login?: Issued;
  /** The agent session within which it acts, and the edge under which. */
  readonly agentSessionID?: string;
  readonly delegationEdgeID?: string;
  /** Thumbprint (RFC 7638) of the key that the mandate is bound to. */
  readonly jkt?: string;
  /** The Application whose authority it is, where that is not the principal's own. */
  readonly root?: ApplicationRef;
  /** Ids of all that it rests on, root to leaf and above: what a Revocation may name. */
  readonly lineage?: {
    readonly sessions: readonly string[];
    readonly edges: readonly string[];
    /** Authority records of the logins that started the sessions, and the roots of these. */
    readonly sids: readonly string[];
    /** Ids of every Application of the chain. */
    readonly applications: readonly string[];
    /** Each session with when it started (Unix milliseconds), by whom, and for which user. */
    readonly started: readonly {
      readonly at: number;
      readonly applicationID: string;
      readonly subject?: { readonly issuer: string; readonly sub: string };
    }[];
  };
}

export interface Permit {
  readonly type: 'permit';
  readonly request: ExchangeRequest;
  /** Unix seconds. */
  readonly expiresAt: number;
  /** `<namespace>/<name>` of every Grant that covered a scope. */
  readonly grants: readonly string[];
  readonly policyDigest: string;
  /** Within an agent session. */
  readonly lineage?: Lineage;
}

/** What a permit rested on, by UID. */
export interface DecisionBasis {
  readonly resourceUID: string;
  /** Of every Grant that covered a scope. */
  readonly grantUIDs: readonly string[];
}

/** What is durable before a mandate exists, and the evidence of every refusal. Holds no token and no secret. */
export interface DecisionRecord {
  /** UUIDv7; of a gateway's batch a UUID made of its name. */
  readonly id: string;
  readonly zoneUID: string;
  readonly zoneID: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly requestID: string;
  /** `consume`: a mandate of single use was spent at a gateway, or, as a denial, presented again. */
  readonly kind: 'exchange' | 'refusal' | 'act' | 'consume' | 'configuration' | 'gateway';
  readonly outcome: 'permit' | 'hold' | 'denial' | 'error' | 'done';
  /** Set exactly when an exchange was permitted: a mandate has one decision. */
  readonly jti?: string;
  /** Unix seconds; set exactly when an exchange was permitted. */
  readonly expiresAt?: number;
  readonly epoch: number;
  readonly policyDigest?: string;
  /** The wire's `error` where one was sent. */
  readonly error?: string;
  readonly denial?: Denial;
  readonly request?: ExchangeRequest;
  readonly grants?: readonly string[];
  /** Set for a permit for a resource. */
  readonly basis?: DecisionBasis;
  /** Set exactly for `consume`: which mandate, for which Resource, by which gateway (`<namespace>/<ServiceAccount>`). */
  readonly consumed?: { readonly jti: string; readonly resource: string; readonly gateway: string };
  /** The input of each scope's decision, so that it can be replayed. */
  readonly inputs?: readonly PolicyInput[];
  readonly outcomes?: readonly PolicyOutcome[];
  /** Of a hold: what waits for a person; of a permit: the approval that it spent. */
  readonly challengeID?: string;
  /** Set exactly when kind is act. */
  readonly act?: RuntimeAct;
  /** Set exactly when kind is configuration. */
  readonly activation?: Activation;
  /** Set exactly when kind is gateway. */
  readonly gateway?: GatewayAct;
}

/** What was done to a zone's runtime state. */
export interface RuntimeAct {
  readonly name:
    | 'session.started'
    | 'session.ended'
    | 'session.suspended'
    | 'session.resumed'
    | 'session.lease'
    | 'delegation.created'
    | 'delegation.revoked'
    | 'challenge.opened'
    | 'challenge.decided'
    | 'zone.frozen'
    | 'zone.unfrozen'
    | 'expired'
    | 'revoked';
  /** An application id, `operator:<user>`, `subject:<issuer>:<sub>`, `time` or `configuration`. */
  readonly by: string;
  /** Each with its kind, id and status from then on. */
  readonly objects: readonly Readonly<Record<string, unknown>>[];
}

/** What is needed of a permit's record to judge its mandate again; the most of a record is the rest. */
export type IssuedDecision = Pick<DecisionRecord, 'outcome' | 'at' | 'epoch' | 'request' | 'basis' | 'challengeID'>;

export function toIssuedDecision({ outcome, at, epoch, request, basis, challengeID }: IssuedDecision): IssuedDecision {
  return {
    ...{ outcome, at, epoch },
    ...(request && { request }),
    ...(basis && { basis }),
    ...(challengeID !== undefined && { challengeID }),
  };
}
