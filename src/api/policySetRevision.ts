/** PolicySetRevision: the immutable, content-addressed text of a PolicySet that passed its tests. */
import * as z from 'zod';
import { conditionColumn, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { APPLIES_TO, policyAppliesTo, rego } from './policy.ts';
import { stalls, waits, yes } from './reasons.ts';
import { IMMUTABLE, listMap, name, policyDigest } from './schema.ts';

export const policySetRevisionSpec = z.object({
  /** Name of the PolicySet, same namespace. */
  set: name(52).describe('Name of the PolicySet, same namespace.'),
  number: z.int().min(1).max(2147483647).describe('1, 2, 3 …: a re-created set starts at 1.'),
  /** `sha256:<hex>` over the text below; readers recompute it. */
  digest: policyDigest().describe('`sha256:<hex>` over the text below; readers recompute it.'),
  policies: listMap(
    z
      .array(
        z
          .object({
            name: name(63).describe('Name of the Policy it was copied from.'),
            rego: rego().describe('Its module.'),
            appliesTo: policyAppliesTo.optional().describe(APPLIES_TO),
          })
          .describe('One module.'),
      )
      .min(1)
      .max(256),
    'name',
  ).describe('The text of every Policy.'),
});

export type PolicySetRevisionSpec = z.output<typeof policySetRevisionSpec>;

export type PolicySetRevisionStatus = BaseStatus;

export type PolicySetRevision = KindObject<'PolicySetRevision', PolicySetRevisionSpec, PolicySetRevisionStatus>;

export const policySetRevision: KindDefinition = {
  kind: 'PolicySetRevision',
  plural: 'policysetrevisions',
  singular: 'policysetrevision',
  shortNames: ['cpsr'],
  description:
    'The immutable text of a PolicySet that compiled and passed its tests. Written by the controller only; a Zone pins one to roll back.',
  maxNameLength: 63,
  spec: policySetRevisionSpec,
  specRules: [IMMUTABLE],
  statusSchema: {},
  printerColumns: [
    { name: 'Set', type: 'string', jsonPath: '.spec.set', description: 'The PolicySet it is of.' },
    { name: 'Number', type: 'integer', jsonPath: '.spec.number', description: 'Its number.' },
    conditionColumn('Active', 'Active', 'status', 'Whether it decides in a Zone.'),
    { name: 'Digest', type: 'string', jsonPath: '.spec.digest', description: 'Digest of its text.', priority: 1 },
  ],
  selectableFields: ['.spec.set'],
  conditions: {
    Active: {
      meaning: 'Whether it decides in a Zone.',
      reasons: {
        Active: yes('It decides; the message names the Zones.'),
        Inactive: waits('No Zone uses it.', 'Nothing, or pin it in `Zone.spec.policySetRef`.'),
      },
    },
    Accepted: {
      meaning: 'Present only where the revision is refused.',
      reasons: {
        ReservedName: stalls(
          'Its name begins with `caracal-sys` outside of Caracal’s own namespace.',
          'Rename the PolicySet.',
        ),
      },
    },
  },
};
