/** Grants as a ceiling: subjects, what policy sees of them, and the nearest. */
import { describe, expect, it } from 'vitest';
import {
  MAX_INPUT_GRANTS,
  grantedUntil,
  matchGrants,
  matchesSubject,
  nearestGrant,
  toPolicyGrants,
} from '../../src/authority/grants.ts';
import type { PolicySubject } from '../../src/authority/policyInput.ts';
import type { GrantSubject } from '../../src/authority/snapshot.ts';
import { ITSELF, SECONDS, grant, user } from './zone.ts';

const ann: GrantSubject = { type: 'user', issuer: 'corp', sub: 'ann' };
const staff: GrantSubject = { type: 'group', issuer: 'corp', group: 'staff' };

describe('matchesSubject', () => {
  const cases: readonly (readonly [string, GrantSubject, PolicySubject, boolean])[] = [
    ['application matches the application itself', { type: 'application' }, ITSELF, true],
    ['application matches no user', { type: 'application' }, user(), false],
    ['user matches that user', ann, user(), true],
    ['user matches no other', ann, user({ sub: 'Ann' }), false],
    ['X-26 user matches no namesake of another issuer', ann, user({ issuer: 'lab' }), false],
    ['user matches no application of that name', ann, { ...ITSELF, issuer: 'corp', sub: 'ann' }, false],
    ['group matches a member', staff, user({ groups: ['x', 'staff'] }), true],
    ['group matches nobody else', staff, user({ groups: ['Staff'] }), false],
    [
      'X-26 group matches no member of a group of that name at another issuer',
      staff,
      user({ issuer: 'lab', groups: ['staff'] }),
      false,
    ],
    ['group matches no application', staff, { ...ITSELF, issuer: 'corp', groups: ['staff'] }, false],
    ['anyUser matches any user', { type: 'anyUser' }, user({ sub: 'bob' }), true],
    ['anyUser matches no application', { type: 'anyUser' }, ITSELF, false],
  ];
  it.each(cases)('%s', (_name, entry, subject, expected) => {
    expect(matchesSubject(entry, subject)).toBe(expected);
  });

  it('X-25 NFC and NFD stay two subjects', () => {
    const composed: GrantSubject = { type: 'user', issuer: 'corp', sub: '\u00e9' };
    expect(matchesSubject(composed, user({ sub: 'e\u0301' }))).toBe(false);
  });
});

describe('matchGrants', () => {
  it('keeps those in force for the subject, by name, with the entry that matched first', () => {
    const grants = [
      grant({ name: 'c', subjects: [{ type: 'application' }] }),
      grant({ name: 'b', subjects: [{ type: 'application' }, staff, { type: 'anyUser' }] }),
      grant({ name: 'a', subjects: [ann], expiresAt: SECONDS + 1 }),
      grant({ name: 'd', subjects: [ann], expiresAt: SECONDS }),
    ];
    const matching = matchGrants(grants, user({ groups: ['staff'] }), SECONDS);
    expect(matching.map(({ grant: { name }, subject }) => [name, subject])).toEqual([
      ['a', ann],
      ['b', staff],
    ]);
  });
});

describe('grantedUntil', () => {
  const match = (...grants: ReturnType<typeof grant>[]) => matchGrants(grants, ITSELF, SECONDS);

  it('is undefined where a scope has no Grant and infinite where every scope has one without end', () => {
    expect(grantedUntil(match(grant()), ['read', 'write'])).toBeUndefined();
    expect(grantedUntil(match(grant()), ['read'])).toBe(Infinity);
    expect(grantedUntil(match(), [])).toBe(Infinity);
  });
});

describe('toPolicyGrants', () => {
  it('shows every form of subject with typed nulls', () => {
    const subjects: readonly GrantSubject[] = [ann, staff, { type: 'anyUser' }];
    const grants = subjects.map((subject, index) => grant({ name: `g${index}`, subjects: [subject] }));
    const matching = matchGrants(grants, user({ groups: ['staff'] }), SECONDS);
    expect(toPolicyGrants(matching, ['read']).map(({ subject }) => subject)).toEqual([
      { type: 'user', issuer: 'corp', value: 'ann' },
      { type: 'group', issuer: 'corp', value: 'staff' },
      { type: 'anyUser', issuer: null, value: null },
    ]);
    const own = toPolicyGrants(matchGrants([grant()], ITSELF, SECONDS), ['read']);
    expect(own).toEqual([
      { namespace: 'shop', name: 'g', scopes: ['read'], subject: { type: 'application', issuer: null, value: null } },
    ]);
  });

  it('is at most 64, those that cover a requested scope first', () => {
    const many = Array.from({ length: 100 }, (_, index) =>
      grant({ name: `a${String(index).padStart(3, '0')}`, scopes: ['write'] }),
    );
    const shown = toPolicyGrants(matchGrants([...many, grant({ name: 'z' })], ITSELF, SECONDS), ['read']);
    expect(shown.length).toBe(MAX_INPUT_GRANTS);
    expect(shown[0]!.name).toBe('z');
  });
});

describe('nearestGrant', () => {
  it('is the one that lacks least, by name among equals, with all it lacks', () => {
    const grants = [
      grant({ name: 'far', scopes: ['write'], subjects: [staff], expiresAt: SECONDS - 1 }),
      grant({ name: 'near-b', scopes: ['write'] }),
      grant({ name: 'near-a', subjects: [{ type: 'anyUser' }] }),
    ];
    expect(nearestGrant(grants, ITSELF, 'read', SECONDS)).toEqual({
      grant: 'shop/near-a',
      missing: ['subject application'],
    });
    expect(nearestGrant(grants.slice(0, 1), ITSELF, 'read', SECONDS)).toEqual({
      grant: 'shop/far',
      missing: ['scope read', 'subject application', 'time: expiresAt has passed'],
    });
    expect(nearestGrant([], ITSELF, 'read', SECONDS)).toBeUndefined();
  });
});
