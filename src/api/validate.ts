/** The offline validator: schema, defaults and CEL rules of the CRDs, with the refusals a cluster would give. */
import type { Application } from './application.ts';
import { findRuleRefusals } from './celRules.ts';
import { isRecord, withDefaults } from './defaults.ts';
import type { Grant } from './grant.ts';
import type { KindDefinition } from './kind.ts';
import { KINDS } from './kinds.ts';
import { API_VERSION } from './meta.ts';
import { findMetadataRefusals } from './metadata.ts';
import { toObjectSchema } from './openAPISchema.ts';
import type { Policy } from './policy.ts';
import type { PolicySet } from './policySet.ts';
import type { PolicySetRevision } from './policySetRevision.ts';
import type { Resource } from './resource.ts';
import type { Revocation } from './revocation.ts';
import { findRefusals, type Refusal } from './structure.ts';
import type { Zone } from './zone.ts';

/** Any object of our kinds. */
export type CaracalObject = Zone | Application | Resource | Grant | Policy | PolicySet | PolicySetRevision | Revocation;

export type Validation =
  | { readonly ok: true; /** With defaults filled in. */ readonly object: CaracalObject }
  | { readonly ok: false; readonly refused: readonly Refusal[] };

/** `old`: the object that it replaces, for rules about changes. */
export function validateObject(value: unknown, old?: unknown): Validation {
  if (!isRecord(value)) return refuse('', 'an object with apiVersion, kind, metadata and spec is needed');
  if (value['apiVersion'] !== API_VERSION) return refuse('apiVersion', `must be ${API_VERSION}`);
  const kind = KINDS.find((candidate) => candidate.kind === value['kind']);
  if (!kind) return refuse('kind', `must be one of ${KINDS.map((known) => known.kind).join(', ')}`);
  return validateKind(value, kind, old);
}

function validateKind(value: Readonly<Record<string, unknown>>, kind: KindDefinition, old: unknown): Validation {
  const metadata = findMetadataRefusals(value['metadata']);
  const schema = toObjectSchema(kind);
  const { metadata: given, ...rest } = value;
  const object = { ...(withDefaults(rest, schema) as Record<string, unknown>), metadata: given };
  const refused = [...metadata, ...findRefusals({ ...object, metadata: {} }, schema, '')];
  if (refused.length > 0) return { ok: false, refused };
  const broken = findRuleRefusals(object, old, schema, '').map(toNamed);
  return broken.length > 0 ? { ok: false, refused: broken } : { ok: true, object: object as unknown as CaracalObject };
}

/** Rules over the whole object are about its name, which is all of metadata that they see. */
function toNamed({ path, message }: Refusal): Refusal {
  return { path: path === '' ? 'metadata.name' : path, message };
}

function refuse(path: string, message: string): Validation {
  return { ok: false, refused: [{ path, message }] };
}
