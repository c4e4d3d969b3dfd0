/** The compiled configuration that every verifier and the STS decide from: plain, immutable, whole per zone. */

import type { RevocationEntry } from './revocation.ts';

/** All zones, by zone id (`<namespace>.<name>`). */
export interface Snapshot {
  readonly zones: ReadonlyMap<string, ZoneSnapshot>;
}

export interface ZoneSnapshot {
  /** `<namespace>.<name>`. */
  readonly id: string;
  /** Every cache, lock and limit is keyed by this, never by the name. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly frozen: { readonly reason: string } | undefined;
  /** Seconds. */
  readonly mandateTTL: number;
  /** Seconds. */
  readonly sessionTTL: number;
  readonly mintsPerMinute: number;
  readonly limits: AgentLimits;
  readonly stepUp: StepUpSettings;
  /** Seconds: how old a feed may be before a verifier denies. */
  readonly staleAfter: number;
  /** By `name`. */
  readonly subjectIssuers: ReadonlyMap<string, SubjectIssuer>;
  /** Absent: every exchange is denied. */
  readonly policy: ActivePolicy | undefined;
  /** By application id (`<namespace>.<name>`). */
  readonly applications: ReadonlyMap<string, ApplicationEntry>;
  /** By resource identifier, compared byte by byte. */
  readonly resources: ReadonlyMap<string, ResourceEntry>;
  /** By `grantKey(applicationID, resource identifier)`; only Grants that are in force by reference and content and time. */
  readonly grants: ReadonlyMap<string, readonly GrantEntry[]>;
  readonly keys: readonly VerificationKey[];
  /** As compiled: those of the configuration. As served: also every one that the store remembers. */
  readonly revocations: readonly RevocationEntry[];
  /** Hex SHA-256 over the canonical form of all of the above, as compiled. */
  readonly digest: string;
}

/** How many agent sessions there may be. */
export interface AgentLimits {
  /** Alive at once in the zone. */
  readonly agentSessions: number;
  /** Alive at once of one Application. */
  readonly agentSessionsPerApplication: number;
  /** Alive at once under one parent. */
  readonly children: number;
  /** The largest `depth` of an agent session, which is 0 at the root. */
  readonly depth: number;
}

export interface StepUpSettings {
  /** Seconds that a challenge waits for an operator. */
  readonly operatorTTL: number;
  /** Seconds that a challenge waits for the subject in person. */
  readonly subjectTTL: number;
  /** Ids; one that no Application of the zone has gives nothing. */
  readonly approverApplications: readonly string[];
  readonly allowServiceAccounts: boolean;
}

/** The unambiguous key of (application, resource): a JSON tuple. */
export function grantKey(applicationID: string, resourceIdentifier: string): string {
  return JSON.stringify([applicationID, resourceIdentifier]);
}

export interface ActivePolicy {
  readonly set: string;
  readonly revision: number;
  /** `sha256:<hex>` of the text (policy/digest.ts). */
  readonly digest: string;
  readonly modules: readonly PolicyModule[];
}

/** One Policy as a revision freezes it. */
export interface PolicyModule {
  readonly name: string;
  readonly rego: string;
  readonly appliesTo?: { readonly resources?: readonly string[]; readonly applications?: readonly string[] };
}

/** A key set as written in a spec, or where to fetch it. Exactly one is present. */
export interface KeySource {
  readonly jwks?: { readonly keys: readonly PublicJWK[] };
  readonly jwksURL?: string;
}

/** The public members we accept of a JWK (RFC 7517); a private member is an unknown field. */
export interface PublicJWK {
  readonly kty: string;
  readonly kid?: string;
  readonly alg?: string;
  readonly use?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
}

export interface SubjectIssuer {
  readonly name: string;
  readonly issuer: string;
  readonly keys: KeySource;
  readonly groupsClaim?: string;
  /** Claims that policy may see. */
  readonly claims: readonly string[];
}

export interface ApplicationEntry {
  /** `<namespace>.<name>`. */
  readonly id: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly identities: readonly ApplicationIdentity[];
  readonly subjectAudiences: readonly string[];
  readonly delegation: DelegationRule;
  /** Unix seconds, exclusive. */
  readonly expiresAt: number | undefined;
}

/** Who may receive edges that an Application issues: itself always, every Application of the zone, or those listed too. */
export interface DelegationRule {
  readonly receivers: 'Same' | 'Zone' | 'Listed';
  /** Ids, empty unless Listed; one that no Application of the zone has gives nothing. */
  readonly applications: readonly string[];
}

export type ApplicationIdentity =
  | { readonly type: 'serviceAccount'; readonly namespace: string; readonly name: string }
  | {
      readonly type: 'oidc';
      readonly issuer: string;
      readonly audience: string;
      readonly subject: string;
      readonly keys: KeySource;
    }
  | { readonly type: 'privateKeyJWT'; readonly jwks: { readonly keys: readonly PublicJWK[] } }
  /** Hex SHA-256 digests. */
  | { readonly type: 'clientSecret'; readonly sha256: readonly string[] };

export interface ResourceEntry {
  readonly identifier: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly type: 'HTTP';
  readonly scopes: readonly string[];
  /** Names of ServiceAccounts of its namespace whose gateways may serve it; undefined: any of its namespace. */
  readonly protectedBy: readonly string[] | undefined;
  /** Base URL that an `edge` gateway forwards to; undefined: only protected in place. */
  readonly upstream: string | undefined;
  readonly operations: readonly Operation[];
  readonly operationEnforcement: 'Declared' | 'Uniform';
  /** Seconds. */
  readonly mandateTTL: number | undefined;
  /** The gateway passes the verified mandate on instead of removing it. */
  readonly forwardMandate: boolean;
  /** Each of its mandates admits one request. */
  readonly singleUse: boolean;
  /** Required: only mandates bound to a key. */
  readonly proofOfPossession: 'Optional' | 'Required';
}

/** Which requests need which scopes: upper-case methods and a path template (`/a/{id}/b`, a last `/**`). */
export interface Operation {
  readonly methods: readonly string[];
  readonly path: string;
  readonly scopes: readonly string[];
}

export interface GrantEntry {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly applicationID: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly subjects: readonly GrantSubject[];
  /** How far its scopes may travel along edges: not at all, between sessions of its Application, or in the zone. */
  readonly delegation: 'None' | 'SameApplication' | 'Zone';
  /** Unix seconds, exclusive. */
  readonly expiresAt: number | undefined;
}

export type GrantSubject =
  | { readonly type: 'application' }
  /** `issuer`: the name in the zone's subjectIssuers. */
  | { readonly type: 'user'; readonly issuer: string; readonly sub: string }
  | { readonly type: 'group'; readonly issuer: string; readonly group: string }
  | { readonly type: 'anyUser' };

/** A mandate verification key of a zone (P-256). */
export interface VerificationKey {
  readonly kid: string;
  readonly x: string;
  readonly y: string;
  /** Unix milliseconds from which it may sign; undefined: a standby that is only published. */
  readonly activeAt: number | undefined;
}
