/** Revocation: takes away what was issued, now and for good; deleting it gives nothing back. */
import * as z from 'zod';
import { conditionColumn, REASON_COLUMN, ZONE_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { accepted, ENFORCED, PROGRAMMED, PROGRESS, ready, REFERENCES, yes } from './reasons.ts';
import {
  checked,
  duration,
  exactlyOne,
  IMMUTABLE,
  instant,
  matching,
  name,
  prose,
  reference,
  text,
  zoneRef,
} from './schema.ts';
import { gatewaysStatus } from './zone.ts';

const uuid = (what: string) =>
  checked(text(36), matching('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', `must be ${what}: a UUID in lower case`));

const target = checked(
  z.object({
    session: uuid('the sid of a login').optional().describe('One login or instance, by the `sid` of its mandates.'),
    rootSession: uuid('the root_sid of a chain')
      .optional()
      .describe('A login or instance and all that came of it, by the `root_sid` of its mandates.'),
    agentSession: uuid('the id of an agent session')
      .optional()
      .describe('An agent session and all that came of it, by its id: its children, and what was delegated from them.'),
    delegationEdge: uuid('the id of a delegation edge')
      .optional()
      .describe('A transfer of authority and all that was passed on from it, by the id of the edge.'),
    mandate: uuid('the jti of a mandate')
      .optional()
      .describe('One mandate, by its `jti`, and what it was exchanged for.'),
    application: reference('Application').optional().describe('Everything issued to an Application.'),
    subject: z
      .object({
        issuer: name(63).describe('The name of an entry of the Zone’s `subjectIssuers`.'),
        sub: checked(
          text(255),
          matching('^[^\\x00-\\x1f\\x7f]+$', 'must be a sub claim without control characters'),
        ).describe('The `sub` of the user’s ID tokens, byte by byte.'),
      })
      .optional()
      .describe('Everything issued for a user, logins too.'),
    resource: reference('Resource').optional().describe('Every mandate for a Resource.'),
    everything: z.object({}).optional().describe('Everything issued in the Zone.'),
  }),
  exactlyOne(
    'session',
    'rootSession',
    'agentSession',
    'delegationEdge',
    'mandate',
    'application',
    'subject',
    'resource',
    'everything',
  ),
);

export const revocationSpec = z.object({
  zoneRef: zoneRef(),
  reason: text(256).describe('Why, for people.'),
  target: target.describe(
    'What is taken away. In another namespace than the Zone’s only an Application or Resource of that namespace.',
  ),
  issuedBefore: instant()
    .optional()
    .describe(
      'Only what was issued before this instant (RFC 3339); what was issued before the Revocation took effect when absent. A session, root session, agent session, delegation edge or mandate is taken away by its id, for good, whatever this says.',
    ),
  ttlAfterComplete: duration('0s', '8760h')
    .optional()
    .describe('How long after it is Complete the object is deleted; never when absent, nor from a folder.'),
});

export type RevocationSpec = z.output<typeof revocationSpec>;

export interface RevocationStatus extends BaseStatus {
  /** The Target column. */
  readonly target?: string;
  readonly gateways?: { readonly connected: number; readonly current: number; readonly summary: string };
}

export type Revocation = KindObject<'Revocation', RevocationSpec, RevocationStatus>;

export const revocation: KindDefinition = {
  kind: 'Revocation',
  plural: 'revocations',
  singular: 'revocation',
  shortNames: ['crev'],
  description:
    'Takes away what was issued: a login, an agent session, a delegation edge, a mandate, or all of an Application, user, Resource or Zone. Immutable; deleting it gives nothing back.',
  maxNameLength: 63,
  spec: revocationSpec,
  specRules: [IMMUTABLE],
  statusSchema: {
    target: prose(512).optional().describe('What it takes away, in one line.'),
    gateways: gatewaysStatus,
  },
  printerColumns: [
    ZONE_COLUMN,
    { name: 'Target', type: 'string', jsonPath: '.status.target', description: 'What it takes away.' },
    conditionColumn('Enforced', 'Enforced', 'status', 'Whether every connected gateway enforces it.'),
    REASON_COLUMN,
  ],
  selectableFields: ['.spec.zoneRef.name'],
  conditions: {
    Ready: ready(),
    Accepted: accepted(REFERENCES),
    Programmed: PROGRAMMED,
    Enforced: ENFORCED,
    Complete: {
      meaning: 'Present and True when nothing that it affects is alive any more.',
      reasons: { Complete: yes('Whatever it takes away has expired as well.') },
    },
    ...PROGRESS,
  },
};
