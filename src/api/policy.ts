/** Policy: one Rego v1 module with its tests. */
import * as z from 'zod';
import { READY_COLUMN, REASON_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { accepted, PROGRESS, ready, stalls } from './reasons.ts';
import { checked, listMap, prose, text } from './schema.ts';

/** A pattern, not a rule: within a revision's 256 policies rules on each would cost more than a CRD may. */
const applicationID = text(127).regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?[.][a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

export const policyAppliesTo = z.object({
  resources: z
    .array(text(512).describe('The identifier of a Resource.'))
    .max(64)
    .optional()
    .describe('The Resources that it may speak about, by identifier; all when absent.'),
  applications: z
    .array(applicationID.describe('`<namespace>.<name>` of an Application.'))
    .max(64)
    .optional()
    .describe('The Applications that it may speak about; all when absent.'),
});

export const APPLIES_TO =
  'What the module can speak about; where both are given both must match. It bounds `deny` too.';

/** ≤64 KiB: client-side apply dies above 256 KiB of annotations. */
export const rego = () => text(65536);

const expectedStepUp = z.object({
  tier: text(64)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .describe('What kind of act it is.'),
  approver: z.enum(['operator', 'subject', 'any']).describe('Who has to approve.'),
  ttl_seconds: z.number().int().min(1).max(86400).optional().describe('How long they have.'),
  reason: prose(1024).optional().describe('Why they are asked.'),
});

const expectation = checked(
  z.object({
    allow: z.boolean().optional().describe('Whether it permits; undefined counts as false.'),
    deny: z.array(prose(1024).describe('A reason.')).max(64).optional().describe('The reasons, all of them.'),
    step_up: z
      .array(expectedStepUp.describe('An approval that it asks for.'))
      .max(16)
      .optional()
      .describe('The approvals, all of them, each with exactly these members; empty where it asks for none.'),
    max_ttl_seconds: z.number().min(0).max(1_000_000_000).optional().describe('The lifetime that it sets.'),
  }),
  {
    rule: 'has(self.allow) || has(self.deny) || has(self.step_up) || has(self.max_ttl_seconds)',
    message: 'at least one of allow, deny, step_up and max_ttl_seconds must be set: a test expects something',
  },
);

const test = z.object({
  name: prose(256).min(1).describe('What it shows.'),
  input: z
    .record(z.string(), z.unknown())
    .meta({ 'x-kubernetes-preserve-unknown-fields': true })
    .optional()
    .describe('Laid over a complete default input.'),
  expect: expectation.describe('What the module must say.'),
});

export const policySpec = z.object({
  rego: rego().describe(
    'One Rego v1 module, in a package under `caracal.policy.` or, constants only, `caracal.data.`.',
  ),
  description: prose(1024).optional().describe('What it is for.'),
  appliesTo: policyAppliesTo.optional().describe(APPLIES_TO),
  tests: listMap(z.array(test.describe('One test.')).max(256), 'name')
    .optional()
    .describe('Run at every change; a Policy whose tests fail is not accepted.'),
});

export type PolicySpec = z.output<typeof policySpec>;

export interface PolicyStatus extends BaseStatus {
  /** "5/5": the Tests column. */
  readonly tests?: string;
}

export type Policy = KindObject<'Policy', PolicySpec, PolicyStatus>;

export const POLICY_TOO_LARGE = stalls('Its text is larger than the bounds allow.', 'Split it.');

export const policy: KindDefinition = {
  kind: 'Policy',
  plural: 'policies',
  singular: 'policy',
  shortNames: ['cpol'],
  description: 'One Rego v1 module with its tests. It decides nothing until a PolicySet that a Zone names lists it.',
  maxNameLength: 63,
  spec: policySpec,
  specRules: [],
  statusSchema: { tests: prose(32).optional().describe('Tests that passed, of all.') },
  printerColumns: [
    { name: 'Tests', type: 'string', jsonPath: '.status.tests', description: 'Tests that passed, of all.' },
    READY_COLUMN,
    REASON_COLUMN,
  ],
  selectableFields: [],
  conditions: {
    Ready: ready(),
    Accepted: accepted({
      CompileFailed: stalls('The module does not compile.', 'Correct the line that the message names.'),
      PackageInvalid: stalls(
        'Its package is not one a Policy may use, or it refers to one it may not.',
        'Use a package of its own under `caracal.policy.`.',
      ),
      TestsFailed: stalls(
        'One of its tests fails or takes too long.',
        'Correct the module or the test that the message names.',
      ),
      TooLarge: POLICY_TOO_LARGE,
    }),
    ...PROGRESS,
  },
};
