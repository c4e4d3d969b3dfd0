/** The digest of a zone's snapshot: a hash over remembered hashes of its entries, in an order of their own. */
import { createHash } from 'node:crypto';
import { toCanonicalJSON } from '../authority/canonical.ts';
import type { ZoneSnapshot } from '../authority/snapshot.ts';
import { perObject } from './perObject.ts';

const entryHash = perObject((entry: object) => sha256(toCanonicalJSON(entry)));

/** Hex SHA-256; equal for equal content whatever the order of input. */
export function zoneDigest(zone: Omit<ZoneSnapshot, 'digest'>, settings: object): string {
  const sections = [
    entryHash(settings),
    zone.policy ? toCanonicalJSON([zone.policy.set, zone.policy.revision, zone.policy.digest]) : 'none',
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

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
