/** Revocation → what its zone takes away, and when nothing of that can be alive any more. */
import type { Application } from '../api/application.ts';
import type { Resource } from '../api/resource.ts';
import type { Revocation } from '../api/revocation.ts';
import type { Zone } from '../api/zone.ts';
import type { RevocationEntry, RevocationTarget } from '../authority/revocation.ts';
import type { GrantTargets } from './grant.ts';
import { dottedID, path, refuse, type Refusal } from './outcome.ts';
import { perObject } from './perObject.ts';
import type { VerdictCondition } from './verdict.ts';

type Resolved = { readonly target: RevocationTarget } | { readonly refusal: Refusal };

/** What it targets in its zone, or why it may not or cannot. */
export function resolveTarget(revocation: Revocation, zone: Zone, targets: GrantTargets): Resolved {
  const { target } = revocation.spec;
  if (target.application) {
    const found = findReferenced(revocation, zone, 'application', targets.applications, targets);
    return 'refusal' in found ? found : { target: { type: 'application', id: dottedID(found.object) } };
  }
  if (target.resource) {
    const found = findReferenced(revocation, zone, 'resource', targets.resources, targets);
    return 'refusal' in found ? found : { target: { type: 'resource', identifier: found.object.spec.identifier } };
  }
  if (!isOfZone(revocation, zone)) {
    const fix = `only in its namespace; here target an Application or Resource of this namespace`;
    const message = `Revocation ${path(revocation)}: spec.target is one that Zone ${path(zone)} takes ${fix}`;
    return { refusal: refuse('ReferenceNotPermitted', message) };
  }
  return toZoneTarget(revocation, zone);
}

function toZoneTarget(revocation: Revocation, zone: Zone): Resolved {
  const { session, rootSession, agentSession, delegationEdge, mandate, subject } = revocation.spec.target;
  if (session !== undefined) return { target: { type: 'session', sid: session } };
  if (rootSession !== undefined) return { target: { type: 'rootSession', rootSid: rootSession } };
  if (agentSession !== undefined) return { target: { type: 'agentSession', id: agentSession } };
  if (delegationEdge !== undefined) return { target: { type: 'delegationEdge', id: delegationEdge } };
  if (mandate !== undefined) return { target: { type: 'mandate', jti: mandate } };
  if (!subject) return { target: { type: 'everything' } };
  if (zone.spec.subjectIssuers?.some(({ name }) => name === subject.issuer))
    return { target: { type: 'subject', ...subject } };
  const fix = `which spec.subjectIssuers of Zone ${path(zone)} does not list; correct the name`;
  const message = `Revocation ${path(revocation)}: spec.target.subject names issuer ${subject.issuer}, ${fix}`;
  return { refusal: refuse('ReferenceNotFound', message) };
}

/** In the Zone's namespace any of the Zone; elsewhere one of the own namespace. */
function findReferenced<T extends Application | Resource>(
  revocation: Revocation,
  zone: Zone,
  member: 'application' | 'resource',
  objects: ReadonlyMap<string, T>,
  { acceptedZone }: Pick<GrantTargets, 'acceptedZone'>,
): { readonly object: T } | { readonly refusal: Refusal } {
  const own = revocation.metadata.namespace;
  const reference = revocation.spec.target[member]!;
  const namespace = reference.namespace ?? own;
  const isOwn = namespace === own;
  const object = objects.get(`${namespace}/${reference.name}`);
  const accepted = object && acceptedZone(object);
  if (object && accepted === zone && (isOwn || isOfZone(revocation, zone))) return { object };
  const kind = member === 'application' ? 'Application' : 'Resource';
  const who = `Revocation ${path(revocation)}: spec.target.${member} names ${kind} ${namespace}/${reference.name}`;
  if (!isOwn) {
    const fix = `which is not one of Zone ${path(zone)} for this namespace; correct the reference`;
    return { refusal: refuse('ReferenceNotPermitted', `${who}, ${fix}`) };
  }
  if (!object)
    return { refusal: refuse('ReferenceNotFound', `${who}, which does not exist; what it had is gone with it`) };
  if (!accepted)
    return { refusal: refuse('ReferenceNotAccepted', `${who}, which is not accepted; see its conditions`) };
  const fix = `belongs to Zone ${path(accepted)}, not ${path(zone)}; refer to one of the same Zone`;
  return { refusal: refuse('ZoneMismatch', `${who}, which ${fix}`) };
}

function isOfZone(revocation: Revocation, zone: Zone): boolean {
  return revocation.metadata.namespace === zone.metadata.namespace;
}

/** Unix milliseconds. An instant that cannot be read counts as absent: everything until it takes effect. */
const instants = perObject(({ metadata, spec }: Revocation) => {
  const written = Date.parse(spec.issuedBefore ?? '');
  const created = Date.parse(metadata.creationTimestamp);
  return {
    issuedBefore: Number.isNaN(written) ? undefined : written,
    createdAt: Number.isNaN(created) ? 0 : created,
  };
});

const lastEntry = new WeakMap<Revocation, RevocationEntry>();

/** The entry; the same reference as long as the Revocation is the same and its target too. */
export function toRevocationEntry(revocation: Revocation, target: RevocationTarget): RevocationEntry {
  const before = lastEntry.get(revocation);
  if (before && JSON.stringify(before.target) === JSON.stringify(target)) return before;
  const { namespace, name, uid } = revocation.metadata;
  const entry = { namespace, name, uid, target, ...instants(revocation) };
  lastEntry.set(revocation, entry);
  return entry;
}

/** The longest that anything lives which a Zone can issue (`tokens.sessionTTL`), whatever it says now. */
const LONGEST_LIFE_MS = 60 * 60 * 1000;
/** Clocks of those who verify. */
const SKEW_MS = 5000;

/** Unix milliseconds: from then on all that was issued before has expired. */
export function completeAt(revocation: Revocation): number {
  const { issuedBefore, createdAt } = instants(revocation);
  const { session, rootSession, agentSession, delegationEdge, mandate } = revocation.spec.target;
  const isByID = (session ?? rootSession ?? agentSession ?? delegationEdge ?? mandate) !== undefined;
  return (isByID ? createdAt : (issuedBefore ?? createdAt)) + LONGEST_LIFE_MS + SKEW_MS;
}

export const COMPLETE: VerdictCondition = {
  type: 'Complete',
  status: 'True',
  reason: 'Complete',
  message: 'whatever it takes away has expired as well',
};

/** The Target column. */
export const revocationFields = perObject(({ metadata, spec }: Revocation) => ({
  target: toTargetText(spec.target, metadata.namespace),
}));

function toTargetText(target: Revocation['spec']['target'], own: string): string {
  const { session, rootSession, agentSession, delegationEdge, mandate, application, subject, resource } = target;
  if (session !== undefined) return `session ${session}`;
  if (rootSession !== undefined) return `root session ${rootSession}`;
  if (agentSession !== undefined) return `agent session ${agentSession}`;
  if (delegationEdge !== undefined) return `delegation edge ${delegationEdge}`;
  if (mandate !== undefined) return `mandate ${mandate}`;
  if (application) return `application ${application.namespace ?? own}/${application.name}`;
  if (subject) return `subject ${subject.issuer}:${subject.sub}`;
  if (resource) return `resource ${resource.namespace ?? own}/${resource.name}`;
  return 'everything';
}
