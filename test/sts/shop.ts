/** The zone that the STS' tests serve: an application with all four identities, users, scopes for every outcome, and a second zone. */
import { createHash } from 'node:crypto';
import type { Application } from '../../src/api/application.ts';
import type { World } from '../../src/compiler/world.ts';
import type { PrivateZoneKey } from '../../src/tokens/keys.ts';
import { application, grant, policy, policySet, resource, revision, world, zone } from '../compiler/world.ts';
import { cartKey, ci, CI_ISSUER, idp, IDP_ISSUER, ISSUER, otherIdp, toSpecKey } from './tokens.ts';

export const ZONE = 'shop.main';
export const ZONE_UID = 'uid-shop-main';
export const BANK_UID = 'uid-bank-main';
export const PAYMENTS = 'resource://payments.shop';
export const LEDGER = 'resource://ledger.shop';
export const SECRET = 'cart-secret-000000000000000000000000000000000';
export const OLD_SECRET = 'cart-secret-old-0000000000000000000000000000';
export const TILL_SECRET = 'till-secret-000000000000000000000000000000000';
export const BANK_SECRET = 'bank-secret-000000000000000000000000000000000';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `transfer` is denied, `brief` shortened, `broken` cannot be evaluated, `silent` is allowed by no policy. */
const REGO = `package caracal.policy.shop

allow if input.scope != "silent"

deny contains "transfers need a person" if input.scope == "transfer"

max_ttl_seconds := 30 if input.scope == "brief"

max_ttl_seconds := 1 if input.scope == "broken"

max_ttl_seconds := 2 if startswith(input.scope, "bro")
`;

export const POLICY = { name: 'shop', rego: REGO };

export const SCOPES = ['read', 'write', 'transfer', 'brief', 'broken', 'silent', 'sealed'];
const GRANTED = SCOPES.filter((scope) => scope !== 'sealed');

export function cart(spec: Partial<Application['spec']> = {}, uid?: string): Application {
  const identities = [
    { serviceAccount: { name: 'cart' } },
    { clientSecret: { sha256: [sha256(SECRET), sha256(OLD_SECRET)] } },
    { privateKeyJWT: { jwks: { keys: [toSpecKey(cartKey.jwk)] } } },
    { oidc: { issuer: CI_ISSUER, audience: ISSUER, subject: 'repo:shop/cart', jwks: { keys: [toSpecKey(ci.jwk)] } } },
  ];
  const named = uid === undefined ? {} : { uid };
  return application({ identities, subjectAudiences: ['cart-web'], ...spec } as Partial<Application['spec']>, named);
}

function shopZone(): World['zones'][number] {
  return zone({
    subjectIssuers: [
      {
        ...{ name: 'corp', issuer: IDP_ISSUER, jwks: { keys: [toSpecKey(idp.jwk)] } },
        ...{ groupsClaim: 'groups', claims: ['department'] },
      },
      { name: 'partner', issuer: 'https://partner.example', jwks: { keys: [toSpecKey(otherIdp.jwk)] } },
    ],
  } as Parameters<typeof zone>[0]);
}

const bankSet = policySet({ policies: [{ name: 'shop' }] }, { namespace: 'bank' });

/** All of it; `keys` are the zones' signing keys by UID. */
export function shopWorld(keys: ReadonlyMap<string, readonly PrivateZoneKey[]>): World {
  const inBank = { namespace: 'bank' };
  return world({
    zones: [shopZone(), zone({}, inBank)],
    applications: [
      cart(),
      application({ identities: [{ clientSecret: { sha256: [sha256(TILL_SECRET)] } }] }, { name: 'till' }),
      application(
        { identities: [{ clientSecret: { sha256: [sha256(BANK_SECRET)] } }, { serviceAccount: { name: 'teller' } }] },
        { name: 'teller', ...inBank },
      ),
    ],
    resources: [
      resource({ scopes: SCOPES.map((name) => ({ name })) }),
      resource({ scopes: [{ name: 'read' }] }, { name: 'ledger' }),
      resource({}, inBank),
    ],
    grants: [
      grant({ scopes: GRANTED }),
      grant(
        { scopes: ['read'], subjects: [{ user: { issuer: 'corp', sub: 'alice' } }] } as Parameters<typeof grant>[0],
        { name: 'alice' },
      ),
      grant(
        { scopes: ['write'], subjects: [{ group: { issuer: 'corp', group: 'finance' } }] } as Parameters<
          typeof grant
        >[0],
        { name: 'finance' },
      ),
      grant({ applicationRef: { name: 'teller' } }, { name: 'teller-payments', ...inBank }),
    ],
    policies: [policy({ rego: REGO }, { name: 'shop' }), policy({ rego: REGO }, { name: 'shop', ...inBank })],
    policySets: [policySet({ policies: [{ name: 'shop' }] }), bankSet],
    policySetRevisions: [
      revision(1, { policies: [POLICY] }, policySet({ policies: [{ name: 'shop' }] })),
      revision(1, { policies: [POLICY] }, bankSet),
    ],
    keySets: new Map(
      [...keys].map(([uid, list]) => [
        uid,
        { ok: true, keys: list.map(({ kid, x, y, activeAt }) => ({ kid, x, y, activeAt })) },
      ]),
    ),
  });
}
