/** PolicySet: which Policies decide together. */
import * as z from 'zod';
import { READY_COLUMN, REASON_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { POLICY_TOO_LARGE } from './policy.ts';
import { accepted, PROGRESS, ready, stalls, waits } from './reasons.ts';
import { listMap, name, prose } from './schema.ts';

export const policySetSpec = z.object({
  policies: listMap(
    z
      .array(z.object({ name: name(63).describe('Name of the Policy.') }).describe('A Policy of the own namespace.'))
      .min(1)
      .max(256),
    'name',
  ).describe('The Policies that decide together; their order has no meaning.'),
  historyLimit: z
    .int()
    .min(1)
    .max(100)
    .default(10)
    .describe('How many revisions are kept; those active or pinned are always kept.'),
});

export type PolicySetSpec = z.output<typeof policySetSpec>;

export interface PolicySetStatus extends BaseStatus {
  /** Number of the latest revision. */
  readonly revision?: number;
  readonly digest?: string;
  /** How many policies: the Policies column. */
  readonly policies?: number;
}

export type PolicySet = KindObject<'PolicySet', PolicySetSpec, PolicySetStatus>;

export const policySet: KindDefinition = {
  kind: 'PolicySet',
  plural: 'policysets',
  singular: 'policyset',
  shortNames: ['cps'],
  description:
    'Which Policies decide together. Each content that compiles and passes its tests becomes a PolicySetRevision.',
  maxNameLength: 52,
  spec: policySetSpec,
  specRules: [],
  statusSchema: {
    revision: z.int().min(0).optional().describe('Number of the latest revision.'),
    digest: prose(71).optional().describe('Digest of the latest revision.'),
    policies: z.int().min(0).optional().describe('How many Policies it lists.'),
  },
  printerColumns: [
    { name: 'Policies', type: 'integer', jsonPath: '.status.policies', description: 'How many Policies it lists.' },
    { name: 'Revision', type: 'integer', jsonPath: '.status.revision', description: 'Number of the latest revision.' },
    READY_COLUMN,
    REASON_COLUMN,
  ],
  selectableFields: [],
  conditions: {
    Ready: ready(),
    Accepted: accepted({
      ReferenceNotFound: waits('It lists a Policy that does not exist.', 'Create it or correct the name.'),
      ReferenceNotAccepted: waits('It lists a Policy that is not accepted.', 'See the conditions of that Policy.'),
      PackageConflict: stalls('Two of its Policies use one package.', 'Give each Policy a package of its own.'),
      CompileFailed: stalls('Its Policies compile each but not together.', 'Correct what the message names.'),
      TooLarge: POLICY_TOO_LARGE,
    }),
    ...PROGRESS,
  },
};
