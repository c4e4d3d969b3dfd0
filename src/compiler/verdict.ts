/** What compile says of each object: conditions without the ones that only observation can give. */
import type { ConditionStatus } from '../api/meta.ts';

export type VerdictKind =
  'Zone' | 'Application' | 'Resource' | 'Grant' | 'Policy' | 'PolicySet' | 'PolicySetRevision' | 'Revocation';

/** A condition before it has a time and an observedGeneration. */
export interface VerdictCondition {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

export interface Verdict {
  readonly kind: VerdictKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  /** Accepted; for Revocation also Complete where time says so; for Zone also KeysReady, PolicyActive and (when frozen) Frozen; for PolicySetRevision only Active. */
  readonly conditions: readonly VerdictCondition[];
  /** Status fields besides conditions that follow from the world alone (Zone.policy, Policy.tests …). */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Key of a verdict: `<Kind>/<namespace>/<name>` (Kubernetes names hold no slash). */
export function objectKey(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}
