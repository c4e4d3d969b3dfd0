/** The aggregated API of runtime state: its group and version, and every resource with its verbs. */

export const GROUP = 'runtime.caracal.run';
const VERSION = 'v1alpha1';
export const GROUP_VERSION = `${GROUP}/${VERSION}`;
export const BASE = `/apis/${GROUP_VERSION}`;
export const VERSION_NAME = VERSION;

/** What is listed, watched and ended; each object lives in its Zone's namespace, under its id. */
export type Plural = 'agentsessions' | 'delegationedges' | 'stepupchallenges';

export interface ResourceInfo {
  readonly plural: Plural;
  readonly singular: string;
  readonly kind: 'AgentSession' | 'DelegationEdge' | 'StepUpChallenge';
  readonly shortNames: readonly string[];
  readonly verbs: readonly string[];
  /** Selectable besides `metadata.name` and `metadata.namespace`. */
  readonly fields: readonly string[];
}

/**
 * No `deletecollection`: whoever deletes many names each, so that each end has its own record. Challenges are not
 * deleted: they are decided, or expire.
 */
export const RESOURCES: readonly ResourceInfo[] = [
  {
    plural: 'agentsessions',
    singular: 'agentsession',
    kind: 'AgentSession',
    shortNames: ['casess'],
    verbs: ['delete', 'get', 'list', 'watch'],
    fields: ['spec.zone', 'spec.application', 'spec.lifecycle', 'spec.parent', 'status.state'],
  },
  {
    plural: 'delegationedges',
    singular: 'delegationedge',
    kind: 'DelegationEdge',
    shortNames: ['cedge'],
    verbs: ['delete', 'get', 'list', 'watch'],
    fields: [
      'spec.zone',
      'spec.issuer',
      'spec.receiver',
      'spec.sourceSession',
      'spec.targetSession',
      'spec.parentEdge',
      'status.state',
    ],
  },
  {
    plural: 'stepupchallenges',
    singular: 'stepupchallenge',
    kind: 'StepUpChallenge',
    shortNames: ['cstep'],
    verbs: ['get', 'list', 'watch'],
    fields: [
      'spec.zone',
      'spec.application',
      'spec.session',
      'spec.resource',
      'spec.tier',
      'spec.approver',
      'status.state',
    ],
  },
];

export interface SubresourceInfo {
  readonly name: string;
  readonly singular: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

/** What is not an object: acts and questions. */
export const ACTIONS: readonly SubresourceInfo[] = [
  { name: 'stepupchallenges/decision', singular: '', kind: 'StepUpDecision', verbs: ['create'] },
  { name: 'zones/freeze', singular: '', kind: 'ZoneFreeze', verbs: ['create', 'delete', 'get'] },
  { name: 'authorityreviews', singular: 'authorityreview', kind: 'AuthorityReview', verbs: ['create'] },
  { name: 'authoritylists', singular: 'authoritylist', kind: 'AuthorityList', verbs: ['create'] },
];

export function resourceOf(plural: string): ResourceInfo | undefined {
  return RESOURCES.find((one) => one.plural === plural);
}
