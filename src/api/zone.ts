/** Zone: the tenant boundary. */
import * as z from 'zod';
import { READY_COLUMN, REASON_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { accepted, ENFORCED, PROGRAMMED, PROGRESS, ready, stalls, waits, yes } from './reasons.ts';
import {
  checked,
  duration,
  issuer,
  keySource,
  listMap,
  name,
  ONE_KEY_SOURCE,
  policyDigest,
  prose,
  reference,
  text,
} from './schema.ts';

const policySetRef = checked(
  z.object({
    name: name(52).describe('Name of the PolicySet, same namespace.'),
    revision: z.int().min(1).max(2147483647).optional().describe('Pins a revision by its number: rollback.'),
    digest: policyDigest()
      .optional()
      .describe(
        'Pins a revision by its digest, which is the same in every cluster; of several with one digest the highest.',
      ),
  }),
  {
    rule: '!(has(self.revision) && has(self.digest))',
    message: 'revision and digest both pin: at most one may be set',
  },
).describe('The policy set that decides; without one every exchange is denied.');

const labelValue = prose(63);
const labelKey = text(317);

const selectorTerm = checked(
  z.object({
    key: labelKey.describe('The label’s key.'),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the label is judged.'),
    values: z.array(labelValue.describe('A value.')).max(64).optional().describe('For In and NotIn.'),
  }),
  {
    rule: '(self.operator in ["In", "NotIn"]) == (has(self.values) && size(self.values) > 0)',
    message: 'values must be set with In and NotIn, and only with them',
  },
);

const selector = z
  .object({
    matchLabels: z
      .record(z.string(), labelValue)
      .meta({ maxProperties: 64 })
      .optional()
      .describe('Labels with exactly these values.'),
    matchExpressions: z
      .array(selectorTerm.describe('One term; all must hold.'))
      .max(64)
      .optional()
      .describe('Terms over labels.'),
  })
  .describe('Selects namespaces by their labels, which belong to administrators.');

const allowedNamespaces = checked(
  z.object({
    from: z
      .enum(['Same', 'All', 'Selector'])
      .default('Same')
      .describe(
        'The Zone’s own namespace, which is always included; every namespace; or those that the selector matches.',
      ),
    selector: selector.optional(),
  }),
  {
    rule: '(self.from == "Selector") == has(self.selector)',
    message: 'selector must be set with from: Selector, and only with it',
  },
);

const subjectIssuer = checked(
  z.object({
    name: name(63).describe('The name by which Grants and policies speak of it.'),
    issuer: issuer().describe('The `iss` of its ID tokens, byte by byte.'),
    ...keySource(),
    groupsClaim: text(128).optional().describe('The claim that lists groups; without it a user is in none.'),
    claims: z
      .array(text(128).describe('Name of a claim.'))
      .max(32)
      .optional()
      .describe('The further claims that policy sees.'),
  }),
  ONE_KEY_SOURCE,
);

export const zoneSpec = z.object({
  displayName: prose(128).optional().describe('Shown to people.'),
  policySetRef: policySetRef.optional(),
  allowedNamespaces: allowedNamespaces
    .prefault({ from: 'Same' })
    .describe('Whose Applications, Resources and Grants may join.'),
  tokens: z
    .object({
      mandateTTL: duration('1s', '15m').default('5m').describe('Longest life of a resource mandate.'),
      sessionTTL: duration('1s', '60m').default('60m').describe('Longest life of a login.'),
    })
    .prefault({})
    .describe('Lifetimes of what the zone issues.'),
  keys: z
    .object({
      rotateEvery: duration('1m', '87600h').default('720h').describe('How long one key signs.'),
      publishBefore: duration('10m', '87600h')
        .default('10m')
        .describe('How long a key is published before its first signature: verifiers cache key sets.'),
      overlap: duration('1m', '87600h')
        .default('24h')
        .describe('How long a key stays published after its last signature.'),
      revoke: z
        .array(text(128).describe('A key id.'))
        .max(32)
        .optional()
        .describe('Keys that are no longer trusted, at once.'),
    })
    .prefault({})
    .describe('Signing keys.'),
  limits: z
    .object({
      agentSessions: z.int().min(1).max(100_000).default(1000).describe('Agent sessions alive at once.'),
      agentSessionsPerApplication: z
        .int()
        .min(1)
        .max(100_000)
        .default(200)
        .describe('Of these, those of one Application.'),
      children: z.int().min(1).max(1000).default(10).describe('Agent sessions alive at once under one parent.'),
      depth: z.int().min(1).max(10).default(10).describe('How deep agent sessions nest below one without parent.'),
      mintsPerMinute: z
        .int()
        .min(1)
        .max(1_000_000_000)
        .default(60000)
        .describe('Mandates minted in a minute, per STS replica.'),
    })
    .prefault({})
    .describe('Bounds of what the zone may use.'),
  subjectIssuers: listMap(z.array(subjectIssuer.describe('An issuer of ID tokens.')).max(20), 'name')
    .optional()
    .describe('Whose ID tokens make a user.'),
  stepUp: z
    .object({
      operatorTTL: duration('1s', '168h')
        .default('4h')
        .describe('How long a challenge waits for an operator, and how long a rejection holds.'),
      subjectTTL: duration('1s', '24h')
        .default('15m')
        .describe('How long a challenge waits for the user in person, and how long a rejection holds.'),
      approverApplications: z
        .array(reference('Application').describe('An Application of the Zone.'))
        .max(16)
        .optional()
        .describe(
          'Through which Applications users decide in person; through none when absent. A name that does not exist is no error: nobody decides through it.',
        ),
      allowServiceAccounts: z
        .boolean()
        .default(false)
        .describe('Whether ServiceAccounts may decide as operators, if they have the verb `approve`.'),
    })
    .prefault({})
    .describe('Approval by people, where policy asks for it.'),
  enforcement: z
    .object({
      staleAfter: duration('5s', '2m')
        .default('10s')
        .describe('A gateway that has heard nothing for so long denies everything.'),
    })
    .prefault({})
    .describe('How gateways enforce.'),
  freeze: z
    .object({ reason: text(256).describe('Why; shown to whoever is denied.') })
    .optional()
    .describe('Denies everything in the zone, now, without deleting anything.'),
});

export type ZoneSpec = z.output<typeof zoneSpec>;

export interface ZoneStatus extends BaseStatus {
  readonly zoneID?: string;
  readonly issuer?: string;
  readonly jwksURI?: string;
  readonly policy?: { readonly set: string; readonly revision: number; readonly digest: string };
  readonly signingKey?: { readonly kid: string; readonly rotatesAt: string };
  readonly gateways?: { readonly connected: number; readonly current: number; readonly summary: string };
}

export type Zone = KindObject<'Zone', ZoneSpec, ZoneStatus>;

export const gatewaysStatus = z
  .object({
    connected: z.int().min(0).describe('Gateways that are connected and need it.'),
    current: z.int().min(0).describe('How many of them acknowledged it.'),
    summary: prose(32).describe('Both, as in 12/12.'),
  })
  .optional()
  .describe('Gateways that enforce it.');

export const zone: KindDefinition = {
  kind: 'Zone',
  plural: 'zones',
  singular: 'zone',
  shortNames: ['czone'],
  description:
    'The tenant boundary: who may join, which policy set decides, how long authority lives, whose users are known.',
  maxNameLength: 63,
  spec: zoneSpec,
  specRules: [],
  statusSchema: {
    zoneID: prose(127).optional().describe('`<namespace>.<name>`: the zone’s name on the wire.'),
    issuer: prose(512).optional().describe('The `iss` of its mandates.'),
    jwksURI: prose(1024).optional().describe('Where its public keys are.'),
    policy: z
      .object({
        set: prose(52).describe('Name of the PolicySet.'),
        revision: z.int().min(0).describe('Number of the revision.'),
        digest: prose(71).describe('Digest of its content.'),
      })
      .optional()
      .describe('What decides now.'),
    signingKey: z
      .object({
        kid: prose(128).describe('Its id.'),
        rotatesAt: prose(40).describe('When the next one takes over.'),
      })
      .optional()
      .describe('The key that signs now.'),
    gateways: gatewaysStatus,
  },
  printerColumns: [
    READY_COLUMN,
    {
      name: 'Revision',
      type: 'integer',
      jsonPath: '.status.policy.revision',
      description: 'The policy revision that decides.',
    },
    {
      name: 'Gateways',
      type: 'string',
      jsonPath: '.status.gateways.summary',
      description: 'Gateways that are current, of those connected.',
    },
    REASON_COLUMN,
    {
      name: 'PolicySet',
      type: 'string',
      jsonPath: '.spec.policySetRef.name',
      description: 'The policy set that decides.',
      priority: 1,
    },
  ],
  selectableFields: [],
  conditions: {
    Ready: ready({
      Frozen: yes('In force, and what is in force is that everything is denied (`spec.freeze`, or by command).'),
    }),
    Accepted: accepted(),
    KeysReady: {
      meaning: 'Whether a signing key is at hand.',
      reasons: {
        KeysReady: yes('A key signs.'),
        KeysPending: waits('The first key is being made.', 'Wait a moment; if it stays, look at the controller’s log.'),
        KeysInvalid: stalls(
          'The Secret with the signing keys cannot be used.',
          'Delete that Secret; new keys are made.',
        ),
      },
    },
    PolicyActive: {
      meaning: 'Whether a policy revision decides. Where it does not, every exchange is denied.',
      reasons: {
        PolicyActive: yes('The revision that the Zone names decides.'),
        LastGoodRevision: yes('The set’s present content fails, so its last good revision decides.'),
        NoPolicySet: waits('The Zone names no policy set.', 'Set `spec.policySetRef`.'),
        ReferenceNotFound: waits('The policy set does not exist.', 'Create it or correct `spec.policySetRef.name`.'),
        RevisionNotFound: stalls('The pinned revision does not exist.', 'Pin another, or remove the pin.'),
        NoGoodRevision: waits(
          'The set never had content that passed.',
          'See the conditions of the set and of its Policies.',
        ),
      },
    },
    Frozen: {
      meaning: 'Present only while the Zone is frozen.',
      reasons: {
        Frozen: yes(
          '`spec.freeze`, a command (`caracal freeze`), or both deny everything; the message has the reason of each. Each is lifted where it was set.',
        ),
      },
    },
    Programmed: PROGRAMMED,
    Enforced: ENFORCED,
    ...PROGRESS,
  },
};
