/** What the controller writes through and observes with; the Kubernetes API and the folder each implement it. */
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { WatchedKind } from '../compiler/world.ts';
import type { VerdictKind } from '../compiler/verdict.ts';
import type { PrivateZoneKey } from '../tokens/keys.ts';

export interface ObjectReference {
  readonly kind: VerdictKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** The only writer of the configuration's derived state. Each write fails rather than overwrite a newer one. */
export interface Publisher {
  createRevision(
    revision: Omit<PolicySetRevision, 'metadata' | 'status'> & {
      readonly metadata: Pick<PolicySetRevision['metadata'], 'name' | 'namespace'> &
        Partial<Pick<PolicySetRevision['metadata'], 'labels' | 'ownerReferences'>>;
    },
  ): Promise<void>;
  deleteRevision(reference: ObjectReference): Promise<void>;
  /** Deletes a Revocation whose `ttlAfterComplete` is over. Absent where files are the truth: they stay. */
  deleteRevocation?(reference: ObjectReference): Promise<void>;
  /** Replaces the zone's whole key set. */
  writeKeySet(zone: { readonly uid: string; readonly id: string }, keys: readonly PrivateZoneKey[]): Promise<void>;
  writeStatus(reference: ObjectReference, status: Readonly<Record<string, unknown>>): Promise<void>;
  emitEvent(reference: ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): Promise<void>;
}

/** What one ready STS replica reports at `/v1/programmed`. */
export interface ReplicaReport {
  readonly replica: string;
  /** Per kind the resourceVersion up to which it has compiled. */
  readonly versions: Readonly<Partial<Record<WatchedKind, string>>>;
  /** Per zone id. */
  readonly zones: Readonly<Record<string, ReplicaZoneReport>>;
}

export interface ReplicaZoneReport {
  /** The reason of a freeze by command, while there is one. */
  readonly freeze?: string;
  /** Key ids this replica publishes. */
  readonly kids: readonly string[];
  readonly gateways: ReplicaGateways;
  /** Per resource identifier, the gateways that serve it. */
  readonly resources: Readonly<Record<string, ReplicaGateways>>;
}

export interface ReplicaGateways {
  readonly connected: number;
  /** How many acknowledged the configuration. */
  readonly current: number;
  /** How many acknowledged the zone's epoch, or were silent for so long that they deny. Absent: an older replica. */
  readonly informed?: number;
}

/** Asks every ready STS replica; an unreachable replica rejects. */
export interface ReplicaObserver {
  observe(): Promise<readonly ReplicaReport[]>;
}
