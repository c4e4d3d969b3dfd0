/** Schema pieces that several kinds share: bounded, described by their users, with CEL rules beside the shape they judge. */
import * as z from 'zod';
import { DURATION_PATTERN } from './duration.ts';

/** One entry of `x-kubernetes-validations`; `message` says what must hold, so that it names the fix. */
export interface CELRule {
  readonly rule: string;
  readonly message: string;
  /** Where the refusal is reported, relative to the value judged, such as `.metadata.name`. */
  readonly fieldPath?: string;
}

/** Adds rules of the API server to a shape. The offline validator evaluates the same. */
export function checked<Schema extends z.ZodType>(schema: Schema, ...rules: readonly CELRule[]): Schema {
  return schema.meta({ ...schema.meta(), 'x-kubernetes-validations': rules });
}

/** A list whose entries are told apart by `key`: no two may share it, and appliers can own entries. */
export function listMap<Schema extends z.ZodType>(schema: Schema, key: string): Schema {
  return schema.meta({
    ...schema.meta(),
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
  });
}

/** A rule that a string matches an RE2 pattern. */
export const matching = (pattern: string, message: string): CELRule => ({
  rule: `self.matches(${JSON.stringify(pattern)})`,
  message,
});

/** A string of 1 to `max` characters. */
export const text = (max: number) => z.string().min(1).max(max);

/** Text for people: may be empty. */
export const prose = (max: number) => z.string().max(max);

export const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** A DNS label (RFC 1123) of at most `max` characters. */
export const name = (max: number) =>
  checked(
    text(max),
    matching(
      DNS_LABEL,
      'must be a DNS label: lower case letters, digits and "-", starting and ending with a letter or digit',
    ),
  );

/** A ServiceAccount's name: a DNS subdomain (RFC 1123). */
export const serviceAccountName = () =>
  checked(
    text(253),
    matching(
      '^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
      'must be the name of a ServiceAccount: lower case letters, digits, "-" and ".", starting and ending with a letter or digit',
    ),
  );

/** A Go-style duration such as "15m" or "1h30m" between two bounds, both inclusive. */
export const duration = (min: string, max: string) =>
  checked(text(32), {
    rule: `self.matches(${JSON.stringify(DURATION_PATTERN)}) && duration(self) >= duration("${min}") && duration(self) <= duration("${max}")`,
    message: `must be a duration such as 15m or 1h30m, at least ${min} and at most ${max}`,
  });

/** RFC 3339 with a time zone. The API server lets a list pass where a `format` is asked for; the rule does not. */
export const instant = () =>
  checked(
    z
      .string()
      .max(40)
      .regex(
        /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$/,
      )
      .meta({ format: 'date-time' }),
    {
      rule: 'self >= timestamp("1970-01-01T00:00:00Z")',
      message: 'must be an RFC 3339 instant since 1970, such as 2027-01-31T12:00:00Z',
    },
  );

const SCOPE_TOKEN = '^[!#-\\[\\]-~]+$';

/** RFC 6749 §3.3 scope-token; `agent:` belongs to Caracal. */
export const scope = () =>
  checked(
    text(128),
    matching(
      SCOPE_TOKEN,
      'must be a scope token (RFC 6749): printable ASCII without space, double quote and backslash',
    ),
    { rule: '!self.startsWith("agent:")', message: 'must not begin with agent:, which is reserved' },
  );

/** What an `iss` claim is compared with, byte by byte. */
export const issuer = () =>
  checked(text(512), matching('^[!-~]+$', 'must be the iss claim byte by byte: printable ASCII without spaces'));

const HTTP_HOST = '([A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?';

const keysURL = () =>
  checked(
    text(512),
    matching(
      `^https?://${HTTP_HOST}([/?][!-"$-~]*)?$`,
      'must be an http or https URL without user information and fragment',
    ),
  );

/** `http(s)://host[:port][/path]`: where an upstream is. */
export const upstreamURL = () =>
  checked(
    text(512),
    matching(
      `^https?://${HTTP_HOST}(/[!-"$->@-~]*)?$`,
      'must be an http or https URL without user information, query and fragment',
    ),
  );

const publicJWK = z.object({
  kty: text(16).describe('Key type: EC, RSA or OKP.'),
  kid: text(256).optional().describe('Key id, as the tokens name it.'),
  alg: text(32).optional().describe('Algorithm: ES256, RS256, PS256 or EdDSA.'),
  use: text(16).optional().describe('`sig` where present.'),
  crv: text(32).optional().describe('Curve of EC (P-256) and OKP (Ed25519) keys.'),
  x: text(128).optional().describe('Public point of EC and OKP keys, base64url.'),
  y: text(128).optional().describe('Public point of EC keys, base64url.'),
  n: text(1400).optional().describe('RSA modulus, base64url.'),
  e: text(16).optional().describe('RSA exponent, base64url.'),
});

/** `{keys: […]}` of public members only, listed one by one, so that a pasted private member is an unknown field. */
export const jwks = () =>
  z
    .object({
      keys: z
        .array(publicJWK.describe('A public JWK (RFC 7517).'))
        .min(1)
        .max(16)
        .describe('The public keys; more than one is rotation.'),
    })
    .describe('Public keys (RFC 7517), written out.');

/** Either `jwks` or `jwksURL`; `ONE_KEY_SOURCE` says exactly one. */
export const keySource = () => ({
  jwks: jwks().optional(),
  jwksURL: keysURL()
    .optional()
    .describe(
      'Where the public keys are fetched. Private, loopback, link-local and metadata addresses are refused unless the operator allows a range.',
    ),
});

export const ONE_KEY_SOURCE: CELRule = {
  rule: 'has(self.jwks) != has(self.jwksURL)',
  message: 'exactly one of jwks and jwksURL must be set',
};

/** A union of optional members, of which exactly one is set. */
export const exactlyOne = (...members: readonly string[]): CELRule => ({
  rule: `[${members.map((member) => `has(self.${member})`).join(', ')}].exists_one(member, member)`,
  message: `exactly one of ${members.slice(0, -1).join(', ')} and ${members.at(-1)} must be set`,
});

export const IMMUTABLE: CELRule = {
  rule: 'self == oldSelf',
  message: 'is immutable: delete the object and create it anew',
};

export const OTHER_NAMESPACE = 'Its namespace; the own namespace when absent.';

/** The Zone that an object belongs to, for its whole life. */
export const zoneRef = () =>
  checked(
    z.object({
      name: name(63).describe('Name of the Zone.'),
      namespace: name(63).optional().describe(OTHER_NAMESPACE),
    }),
    IMMUTABLE,
  ).describe('The Zone it belongs to; immutable. A Zone of another namespace must consent by allowedNamespaces.');

/** `{name, namespace?}` of an object that may be in another namespace. */
export const reference = (kind: string) =>
  z.object({
    name: name(63).describe(`Name of the ${kind}.`),
    namespace: name(63).optional().describe(OTHER_NAMESPACE),
  });

export const applicationRef = () =>
  reference('Application').describe('Who receives. Both namespaces being admitted by one Zone is the consent.');

/** `sha256:<hex>` of a PolicySet's content. */
export const policyDigest = () =>
  checked(text(71), matching('^sha256:[0-9a-f]{64}$', 'must be sha256: and 64 lower case hex digits'));
