/** A zone's signing keys as a Secret in Caracal's own namespace: its name, its form, and reading it back with distrust. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { PrivateZoneKey } from '../tokens/keys.ts';
import type { KubeRecord } from './watchEvent.ts';

export const KEY_SECRET_LABEL = 'caracal.run/use';
export const KEY_SECRET_USE = 'zone-keys';
const KEY_SECRET_TYPE = 'caracal.run/zone-keys';
const NAME_PREFIX = 'caracal-keys-';
const ZONE_ANNOTATION = 'caracal.run/zone';
const DATA_KEY = 'keys.json';
const MEMBERS = ['kid', 'x', 'y', 'd'] as const;

export interface KeySecret {
  readonly name: string;
  readonly zoneUID: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly keys:
    { readonly ok: true; readonly keys: readonly PrivateZoneKey[] } | { readonly ok: false; readonly message: string };
}

export function keySecretName(zoneUID: string): string {
  return NAME_PREFIX + zoneUID;
}

/** The Secret to write; `resourceVersion` undefined creates, else replaces exactly that version. */
export function keySecretObject(
  namespace: string,
  zone: { readonly uid: string; readonly id: string },
  keys: readonly PrivateZoneKey[],
  resourceVersion: string | undefined,
): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: KEY_SECRET_TYPE,
    metadata: {
      name: keySecretName(zone.uid),
      namespace,
      labels: { [KEY_SECRET_LABEL]: KEY_SECRET_USE, 'app.kubernetes.io/managed-by': 'caracal' },
      annotations: { [ZONE_ANNOTATION]: zone.id },
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    data: { [DATA_KEY]: Buffer.from(JSON.stringify({ keys })).toString('base64') },
  };
}

/** Total: a Secret that cannot be used says why, without quoting it. */
export function toKeySecret(record: KubeRecord): KeySecret {
  const { name, uid, resourceVersion } = record.metadata;
  return { name, uid, resourceVersion, zoneUID: name.slice(NAME_PREFIX.length), keys: readKeys(name, record['data']) };
}

function readKeys(name: string, data: unknown): KeySecret['keys'] {
  try {
    return { ok: true, keys: parseKeys(data) };
  } catch (error) {
    const why = error instanceof UnusableKeys ? error.message : 'is not JSON in base64';
    return {
      ok: false,
      message: `Secret ${name}: data["${DATA_KEY}"] ${why}; restore it from a backup, or delete the Secret for new keys (which ends every live mandate of the zone)`,
    };
  }
}

class UnusableKeys extends Error {
  override readonly name = 'UnusableKeys';
}

function parseKeys(data: unknown): PrivateZoneKey[] {
  const text = isObject(data) ? data[DATA_KEY] : undefined;
  if (typeof text !== 'string') throw new UnusableKeys('is missing');
  const document: unknown = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
  const keys = isObject(document) ? document['keys'] : undefined;
  if (!Array.isArray(keys) || keys.length === 0) throw new UnusableKeys('holds no list "keys"');
  return keys.map(parseKey);
}

function parseKey(value: unknown, index: number): PrivateZoneKey {
  if (!isObject(value)) throw new UnusableKeys(`key ${index} is not an object`);
  for (const member of MEMBERS)
    if (typeof value[member] !== 'string') throw new UnusableKeys(`key ${index} has no "${member}"`);
  const { createdAt, activeAt } = value;
  if (typeof createdAt !== 'number') throw new UnusableKeys(`key ${index} has no "createdAt"`);
  if (activeAt !== undefined && typeof activeAt !== 'number')
    throw new UnusableKeys(`key ${index} has an "activeAt" that is no number`);
  const key = value as unknown as PrivateZoneKey;
  requirePair(key, index);
  return { kid: key.kid, x: key.x, y: key.y, d: key.d, createdAt, activeAt };
}

/** The public members must be those of the private scalar, else mandates would be signed that nobody can verify. */
function requirePair(key: PrivateZoneKey, index: number): void {
  let derived: { x?: string; y?: string };
  try {
    const jwk = { kty: 'EC', crv: 'P-256', x: key.x, y: key.y, d: key.d };
    derived = createPublicKey(createPrivateKey({ key: jwk, format: 'jwk' })).export({ format: 'jwk' });
  } catch {
    throw new UnusableKeys(`key ${index} is not a P-256 key`);
  }
  if (derived.x !== key.x || derived.y !== key.y) throw new UnusableKeys(`key ${index} is not a pair`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
