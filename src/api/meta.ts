/** The parts every object of our API group shares: metadata, conditions and references. */

export const GROUP = 'caracal.run';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** The subset of metav1.ObjectMeta that Caracal reads. `resourceVersion` compares as an integer. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** RFC 3339. */
  readonly creationTimestamp: string;
  /** RFC 3339; an object that carries it is treated as absent. */
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

export type ConditionStatus = 'True' | 'False' | 'Unknown';

/** metav1.Condition. */
export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339, whole seconds. */
  readonly lastTransitionTime: string;
}

/** What every status of ours carries. */
export interface BaseStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
}

/** One object of our API group. */
export interface KindObject<Kind extends string, Spec, Status extends BaseStatus> {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
  readonly status?: Status;
}

/** A namespace as the compiler sees it: labels belong to administrators. */
export interface NamespaceObject {
  readonly metadata: Pick<ObjectMeta, 'name' | 'uid' | 'resourceVersion' | 'labels'>;
}
