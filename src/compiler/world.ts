/** Everything compile may look at, as plain values: objects, namespaces, key sets and OPA's results. */
import type { Application } from '../api/application.ts';
import type { Grant } from '../api/grant.ts';
import type { NamespaceObject } from '../api/meta.ts';
import type { Policy } from '../api/policy.ts';
import type { PolicySet } from '../api/policySet.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Resource } from '../api/resource.ts';
import type { Revocation } from '../api/revocation.ts';
import type { Zone } from '../api/zone.ts';
import type { VerificationKey } from '../authority/snapshot.ts';

/** Objects are immutable values: a changed object is a new reference, which is what memoisation keys on. */
export interface World {
  /** Caracal's own namespace, the only one where names beginning `caracal-sys` are allowed. */
  readonly systemNamespace: string;
  readonly namespaces: readonly NamespaceObject[];
  readonly zones: readonly Zone[];
  readonly applications: readonly Application[];
  readonly resources: readonly Resource[];
  readonly grants: readonly Grant[];
  readonly policies: readonly Policy[];
  readonly policySets: readonly PolicySet[];
  readonly policySetRevisions: readonly PolicySetRevision[];
  readonly revocations: readonly Revocation[];
  /** Public halves of each zone's signing keys, by zone UID. */
  readonly keySets: ReadonlyMap<string, KeySetState>;
}

export type KeySetState =
  | { readonly ok: true; readonly keys: readonly VerificationKey[] }
  /** The key Secret exists but cannot be used. */
  | { readonly ok: false; readonly message: string };

/** The kinds a source watches; `/v1/programmed` reports one resourceVersion for each. */
export type WatchedKind =
  | 'Zone'
  | 'Application'
  | 'Resource'
  | 'Grant'
  | 'Policy'
  | 'PolicySet'
  | 'PolicySetRevision'
  | 'Revocation'
  | 'Namespace'
  | 'KeySet';

/** Where a World comes from: reflectors on the Kubernetes API, or a folder of manifests. */
export interface WorldSource {
  /** Resolves when every kind has been listed once. */
  start(): Promise<void>;
  /** The present state; the same reference until something changes. */
  world(): World;
  /** Per kind, the resourceVersion (integer as string) up to which `world()` is complete. */
  versions(): Readonly<Partial<Record<WatchedKind, string>>>;
  /** Called after each change, coalesced to at most once per tick. Returns the unsubscribe function. */
  onChange(listener: () => void): () => void;
  /** Milliseconds since the source last heard from its origin (monotonic clock). */
  lastEventAge(): number;
  close(): Promise<void>;
}
