/** The policy input `caracal.run/policy-input/v1`: total, with typed nulls. Field names are the contract with Rego. */
import type { StepUpRequirement } from './stepUp/challenge.ts';

export interface PolicyInput {
  readonly schema: 'caracal.run/policy-input/v1';
  readonly zone: { readonly id: string };
  /** The scope under decision; "" for a login. */
  readonly scope: string;
  readonly action: { readonly name: 'token_exchange' | 'session' };
  readonly principal: {
    readonly id: string;
    readonly namespace: string;
    readonly name: string;
    readonly credential: CredentialType;
    readonly workload: PolicyWorkload | null;
    readonly key_bound: boolean;
  };
  readonly root: { readonly id: string; readonly namespace: string; readonly name: string };
  readonly subject: PolicySubject;
  readonly session: PolicySession | null;
  readonly delegation: PolicyDelegation | null;
  readonly resource: {
    readonly identifier: string;
    readonly namespace: string;
    readonly name: string;
    readonly type: string;
    readonly scopes: readonly string[];
  } | null;
  readonly request: {
    readonly scopes: readonly string[];
    readonly ttl_seconds: number;
    readonly use: 'session' | 'gateway' | 'resource';
  };
  readonly grants: readonly PolicyGrant[];
  /** UTC. */
  readonly time: PolicyTime;
}

export type CredentialType = 'serviceAccount' | 'oidc' | 'privateKeyJWT' | 'clientSecret';

export interface PolicyWorkload {
  readonly namespace: string;
  readonly service_account: string;
  readonly service_account_uid: string;
  readonly pod: string;
}

export interface PolicySubject {
  readonly type: 'application' | 'user';
  /** Name in subjectIssuers for a user, "" for an application. */
  readonly issuer: string;
  readonly sub: string;
  readonly groups: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  /** Unix seconds. */
  readonly auth_time: number | null;
  readonly acr: string | null;
  readonly amr: readonly string[];
}

/** The agent session within which it is asked; null outside of any. */
export interface PolicySession {
  readonly id: string;
  readonly kind: 'task' | 'service';
  readonly depth: number;
  readonly parent: string | null;
  readonly age_seconds: number;
  readonly claimed: { readonly labels: readonly string[]; readonly metadata: Readonly<Record<string, unknown>> };
}

/** The edge under which it is asked, with the chain root → leaf; null without delegation. */
export interface PolicyDelegation {
  readonly edge_id: string;
  readonly scopes: readonly string[];
  readonly resources: readonly string[];
  readonly hops_left: number;
  readonly chain: readonly { readonly application: string; readonly session: string | null }[];
  readonly expires_at: number;
}

export interface PolicyGrant {
  readonly namespace: string;
  readonly name: string;
  readonly scopes: readonly string[];
  /** The entry of the Grant's `subjects` that matched. */
  readonly subject: { readonly type: string; readonly issuer: string | null; readonly value: string | null };
}

export interface PolicyTime {
  readonly unix: number;
  readonly rfc3339: string;
  readonly weekday: 'Monday' | 'Tuesday' | 'Wednesday' | 'Thursday' | 'Friday' | 'Saturday' | 'Sunday';
  readonly hour: number;
  readonly minute: number;
}

/** What the active policy set says of one input. Anything but `permit: true` denies. */
export interface PolicyOutcome {
  /** Free of denials, and allowed; whether `stepUps` still hold it is decided by the platform. */
  readonly permit: boolean;
  /** Why the set could not answer; present means deny. */
  readonly failure?: 'timeout' | 'error' | 'unavailable' | 'too_large' | 'wrong_type';
  /** Every `deny` string, with the policy that said it. */
  readonly denials: readonly { readonly policy: string; readonly reason: string }[];
  /** Policies whose `allow` is true. */
  readonly allowedBy: readonly string[];
  /** Every `step_up`, sorted: what a person has to approve before this permits. */
  readonly stepUps: readonly StepUpRequirement[];
  /** Policies that applied (by appliesTo) and were asked. */
  readonly asked: readonly string[];
  /** Smallest `max_ttl_seconds` said by any. */
  readonly maxTTLSeconds?: number;
}
