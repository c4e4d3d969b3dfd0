/** Mandate verifiers of a zone, made once per snapshot, use and audience, so that keys are imported once. */
import type { MandateUse } from '../authority/claims.ts';
import type { ZoneSnapshot } from '../authority/snapshot.ts';
import { createMandateVerifier, type MandateVerifier } from '../tokens/verify.ts';

const verifiers = new WeakMap<ZoneSnapshot, Map<string, MandateVerifier>>();

export function verifierFor(
  zone: ZoneSnapshot,
  { issuer, audience, use }: { readonly issuer: string; readonly audience: string; readonly use: MandateUse },
): MandateVerifier {
  const known = verifiers.get(zone) ?? new Map<string, MandateVerifier>();
  verifiers.set(zone, known);
  const key = JSON.stringify([issuer, use, audience]);
  const verifier =
    known.get(key) ?? createMandateVerifier({ issuer, zoneID: zone.id, audience, use, keys: () => zone.keys });
  known.set(key, verifier);
  return verifier;
}
