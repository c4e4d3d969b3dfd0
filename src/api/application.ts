/** Application: registered software, the principal. */
import * as z from 'zod';
import { READY_COLUMN, REASON_COLUMN, ZONE_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { accepted, PROGRAMMED, PROGRESS, ready, REFERENCES, stalls } from './reasons.ts';
import {
  checked,
  exactlyOne,
  instant,
  issuer,
  jwks,
  keySource,
  matching,
  ONE_KEY_SOURCE,
  prose,
  reference,
  serviceAccountName,
  text,
  zoneRef,
} from './schema.ts';

const secretDigest = checked(
  text(64),
  matching('^[0-9a-f]{64}$', 'must be a SHA-256 digest: 64 lower case hex digits, as `caracal secret new` prints'),
);

const oidc = checked(
  z.object({
    issuer: issuer().describe('The `iss` of its tokens, byte by byte.'),
    audience: text(512).describe('The `aud` that its tokens must carry.'),
    subject: text(512).describe('The `sub` of its tokens, byte by byte.'),
    ...keySource(),
  }),
  ONE_KEY_SOURCE,
);

const identity = checked(
  z.object({
    serviceAccount: z
      .object({ name: serviceAccountName().describe('Its name; it need not exist yet.') })
      .optional()
      .describe('A ServiceAccount of the own namespace: pods that run as it.'),
    oidc: oidc.optional().describe('A workload of another issuer: other clusters, CI systems, SPIFFE JWT-SVIDs.'),
    privateKeyJWT: z
      .object({ jwks: jwks() })
      .optional()
      .describe('A key pair (RFC 7523), of which these are the public halves.'),
    clientSecret: z
      .object({
        sha256: z
          .array(secretDigest.describe('Hex digest of a random 256-bit secret.'))
          .min(1)
          .max(4)
          .describe('Digests of the secrets; two at once is rotation.'),
      })
      .optional()
      .describe('A shared secret, for software outside of clusters; `caracal secret new` makes one.'),
  }),
  exactlyOne('serviceAccount', 'oidc', 'privateKeyJWT', 'clientSecret'),
);

const delegation = checked(
  z.object({
    receivers: z
      .enum(['Same', 'Zone', 'Listed'])
      .default('Same')
      .describe('Only the Application itself; every Application of the Zone; or itself and those listed.'),
    applications: z
      .array(reference('Application').describe('An Application of the Zone.'))
      .min(1)
      .max(64)
      .optional()
      .describe('With Listed. A name that does not exist is no error: nobody receives by it.'),
  }),
  {
    rule: '(self.receivers == "Listed") == has(self.applications)',
    message: 'applications must be set with receivers: Listed, and only with it',
  },
);

export const applicationSpec = z.object({
  zoneRef: zoneRef(),
  displayName: prose(128).optional().describe('Shown to people.'),
  identities: z
    .array(identity.describe('One way to authenticate.'))
    .min(1)
    .max(16)
    .describe('How it authenticates; any one suffices. Unique in the zone.'),
  subjectAudiences: z
    .array(text(512).describe('An `aud` or `azp`.'))
    .max(16)
    .optional()
    .describe('Whose ID tokens, by `aud` or `azp`, it may present; none when absent.'),
  delegation: delegation
    .prefault({ receivers: 'Same' })
    .describe('Who may receive authority that it delegates. Narrowing it takes effect on issued mandates too.'),
  expiresAt: instant().optional().describe('When it ends, exclusive (RFC 3339).'),
});

export type ApplicationSpec = z.output<typeof applicationSpec>;

export interface ApplicationStatus extends BaseStatus {
  /** Identity types, comma-separated: the Identity column. */
  readonly identity?: string;
}

export type Application = KindObject<'Application', ApplicationSpec, ApplicationStatus>;

export const application: KindDefinition = {
  kind: 'Application',
  plural: 'applications',
  singular: 'application',
  shortNames: ['capp'],
  description: 'Registered software, the principal. Whoever may create pods in its namespace can act as it.',
  maxNameLength: 63,
  spec: applicationSpec,
  specRules: [],
  statusSchema: { identity: prose(128).optional().describe('The types of its identities.') },
  printerColumns: [
    ZONE_COLUMN,
    { name: 'Identity', type: 'string', jsonPath: '.status.identity', description: 'The types of its identities.' },
    READY_COLUMN,
    REASON_COLUMN,
  ],
  selectableFields: ['.spec.zoneRef.name'],
  conditions: {
    Ready: ready(),
    Accepted: accepted({
      ...REFERENCES,
      Conflicted: stalls(
        'An older Application of the zone has one of its identities.',
        'Remove that identity here or there.',
      ),
      KeysInvalid: stalls('A key in a `jwks` cannot verify.', 'Use EC P-256, RSA of at least 2048 bit, or Ed25519.'),
      Expired: stalls('`spec.expiresAt` has passed.', 'Set a later one.'),
    }),
    Programmed: PROGRAMMED,
    ...PROGRESS,
  },
};
