/** Grant: (application, subject) → scopes on a resource. A ceiling, not a decision. */
import * as z from 'zod';
import { READY_COLUMN, REASON_COLUMN, ZONE_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { accepted, PROGRAMMED, PROGRESS, ready, REFERENCES, stalls, waits } from './reasons.ts';
import { applicationRef, checked, exactlyOne, instant, matching, name, prose, scope, text, zoneRef } from './schema.ts';

const issuerName = () => name(63).describe('The name of an entry of the Zone’s `subjectIssuers`.');

const NO_CONTROL = '^[^\\x00-\\x1f\\x7f]+$';

const subject = checked(
  z.object({
    application: z.object({}).optional().describe('The application acting for itself.'),
    user: z
      .object({
        issuer: issuerName(),
        sub: checked(text(255), matching(NO_CONTROL, 'must be a sub claim without control characters')).describe(
          'The `sub` of the user’s ID tokens, byte by byte.',
        ),
      })
      .optional()
      .describe('One user.'),
    group: z
      .object({
        issuer: issuerName(),
        group: checked(text(255), matching(NO_CONTROL, 'must be a group without control characters')).describe(
          'As the issuer’s groups claim lists it.',
        ),
      })
      .optional()
      .describe('The users of one group.'),
    anyUser: z.object({}).optional().describe('Every user of the Zone’s issuers.'),
  }),
  exactlyOne('application', 'user', 'group', 'anyUser'),
);

export const grantSpec = z.object({
  zoneRef: zoneRef(),
  applicationRef: applicationRef(),
  resourceRef: z
    .object({ name: name(63).describe('Name of the Resource.') })
    .describe('On what; same namespace, since a resource’s owner decides.'),
  scopes: z
    .array(scope().describe('A scope that the Resource declares.'))
    .min(1)
    .max(64)
    .describe('What may be done, at most.'),
  subjects: z
    .array(subject.describe('For whom.'))
    .min(1)
    .max(64)
    .optional()
    .describe('For whom the application may act; only for itself when absent.'),
  delegation: z
    .enum(['None', 'SameApplication', 'Zone'])
    .default('SameApplication')
    .describe(
      'How far this authority may travel by delegation: not at all; between agent sessions of the application that receives it; or to every Application of the Zone.',
    ),
  notBefore: instant().optional().describe('When it begins (RFC 3339).'),
  expiresAt: instant().optional().describe('When it ends, exclusive (RFC 3339).'),
});

export type GrantSpec = z.output<typeof grantSpec>;

export interface GrantStatus extends BaseStatus {
  /** Space-delimited scopes: the Scopes column. */
  readonly scopes?: string;
}

export type Grant = KindObject<'Grant', GrantSpec, GrantStatus>;

export const grant: KindDefinition = {
  kind: 'Grant',
  plural: 'grants',
  singular: 'grant',
  shortNames: ['cgrant'],
  description:
    'What an Application may do on a Resource, at most, and for whom. Deleting or narrowing it takes effect on issued mandates too.',
  maxNameLength: 63,
  spec: grantSpec,
  specRules: [],
  statusSchema: { scopes: prose(16384).optional().describe('Its scopes, space-delimited.') },
  printerColumns: [
    { name: 'Application', type: 'string', jsonPath: '.spec.applicationRef.name', description: 'Who receives.' },
    { name: 'Resource', type: 'string', jsonPath: '.spec.resourceRef.name', description: 'On what.' },
    { name: 'Scopes', type: 'string', jsonPath: '.status.scopes', description: 'What may be done, at most.' },
    READY_COLUMN,
    REASON_COLUMN,
    { ...ZONE_COLUMN, priority: 1 },
    { name: 'Expires', type: 'string', jsonPath: '.spec.expiresAt', description: 'When it ends.', priority: 1 },
  ],
  selectableFields: ['.spec.zoneRef.name'],
  conditions: {
    Ready: ready(),
    Accepted: accepted({
      ...REFERENCES,
      ScopeNotDeclared: stalls(
        'It names a scope that its Resource does not declare.',
        'Declare it there or remove it here.',
      ),
      IssuerNotTrusted: stalls(
        'A subject names an issuer that is not in the Zone’s `subjectIssuers`.',
        'Add it there or correct the name.',
      ),
      NotYetValid: waits('`spec.notBefore` is yet to come.', 'Wait, or set an earlier one.'),
      Expired: stalls('`spec.expiresAt` has passed.', 'Set a later one.'),
    }),
    Programmed: PROGRAMMED,
    ...PROGRESS,
  },
};
