/** Resource: a protected API with named scopes. */
import * as z from 'zod';
import { conditionColumn, READY_COLUMN, REASON_COLUMN, ZONE_COLUMN, type KindDefinition } from './kind.ts';
import type { BaseStatus, KindObject } from './meta.ts';
import { accepted, ENFORCED, PROGRAMMED, PROGRESS, ready, REFERENCES, stalls } from './reasons.ts';
import {
  checked,
  duration,
  exactlyOne,
  IMMUTABLE,
  listMap,
  matching,
  name,
  prose,
  scope,
  serviceAccountName,
  text,
  upstreamURL,
  zoneRef,
} from './schema.ts';
import { gatewaysStatus } from './zone.ts';

const URI = "^[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?@!$&'()*+,;=\\[\\]-]|%[0-9A-Fa-f]{2})+$";

const identifier = checked(
  text(512),
  matching(URI, 'must be an absolute URI without fragment, such as resource://payments'),
  {
    rule: '!self.matches("^[^/?]*://[^/?]*@")',
    message: 'must not hold user information: remove what stands before @',
  },
  IMMUTABLE,
);

const method = checked(
  text(32),
  matching('^[A-Z][A-Z0-9_-]*$', 'must be an HTTP method in upper case letters, such as GET'),
);

const LITERAL = "([A-Za-z0-9._~:@!$&'()+,;=-]|%[0-9A-F]{2})+";
const VARIABLE = '\\{[A-Za-z_][A-Za-z0-9_]*\\}';

const path = checked(
  text(512),
  matching(
    `^((/(${LITERAL}|${VARIABLE}))*(/\\*\\*)|(/(${LITERAL}|${VARIABLE}))*/?)$`,
    'must be a path of literal segments and {name}, where the last may be **, such as /orders/{id}/**',
  ),
  { rule: '!self.matches("/[.][.]?(/|$)")', message: 'must not hold the segments . and ..' },
);

const operation = z.object({
  methods: z.array(method.describe('A method; GET does not imply HEAD.')).min(1).max(16).describe('Which methods.'),
  path: path.describe(
    'Literal segments, `{name}` for any one segment, and a last `**` for any rest. Per segment a literal precedes `{name}`, which precedes `**`.',
  ),
  scopes: z
    .array(text(128).describe('A scope that the Resource declares.'))
    .min(1)
    .max(64)
    .describe('The scopes that it needs, all of them.'),
});

const upstream = checked(
  z.object({
    url: upstreamURL().optional().describe('`http(s)://host[:port][/path]`.'),
    service: z
      .object({
        name: name(63).describe('Name of the Service, same namespace.'),
        port: z.int().min(1).max(65535).describe('Its port.'),
        scheme: z.enum(['http', 'https']).optional().describe('`http` when absent.'),
      })
      .optional()
      .describe('A Service of the own namespace.'),
  }),
  exactlyOne('url', 'service'),
);

export const resourceSpec = z.object({
  zoneRef: zoneRef(),
  identifier: identifier.describe(
    'Absolute URI: the audience of its mandates, unique in the zone, compared byte by byte, immutable. From a namespace other than the Zone’s its host must be that namespace’s name or end in `.` plus that name.',
  ),
  type: z.enum(['HTTP']).default('HTTP').describe('What its operations are.'),
  scopes: listMap(
    z
      .array(
        z
          .object({
            name: scope().describe('A scope token (RFC 6749).'),
            description: prose(512).optional().describe('Shown to people.'),
          })
          .describe('A scope.'),
      )
      .min(1)
      .max(64),
    'name',
  ).describe('What may be granted on it.'),
  protectedBy: z
    .array(
      z
        .object({ serviceAccount: serviceAccountName().describe('Its name.') })
        .describe('A ServiceAccount of the own namespace.'),
    )
    .max(16)
    .optional()
    .describe('Whose gateways may serve it; any of its namespace when absent.'),
  upstream: upstream.optional().describe('Where an edge gateway reaches it; absent: it is only protected in place.'),
  operations: z
    .array(operation.describe('One operation.'))
    .max(256)
    .optional()
    .describe('Which request needs which scope.'),
  operationEnforcement: z
    .enum(['Declared', 'Uniform'])
    .default('Declared')
    .describe('Declared: what no operation lists is refused. Uniform: any operation needs any granted scope.'),
  forwardMandate: z
    .boolean()
    .default(false)
    .describe(
      'Whether the gateway passes the mandate on to the API, which then can verify it too; else it is removed.',
    ),
  mandate: z
    .object({
      ttl: duration('1s', '15m').optional().describe('Longest life of its mandates.'),
      singleUse: z.boolean().default(false).describe('Whether each of its mandates admits one request only.'),
      proofOfPossession: z
        .enum(['Optional', 'Required'])
        .default('Optional')
        .describe('Required: only mandates that are bound to a key (DPoP, RFC 9449) are issued and admitted.'),
    })
    .prefault({})
    .describe('Mandates for it.'),
});

export type ResourceSpec = z.output<typeof resourceSpec>;

export interface ResourceStatus extends BaseStatus {
  readonly gateways?: { readonly connected: number; readonly current: number; readonly summary: string };
}

export type Resource = KindObject<'Resource', ResourceSpec, ResourceStatus>;

export const resource: KindDefinition = {
  kind: 'Resource',
  plural: 'resources',
  singular: 'resource',
  shortNames: ['cres'],
  description: 'A protected API with named scopes, and which request needs which of them.',
  maxNameLength: 63,
  spec: resourceSpec,
  specRules: [],
  statusSchema: { gateways: gatewaysStatus },
  printerColumns: [
    ZONE_COLUMN,
    { name: 'Identifier', type: 'string', jsonPath: '.spec.identifier', description: 'The audience of its mandates.' },
    conditionColumn('Enforced', 'Enforced', 'status', 'Whether every connected gateway enforces it.'),
    READY_COLUMN,
    REASON_COLUMN,
    { name: 'Type', type: 'string', jsonPath: '.spec.type', description: 'What its operations are.', priority: 1 },
  ],
  selectableFields: ['.spec.zoneRef.name'],
  conditions: {
    Ready: ready(),
    Accepted: accepted({
      ...REFERENCES,
      IdentifierNotPermitted: stalls(
        'Its identifier is not one that its namespace may use.',
        'From a namespace other than the Zone’s use a host that is the namespace’s name or ends in `.` plus it, and no `https`.',
      ),
      Conflicted: stalls('An older Resource of the zone has its identifier.', 'Choose another identifier.'),
      ScopeNotDeclared: stalls(
        'An operation names a scope that `spec.scopes` does not declare.',
        'Declare it or correct it.',
      ),
      OperationsAmbiguous: stalls(
        'One request can match two operations and neither is more specific.',
        'Change a path or a method of the two that the message names.',
      ),
    }),
    Programmed: PROGRAMMED,
    Enforced: ENFORCED,
    ...PROGRESS,
  },
};
