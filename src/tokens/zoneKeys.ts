/** The public keys of a zone, imported once each. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { VerificationKey } from '../authority/snapshot.ts';

export type ZonePublicKey = Pick<VerificationKey, 'kid' | 'x' | 'y'>;

/** Finds by `kid` among `keys()` as it is now; undefined where it is unknown, ambiguous or no P-256 key. */
export function createZoneKeys(keys: () => readonly ZonePublicKey[]): (kid: string) => KeyObject | undefined {
  let source: readonly ZonePublicKey[] | undefined;
  let byKid: ReadonlyMap<string, ImportedKey> = new Map();
  return (kid) => {
    const current = keys();
    if (current !== source) {
      byKid = importAll(current, byKid);
      source = current;
    }
    return byKid.get(kid)?.publicKey;
  };
}

export function isSameKeys(left: readonly ZonePublicKey[], right: readonly ZonePublicKey[]): boolean {
  return left === right || (left.length === right.length && left.every((key, index) => isSame(key, right[index]!)));
}

interface ImportedKey extends ZonePublicKey {
  readonly publicKey: KeyObject | undefined;
}

function importAll(keys: readonly ZonePublicKey[], known: ReadonlyMap<string, ImportedKey>): Map<string, ImportedKey> {
  const imported = new Map<string, ImportedKey>();
  for (const { kid, x, y } of keys) {
    const key = { kid, x, y };
    const twin = imported.get(kid);
    if (twin) {
      if (!isSame(twin, key)) imported.set(kid, { ...twin, publicKey: undefined });
      continue;
    }
    const before = known.get(kid);
    imported.set(kid, before?.publicKey && isSame(before, key) ? before : { ...key, publicKey: importKey(key) });
  }
  return imported;
}

function isSame(left: ZonePublicKey, right: ZonePublicKey): boolean {
  return left.kid === right.kid && left.x === right.x && left.y === right.y;
}

function importKey({ x, y }: ZonePublicKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch {
    return undefined;
  }
}
