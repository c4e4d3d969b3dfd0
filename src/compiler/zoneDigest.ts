/** The digest of a zone's snapshot: a hash over remembered hashes of its entries, in an order of their own. */
import { createHash } from 'node:crypto';
import type { ZoneSnapshot } from '../authority/snapshot.ts';
import { perObject } from './perObject.ts';

const entryHash = perObject((entry: object) => sha256(canonical(entry)));

/** Hex SHA-256; equal for equal content whatever the order of input. */
export function zoneDigest(zone: Omit<ZoneSnapshot, 'digest'>, settings: object): string {
  const sections = [
    entryHash(settings),
    zone.policy ? canonical([zone.policy.set, zone.policy.revision, zone.policy.digest]) : 'none',
    section(zone.applications.values()),
    section(zone.resources.values()),
    section(zone.grants.values().flatMap((grants) => grants)),
    section(zone.keys),
    section(zone.revocations),
  ];
  return sha256(sections.join('\n'));
}

/** Entries carry their own names, so a sorted list of their hashes says all of a section. */
function section(entries: Iterable<object>): string {
  return sha256(Array.from(entries, entryHash).sort().join(''));
}

/** JSON with sorted members; maps as sorted pairs, absent as null. */
function canonical(value: unknown): string {
  if (value instanceof Map) return canonical([...value].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
