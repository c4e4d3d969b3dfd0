/** A zone's keys on the wire (RFC 7517) and the one that signs. */
import type { ZoneSnapshot } from '../authority/snapshot.ts';
import { importSigningKey, type SigningKey } from '../tokens/mint.ts';
import { selectSigningKey } from '../tokens/rotation.ts';
import type { SigningKeySource } from './ports.ts';

export interface JWKSet {
  readonly keys: readonly Readonly<Record<string, string>>[];
}

/** Never a union of zones. */
export function toJWKSet({ keys }: ZoneSnapshot): JWKSet {
  return { keys: keys.map(({ kid, x, y }) => ({ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256', kid, x, y })) };
}

/** The newest key that may sign now and is published: a key nobody can look up signs nothing. */
export function createSigningKeys(
  source: SigningKeySource,
  now: () => number,
): (zone: ZoneSnapshot) => SigningKey | undefined {
  const imported = new Map<string, SigningKey>();
  return (zone) => {
    const published = new Set(zone.keys.map(({ kid }) => kid));
    const key = selectSigningKey(
      source.keys(zone.uid).filter(({ kid }) => published.has(kid)),
      now(),
    );
    if (!key) return undefined;
    const known = imported.get(zone.uid);
    if (known?.kid === key.kid) return known;
    const made = importSigningKey(key);
    imported.set(zone.uid, made);
    return made;
  };
}
