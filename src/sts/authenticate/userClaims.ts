/** What we take of a user's verified claims: the subject, groups and the allow-listed claims, each bounded. */
import type { PolicySubject } from '../../authority/policyInput.ts';
import type { SubjectIssuer } from '../../authority/snapshot.ts';

const MAX_SUB_BYTES = 255;
const MAX_GROUPS = 256;
const MAX_GROUP_BYTES = 256;
const MAX_CLAIMS_BYTES = 8 * 1024;
/** Controls, format characters (bidi overrides, zero width), lone surrogates, line and paragraph separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** `refuse` makes the error. What is malformed refuses the token: leaving a group out could hide it from a deny list. */
export function toUserSubject(
  claims: Readonly<Record<string, unknown>>,
  issuer: SubjectIssuer,
  refuse: (evidence: string) => Error,
): PolicySubject {
  const { sub, auth_time: authTime, acr, amr } = claims;
  if (!isIdentifier(sub, MAX_SUB_BYTES) || sub.startsWith('caracal:'))
    throw refuse('ID token: sub is empty, too long or holds control characters');
  if (authTime !== undefined && !Number.isSafeInteger(authTime)) throw refuse('ID token: auth_time is no integer');
  if (acr !== undefined && !isIdentifier(acr, 256)) throw refuse('ID token: acr is no short string');
  return {
    type: 'user',
    issuer: issuer.name,
    sub,
    groups: toStrings(issuer.groupsClaim === undefined ? undefined : claims[issuer.groupsClaim], 'groups', refuse),
    claims: toAllowed(claims, issuer.claims, refuse),
    auth_time: (authTime as number | undefined) ?? null,
    acr: acr ?? null,
    amr: toStrings(amr, 'amr', refuse),
  };
}

function isIdentifier(value: unknown, maxBytes: number): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxBytes && !UNPRINTABLE.test(value);
}

function toStrings(value: unknown, what: string, refuse: (evidence: string) => Error): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_GROUPS)
    throw refuse(`ID token: ${what} is no list of at most ${MAX_GROUPS}`);
  const entries: readonly unknown[] = value;
  if (!entries.every((entry) => isIdentifier(entry, MAX_GROUP_BYTES)))
    throw refuse(`ID token: ${what} holds more than short strings`);
  return [...new Set(entries)].sort();
}

function toAllowed(
  claims: Readonly<Record<string, unknown>>,
  allowed: readonly string[],
  refuse: (evidence: string) => Error,
): Readonly<Record<string, unknown>> {
  const picked = Object.fromEntries(
    allowed.filter((name) => Object.hasOwn(claims, name)).map((name) => [name, claims[name]]),
  );
  if (Buffer.byteLength(JSON.stringify(picked)) > MAX_CLAIMS_BYTES)
    throw refuse('ID token: the listed claims are too large');
  return picked;
}
