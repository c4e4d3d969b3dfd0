/** Application → the principal's entry in its zone's snapshot. */
import type { Application } from '../api/application.ts';
import type {
  ApplicationEntry,
  ApplicationIdentity,
  DelegationRule,
  KeySource,
  PublicJWK,
} from '../authority/snapshot.ts';
import { parseEnd } from './instants.ts';
import { checkJWK, thumbprint } from './jwks.ts';
import { dottedID, path, referencedID, refuse, type Refusal } from './outcome.ts';
import { perObject } from './perObject.ts';

type Identity = Application['spec']['identities'][number];

/** The entry; it depends on the object alone. */
export const toApplicationEntry = perObject((object: Application): ApplicationEntry => ({
  id: dottedID(object),
  uid: object.metadata.uid,
  namespace: object.metadata.namespace,
  name: object.metadata.name,
  identities: object.spec.identities.flatMap((identity) => toIdentity(identity, object.metadata.namespace)),
  subjectAudiences: object.spec.subjectAudiences ?? [],
  delegation: toDelegationRule(object),
  expiresAt: object.spec.expiresAt === undefined ? undefined : parseEnd(object.spec.expiresAt),
}));

function toDelegationRule({ metadata, spec: { delegation } }: Application): DelegationRule {
  const { receivers, applications = [] } = delegation;
  return { receivers, applications: applications.map((reference) => referencedID(reference, metadata.namespace)) };
}

function toIdentity(identity: Identity, namespace: string): readonly ApplicationIdentity[] {
  const { serviceAccount, oidc, privateKeyJWT, clientSecret } = identity;
  if (serviceAccount) return [{ type: 'serviceAccount', namespace, name: serviceAccount.name }];
  if (oidc) {
    const { issuer, audience, subject } = oidc;
    return [{ type: 'oidc', issuer, audience, subject, keys: toKeySource(oidc) }];
  }
  if (privateKeyJWT)
    return [{ type: 'privateKeyJWT', jwks: { keys: privateKeyJWT.jwks.keys as readonly PublicJWK[] } }];
  return clientSecret
    ? [{ type: 'clientSecret', sha256: clientSecret.sha256.map((digest) => digest.toLowerCase()) }]
    : [];
}

/** The one of `jwks` and `jwksURL` that is there. */
export function toKeySource(source: { jwks?: unknown; jwksURL?: string | undefined }): KeySource {
  if (source.jwks !== undefined) return { jwks: source.jwks as NonNullable<KeySource['jwks']> };
  return source.jwksURL === undefined ? {} : { jwksURL: source.jwksURL };
}

/** KeysInvalid: a key written in the spec that no signature could be verified with. */
export const checkApplicationContent = perObject((object: Application): Refusal | undefined => {
  for (const [index, { oidc, privateKeyJWT }] of object.spec.identities.entries()) {
    const keys = (oidc?.jwks ?? privateKeyJWT?.jwks)?.keys ?? [];
    for (const [position, jwk] of keys.entries()) {
      const problem = checkJWK(jwk as PublicJWK);
      if (problem === undefined) continue;
      const field = `spec.identities[${index}].${oidc ? 'oidc' : 'privateKeyJWT'}.jwks.keys[${position}]`;
      return refuse('KeysInvalid', `Application ${path(object)}: ${field}: ${problem}`);
    }
  }
  return undefined;
});

/** What may belong to one Application of a zone only: unambiguous tuples. */
export const identityKeys = perObject((object: Application): readonly string[] => {
  const keys = toApplicationEntry(object).identities.flatMap(toIdentityTuples);
  return [...new Set(keys.map((tuple) => JSON.stringify(tuple)))];
});

function toIdentityTuples(identity: ApplicationIdentity): readonly (readonly string[])[] {
  switch (identity.type) {
    case 'serviceAccount':
      return [['ServiceAccount', identity.namespace, identity.name]];
    case 'oidc':
      return [['OIDC', identity.issuer, identity.subject]];
    case 'privateKeyJWT':
      return identity.jwks.keys.map((jwk) => ['key', thumbprint(jwk)]);
    case 'clientSecret':
      return identity.sha256.map((digest) => ['secret', digest]);
  }
}

export function conflictMessage(object: Application, winner: Application, key: string): Refusal {
  const kind = (JSON.parse(key) as readonly string[])[0];
  const fix = 'remove the identity from one of the two';
  return refuse(
    'Conflicted',
    `Application ${path(object)}: spec.identities: Application ${path(winner)} has the same ${kind} identity; ${fix}`,
  );
}

/** Expired: `expiresAt` is exclusive. `now` in Unix milliseconds. */
export function checkApplicationTime(object: Application, now: number): Refusal | undefined {
  const { expiresAt } = toApplicationEntry(object);
  if (expiresAt === undefined || now < expiresAt * 1000) return undefined;
  return refuse(
    'Expired',
    `Application ${path(object)}: spec.expiresAt (${object.spec.expiresAt}) has passed; set a later one`,
  );
}

/** The Identity column: types, each once. */
export const applicationFields = perObject((object: Application) => ({
  identity: [...new Set(toApplicationEntry(object).identities.map(({ type }) => type))].join(','),
}));
