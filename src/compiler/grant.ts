/** Grant → a ceiling in its zone's snapshot: who gets which scopes on what, and until when. */
import type { Application } from '../api/application.ts';
import type { Grant } from '../api/grant.ts';
import type { Resource } from '../api/resource.ts';
import type { Zone } from '../api/zone.ts';
import type { GrantEntry, GrantSubject } from '../authority/snapshot.ts';
import { parseEnd, parseStart } from './instants.ts';
import { dottedID, path, refuse, type Refusal } from './outcome.ts';
import { perObject } from './perObject.ts';

/** What a Grant may refer to: the objects there are, and the zone in which each was accepted. */
export interface GrantTargets {
  readonly applications: ReadonlyMap<string, Application>;
  readonly resources: ReadonlyMap<string, Resource>;
  acceptedZone(object: Application | Resource): Zone | undefined;
}

export type GrantReferences =
  { readonly application: Application; readonly resource: Resource } | { readonly refusal: Refusal };

/** Paths of what a Grant names. */
const targetPaths = perObject(({ metadata: { namespace }, spec: { applicationRef, resourceRef } }: Grant) => ({
  application: `${applicationRef.namespace ?? namespace}/${applicationRef.name}`,
  resource: `${namespace}/${resourceRef.name}`,
}));

/** Both references, the Application first. */
export function resolveReferences(grant: Grant, zone: Zone, targets: GrantTargets): GrantReferences {
  const paths = targetPaths(grant);
  const application = targets.applications.get(paths.application);
  if (!application || targets.acceptedZone(application) !== zone) {
    const isOwn = (grant.spec.applicationRef.namespace ?? grant.metadata.namespace) === grant.metadata.namespace;
    const what = `spec.applicationRef names Application ${paths.application}`;
    if (isOwn) return { refusal: refuseOwn(grant, what, zone, application, targets) };
    const fix = `which is not an accepted Application of Zone ${path(zone)}; correct the reference`;
    return { refusal: refuse('ReferenceNotPermitted', `Grant ${path(grant)}: ${what}, ${fix}`) };
  }
  const resource = targets.resources.get(paths.resource);
  if (resource && targets.acceptedZone(resource) === zone) return { application, resource };
  const what = `spec.resourceRef names Resource ${paths.resource}`;
  return { refusal: refuseOwn(grant, what, zone, resource, targets) };
}

/** Only in its own namespace a Grant is told what exactly is wrong with what it names. */
function refuseOwn(
  grant: Grant,
  what: string,
  zone: Zone,
  target: Application | Resource | undefined,
  targets: GrantTargets,
): Refusal {
  const who = `Grant ${path(grant)}: ${what}`;
  if (!target) return refuse('ReferenceNotFound', `${who}, which does not exist; create it or correct the name`);
  const accepted = targets.acceptedZone(target);
  if (!accepted) return refuse('ReferenceNotAccepted', `${who}, which is not accepted; see its conditions`);
  const fix = `belongs to Zone ${path(accepted)}, not ${path(zone)}; refer to one of the same Zone`;
  return refuse('ZoneMismatch', `${who}, which ${fix}`);
}

/** Scopes against the Resource, issuers against the Zone. */
export function checkGrantContent(grant: Grant, zone: Zone, resource: Resource): Refusal | undefined {
  const declared = declaredScopes(resource);
  const scope = grant.spec.scopes.find((candidate) => !declared.has(candidate));
  if (scope !== undefined) {
    const fix = `declare it in spec.scopes of Resource ${path(resource)} or remove it here`;
    return refuse(
      'ScopeNotDeclared',
      `Grant ${path(grant)}: spec.scopes names ${scope}, which its Resource does not declare; ${fix}`,
    );
  }
  for (const [index, { user, group }] of (grant.spec.subjects ?? []).entries()) {
    const issuer = (user ?? group)?.issuer;
    if (issuer === undefined || zone.spec.subjectIssuers?.some(({ name }) => name === issuer)) continue;
    const fix = `add it to spec.subjectIssuers of Zone ${path(zone)} or correct the name`;
    return refuse(
      'IssuerNotTrusted',
      `Grant ${path(grant)}: spec.subjects[${index}] names issuer ${issuer}, which its Zone does not trust; ${fix}`,
    );
  }
  return undefined;
}

const declaredScopes = perObject((resource: Resource) => new Set(resource.spec.scopes.map(({ name }) => name)));

/** When a Grant is in force, in Unix seconds. */
export const grantPeriod = perObject(({ spec }: Grant) => ({
  notBefore: spec.notBefore === undefined ? undefined : parseStart(spec.notBefore),
  expiresAt: spec.expiresAt === undefined ? undefined : parseEnd(spec.expiresAt),
}));

/** Expired before NotYetValid: no waiting helps what has ended. `now` in Unix milliseconds. */
export function checkGrantTime(grant: Grant, now: number): Refusal | undefined {
  const { notBefore, expiresAt } = grantPeriod(grant);
  if (expiresAt !== undefined && now >= expiresAt * 1000) {
    return refuse(
      'Expired',
      `Grant ${path(grant)}: spec.expiresAt (${grant.spec.expiresAt}) has passed; set a later one`,
    );
  }
  if (notBefore === undefined || now >= notBefore * 1000) return undefined;
  const isNever = expiresAt !== undefined && expiresAt <= notBefore;
  const fix = isNever
    ? `is not before spec.expiresAt (${grant.spec.expiresAt}), so it never begins; correct one of them`
    : 'is yet to come; wait or set an earlier one';
  return refuse('NotYetValid', `Grant ${path(grant)}: spec.notBefore (${grant.spec.notBefore}) ${fix}`);
}

const lastEntry = new WeakMap<Grant, GrantEntry>();

/** The entry; the same reference as long as the Grant is the same and the identifier too. */
export function toGrantEntry(grant: Grant, application: Application, resource: Resource): GrantEntry {
  const before = lastEntry.get(grant);
  if (before && before.resource === resource.spec.identifier) return before;
  const { namespace, name, uid } = grant.metadata;
  const entry: GrantEntry = {
    namespace,
    name,
    uid,
    applicationID: dottedID(application),
    resource: resource.spec.identifier,
    scopes: grant.spec.scopes,
    subjects: (grant.spec.subjects ?? [{ application: {} }]).flatMap(toSubject),
    delegation: grant.spec.delegation,
    expiresAt: grantPeriod(grant).expiresAt,
  };
  lastEntry.set(grant, entry);
  return entry;
}

function toSubject(subject: NonNullable<Grant['spec']['subjects']>[number]): readonly GrantSubject[] {
  if (subject.application) return [{ type: 'application' }];
  if (subject.user) return [{ type: 'user', ...subject.user }];
  if (subject.group) return [{ type: 'group', ...subject.group }];
  return subject.anyUser ? [{ type: 'anyUser' }] : [];
}

/** The Scopes column. */
export const grantFields = perObject(({ spec }: Grant) => ({ scopes: spec.scopes.join(' ') }));
