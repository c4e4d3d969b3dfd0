/** Grants as a ceiling: which cover whom, for how long, and which came nearest when none did. */
import type { Denial } from './decision.ts';
import type { PolicyGrant, PolicySubject } from './policyInput.ts';
import type { GrantEntry, GrantSubject } from './snapshot.ts';

/** A Grant in force for the subject, with the entry of its `subjects` that matched (the first in its own order). */
export interface MatchingGrant {
  readonly grant: GrantEntry;
  readonly subject: GrantSubject;
}

/** The most Grants a policy input carries (policy.md). */
export const MAX_INPUT_GRANTS = 64;

/** The Grants of one (application, resource) that are in force at `now` (Unix seconds) for the subject, by name. */
export function matchGrants(
  grants: readonly GrantEntry[],
  subject: PolicySubject,
  now: number,
): readonly MatchingGrant[] {
  const matching: MatchingGrant[] = [];
  for (const grant of grants) {
    if (hasEnded(grant, now)) continue;
    const entry = grant.subjects.find((candidate) => matchesSubject(candidate, subject));
    if (entry) matching.push({ grant, subject: entry });
  }
  return matching.sort((a, b) => compareNames(a.grant, b.grant));
}

/** Whether one entry of `subjects` speaks of this subject. */
export function matchesSubject(entry: GrantSubject, subject: PolicySubject): boolean {
  switch (entry.type) {
    case 'application':
      return subject.type === 'application';
    case 'user':
      return subject.type === 'user' && entry.issuer === subject.issuer && entry.sub === subject.sub;
    case 'group':
      return subject.type === 'user' && entry.issuer === subject.issuer && subject.groups.includes(entry.group);
    case 'anyUser':
      return subject.type === 'user';
  }
}

/**
 * Unix seconds at which the scopes stop being covered: per scope the latest end of a Grant that covers it, of these
 * the earliest. Infinity where every scope has a Grant without end; undefined where a scope has none at all.
 */
export function grantedUntil(matching: readonly MatchingGrant[], scopes: readonly string[]): number | undefined {
  let earliest = Number.POSITIVE_INFINITY;
  for (const scope of scopes) {
    const covering = matching.filter(({ grant }) => grant.scopes.includes(scope));
    if (covering.length === 0) return undefined;
    const latest = Math.max(...covering.map(({ grant }) => grant.expiresAt ?? Number.POSITIVE_INFINITY));
    earliest = Math.min(earliest, latest);
  }
  return earliest;
}

/** The Grants that cover at least one of the scopes. */
export function coveringGrants(
  matching: readonly MatchingGrant[],
  scopes: readonly string[],
): readonly MatchingGrant[] {
  return matching.filter(({ grant }) => grant.scopes.some((scope) => scopes.includes(scope)));
}

/** The matching Grants as policy sees them: those that cover a requested scope first, at most 64. */
export function toPolicyGrants(matching: readonly MatchingGrant[], scopes: readonly string[]): readonly PolicyGrant[] {
  const covering = new Set(coveringGrants(matching, scopes));
  const rest = matching.filter((candidate) => !covering.has(candidate));
  return [...covering, ...rest].slice(0, MAX_INPUT_GRANTS).map(({ grant, subject }) => ({
    namespace: grant.namespace,
    name: grant.name,
    scopes: grant.scopes,
    subject: toPolicySubject(subject),
  }));
}

/** The Grant of this application and resource that lacks least for the scope, and what it lacks. */
export function nearestGrant(
  grants: readonly GrantEntry[],
  subject: PolicySubject,
  scope: string,
  now: number,
): Denial['nearestGrant'] {
  let nearest: { grant: string; missing: readonly string[] } | undefined;
  for (const grant of [...grants].sort(compareNames)) {
    const missing = missingFrom(grant, subject, scope, now);
    if (!nearest || missing.length < nearest.missing.length) {
      nearest = { grant: `${grant.namespace}/${grant.name}`, missing };
    }
  }
  return nearest;
}

function missingFrom(grant: GrantEntry, subject: PolicySubject, scope: string, now: number): readonly string[] {
  const missing: string[] = [];
  if (!grant.scopes.includes(scope)) missing.push(`scope ${scope}`);
  if (!grant.subjects.some((entry) => matchesSubject(entry, subject))) missing.push(`subject ${toText(subject)}`);
  if (hasEnded(grant, now)) missing.push('time: expiresAt has passed');
  return missing;
}

function hasEnded(grant: GrantEntry, now: number): boolean {
  return grant.expiresAt !== undefined && grant.expiresAt <= now;
}

function toText(subject: PolicySubject): string {
  return subject.type === 'application' ? 'application' : `user ${subject.issuer}:${subject.sub}`;
}

function toPolicySubject(subject: GrantSubject): PolicyGrant['subject'] {
  switch (subject.type) {
    case 'application':
    case 'anyUser':
      return { type: subject.type, issuer: null, value: null };
    case 'user':
      return { type: 'user', issuer: subject.issuer, value: subject.sub };
    case 'group':
      return { type: 'group', issuer: subject.issuer, value: subject.group };
  }
}

function compareNames(a: GrantEntry, b: GrantEntry): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
