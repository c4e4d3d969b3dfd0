/** Other people's public keys: which one a token needs, and whether it is strong enough. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { PublicJWK } from '../authority/snapshot.ts';
import { createLRU } from './lru.ts';
import { requiredMembers, thumbprint } from './thumbprint.ts';

export type ForeignAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA' | 'Ed25519';

export type ChosenKey =
  | { readonly ok: true; readonly jwk: PublicJWK; readonly publicKey: KeyObject }
  | { readonly ok: false; readonly problem: 'unknown_key' | 'ambiguous_key' | 'weak_key'; readonly message: string };

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
const MAX_KEPT_KEYS = 1024;

interface Imported {
  readonly publicKey: KeyObject | undefined;
}

/** By thumbprint, which is the whole of what verifies: sharing it between zones shares nothing else. */
const imported = createLRU<Imported>(MAX_KEPT_KEYS);
/** The same by the key set's own object, which is asked for with every token. */
const byObject = new WeakMap<PublicJWK, Imported>();

export function isForeignAlgorithm(alg: unknown): alg is ForeignAlgorithm {
  return alg === 'RS256' || alg === 'PS256' || alg === 'ES256' || alg === 'EdDSA' || alg === 'Ed25519';
}

/** The one key of the set for this `alg` and `kid`: by kid where the set names its keys, else the only one that suits. */
export function chooseKey(keys: readonly PublicJWK[], alg: ForeignAlgorithm, kid: string | undefined): ChosenKey {
  const isNamed = kid !== undefined && keys.some((key) => key.kid !== undefined);
  const candidates = isNamed ? keys.filter((key) => key.kid === kid) : keys;
  const suitable = candidates.filter((key) => suits(key, alg));
  const [jwk] = suitable;
  if (!jwk) return refuse('unknown_key', `no key of the issuer has its kid and verifies ${alg}`);
  if (suitable.length > 1) return refuse('ambiguous_key', 'several keys of the issuer suit; give each its own kid');
  const publicKey = importKey(jwk);
  if (publicKey) return { ok: true, jwk, publicKey };
  return refuse('weak_key', `the key of the issuer is not valid, or is RSA of less than ${MIN_RSA_BITS} bits`);
}

/** The key pins the algorithm, never the token. */
function suits({ kty, crv, alg: pinned, use }: PublicJWK, alg: ForeignAlgorithm): boolean {
  if (use !== undefined && use !== 'sig') return false;
  if (pinned !== undefined && pinned !== alg) return false;
  switch (alg) {
    case 'RS256':
    case 'PS256':
      return kty === 'RSA';
    case 'ES256':
      return kty === 'EC' && crv === 'P-256';
    case 'EdDSA':
    case 'Ed25519':
      return kty === 'OKP' && crv === 'Ed25519';
  }
}

function importKey(jwk: PublicJWK): KeyObject | undefined {
  try {
    let entry = byObject.get(jwk);
    if (!entry) byObject.set(jwk, (entry = importOnce(jwk)));
    return entry.publicKey;
  } catch {
    return undefined;
  }
}

function importOnce(jwk: PublicJWK): Imported {
  const name = thumbprint(jwk);
  let entry = imported.get(name);
  if (!entry) imported.set(name, (entry = { publicKey: importStrong(jwk) }));
  return entry;
}

function importStrong(jwk: PublicJWK): KeyObject | undefined {
  const publicKey = createPublicKey({ key: { ...requiredMembers(jwk) }, format: 'jwk' });
  const { modulusLength, publicExponent } = publicKey.asymmetricKeyDetails ?? {};
  if (modulusLength === undefined) return publicKey;
  const isStrong = modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS && (publicExponent ?? 0n) > 2n;
  return isStrong ? publicKey : undefined;
}

function refuse(problem: Extract<ChosenKey, { ok: false }>['problem'], message: string): ChosenKey {
  return { ok: false, problem, message };
}
