/** Who may do what in a zone: every Grant in force, and for each subject that can be asked about, what policy says now. */
import type { GrantEntry, GrantSubject } from '../../authority/snapshot.ts';
import type { ListSpec, ReviewSpec } from '../../runtimeapi/bodies.ts';
import { APIError, notFound } from '../../runtimeapi/errors.ts';
import { instant } from '../../runtimeapi/objects.ts';
import type { ServedZone } from '../configuration.ts';
import { decide } from '../decisions.ts';
import { toRequest, type ReviewPorts } from './review.ts';

/** Each scope of each subject is one evaluation. */
const MAX_ITEMS = 500;

/** Throws APIError. */
export async function listAuthority(namespace: string, spec: ListSpec, ports: ReviewPorts) {
  const zone = ports.configuration.zone(`${namespace}.${spec.zone}`);
  if (!zone) throw notFound('zones', spec.zone);
  const asked = [...zone.snapshot.grants.values()].flat().flatMap((grant) => toAsked(grant, spec));
  if (asked.length > MAX_ITEMS)
    throw new APIError(
      422,
      'Invalid',
      `spec: more than ${MAX_ITEMS} answers: name an application, a resource or a scope`,
    );
  const items = await Promise.all(asked.map((one) => toItem(one, zone, spec.zone, ports)));
  return { items: items.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)) };
}

interface Asked {
  readonly grant: GrantEntry;
  readonly subject: GrantSubject;
  readonly scope: string;
}

function toAsked(grant: GrantEntry, { application, resource, scope }: ListSpec): readonly Asked[] {
  if (application !== undefined && grant.applicationID !== application) return [];
  if (resource !== undefined && grant.resource !== resource) return [];
  const scopes = grant.scopes.filter((one) => scope === undefined || one === scope);
  return scopes.flatMap((one) => grant.subjects.map((subject) => ({ grant, subject, scope: one })));
}

async function toItem({ grant, subject, scope }: Asked, zone: ServedZone, name: string, ports: ReviewPorts) {
  const user = toUser(subject);
  const spec: ReviewSpec = {
    ...{ zone: name, application: grant.applicationID, resource: grant.resource, scopes: [scope] },
    ...(user && { user }),
  };
  const isAskable = subject.type === 'application' || subject.type === 'user';
  return {
    ...{ application: grant.applicationID, subject: toWords(subject), resource: grant.resource, scope },
    ...(isAskable ? await toDecision(spec, zone, ports) : { decision: 'DependsOnUser' }),
    ...{ grant: `${grant.namespace}/${grant.name}`, delegation: grant.delegation },
    ...(grant.expiresAt !== undefined && { expiresAt: instant(grant.expiresAt * 1000) }),
  };
}

/** A user without groups and claims: policy may say otherwise to one who has them. */
async function toDecision(spec: ReviewSpec, zone: ServedZone, { policies, clock }: ReviewPorts) {
  const now = clock.now();
  const { result } = await decide(zone, toRequest(spec, zone.snapshot, []), now, policies);
  switch (result.type) {
    case 'permit':
      return { decision: 'Allowed' };
    case 'hold':
      return { decision: 'NeedsApproval' };
    case 'denial':
      return { decision: 'Denied', reason: result.reason, message: result.message };
  }
}

function toUser(subject: GrantSubject): ReviewSpec['user'] {
  if (subject.type !== 'user') return undefined;
  return { issuer: subject.issuer, sub: subject.sub, groups: [], claims: {} };
}

function toWords(subject: GrantSubject): string {
  switch (subject.type) {
    case 'application':
      return 'itself';
    case 'user':
      return `user ${subject.issuer}:${subject.sub}`;
    case 'group':
      return `group ${subject.issuer}:${subject.group}`;
    case 'anyUser':
      return 'any user';
  }
}

function keyOf(item: Awaited<ReturnType<typeof toItem>>): string {
  return JSON.stringify([item.application, item.resource, item.scope, item.subject]);
}
