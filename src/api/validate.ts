/** The offline validator: schema, defaults and CEL rules of the CRDs, with the refusals a cluster would give. */
import type { Application } from './application.ts';
import { findRuleRefusals } from './celRules.ts';
import { isRecord, withDefaults } from './defaults.ts';
import type { Grant } from './grant.ts';
import type { KindDefinition } from './kind.ts';
import { KINDS } from './kinds.ts';
import { API_VERSION } from './meta.ts';
import { toObjectSchema } from './openAPISchema.ts';
import type { Policy } from './policy.ts';
import type { PolicySet } from './policySet.ts';
import type { PolicySetRevision } from './policySetRevision.ts';
import type { Resource } from './resource.ts';
import { findRefusals, type Refusal } from './structure.ts';
import type { Zone } from './zone.ts';

/** Any object of our kinds. */
export type CaracalObject = Zone | Application | Resource | Grant | Policy | PolicySet | PolicySetRevision;

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
  const metadata = checkMetadata(value['metadata']);
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

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const TEXT_MAPS = ['labels', 'annotations'] as const;

/** What the API server itself checks of the part of metadata that people write. */
function checkMetadata(metadata: unknown): readonly Refusal[] {
  if (!isRecord(metadata)) return [{ path: 'metadata', message: 'Required value' }];
  const refusals: Refusal[] = [];
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '')
    refusals.push({ path: 'metadata.name', message: 'Required value: name is required' });
  else if (!SUBDOMAIN.test(name) || name.length > 253) {
    refusals.push({
      path: 'metadata.name',
      message: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
    });
  }
  if (namespace !== undefined && (typeof namespace !== 'string' || !LABEL.test(namespace) || namespace.length > 63)) {
    refusals.push({
      path: 'metadata.namespace',
      message: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
    });
  }
  for (const member of TEXT_MAPS) refusals.push(...checkTexts(metadata[member], `metadata.${member}`));
  return refusals;
}

function checkTexts(value: unknown, path: string): readonly Refusal[] {
  if (value === undefined || value === null) return [];
  if (!isRecord(value)) return [{ path, message: 'must be a mapping of strings' }];
  return Object.entries(value)
    .filter(([, text]) => typeof text !== 'string')
    .map(([name]) => ({ path: `${path}["${name}"]`, message: 'must be a string: put it in quotes' }));
}

function refuse(path: string, message: string): Validation {
  return { ok: false, refused: [{ path, message }] };
}
