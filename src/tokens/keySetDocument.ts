/** A JWK set (RFC 7517 §5) as its issuer published it: only public members, and none of it when it leaks a private one. */
import type { PublicJWK } from '../authority/snapshot.ts';
import { parseStrictJSON } from './json.ts';

export type KeySetDocument =
  { readonly ok: true; readonly keys: readonly PublicJWK[] } | { readonly ok: false; readonly problem: string };

const MAX_KEYS = 64;
const MAX_DEPTH = 16;
const PUBLIC_MEMBERS = ['kty', 'kid', 'alg', 'use', 'crv', 'x', 'y', 'n', 'e'] as const;
/** RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

/** Total. A key of a kind that we do not know stays out; what is wrong with the set as a whole refuses it. */
export function parseKeySet(text: string): KeySetDocument {
  const parsed = parseStrictJSON(text, MAX_DEPTH);
  if (!parsed.ok) return refuse(parsed.problem);
  const list = isObject(parsed.value) ? parsed.value['keys'] : undefined;
  if (!Array.isArray(list)) return refuse('is not a JWK set, an object with an array "keys"');
  if (list.length > MAX_KEYS) return refuse(`holds more than ${MAX_KEYS} keys`);
  const members = list.filter((key) => isObject(key));
  if (members.some((key) => PRIVATE_MEMBERS.some((name) => Object.hasOwn(key, name)))) {
    return refuse('publishes a private or symmetric key; its owner must replace that key');
  }
  return { ok: true, keys: members.flatMap((key) => toPublicJWK(key) ?? []) };
}

function toPublicJWK(key: Readonly<Record<string, unknown>>): PublicJWK | undefined {
  const operations = key['key_ops'];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const members: Record<string, string> = {};
  for (const name of PUBLIC_MEMBERS) {
    const value = key[name];
    if (value === undefined) continue;
    if (typeof value !== 'string') return undefined;
    members[name] = value;
  }
  const { kty } = members;
  return kty === undefined ? undefined : { ...members, kty };
}

function refuse(problem: string): KeySetDocument {
  return { ok: false, problem };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
