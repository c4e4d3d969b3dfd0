/** One text for equal values, to take digests of. */

/** JSON with sorted members (as RFC 8785 §3.2.3 sorts them); maps as sorted pairs, absent members left out, absent as null. */
export function toCanonicalJSON(value: unknown): string {
  if (value instanceof Map) return toCanonicalJSON([...value].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  if (Array.isArray(value)) return `[${value.map(toCanonicalJSON).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${toCanonicalJSON(member)}`).join(',')}}`;
}
