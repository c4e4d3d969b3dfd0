/** Judges one manifest document as the API server would: ours (valid or refused), a Namespace, or not our business. */
import { GROUP } from '../api/meta.ts';
import { validateObject } from '../api/validate.ts';
import { objectKey } from '../compiler/verdict.ts';
import type { ManifestDocument } from './manifest.ts';

export type ManifestObject = Extract<ReturnType<typeof validateObject>, { ok: true }>['object'];

export interface Refusal {
  readonly path: string;
  readonly message: string;
}

export type Admitted =
  | {
      readonly type: 'object';
      readonly document: ManifestDocument;
      readonly key: string;
      readonly object: ManifestObject;
    }
  | {
      readonly type: 'namespace';
      readonly document: ManifestDocument;
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
    }
  | { readonly type: 'ignored'; readonly document: ManifestDocument; readonly note: string }
  | {
      readonly type: 'refused';
      readonly document: ManifestDocument;
      readonly kind: string;
      readonly namespace: string;
      readonly name: string;
      readonly refused: readonly Refusal[];
    };

/** Members that the API server owns: what a file says of them counts for nothing. */
const SERVER_OWNED = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
];

/** `old` finds the object that this one would replace, for rules such as immutability. */
export function admitDocument(document: ManifestDocument, old: (key: string) => ManifestObject | undefined): Admitted {
  const value = document.value;
  if (!isRecord(value))
    return refuse(document, {}, '', 'a manifest document must be a mapping with apiVersion and kind');
  if (typeof value.kind !== 'string' || typeof value.apiVersion !== 'string') {
    const missing = typeof value.kind === 'string' ? 'apiVersion' : 'kind';
    return refuse(document, value, missing, 'is required, as a string');
  }
  if (value.apiVersion.split('/')[0] !== GROUP) return admitForeign(document, value, value.apiVersion, value.kind);
  if (value.kind === 'PolicySetRevision') {
    const message =
      'PolicySetRevisions are written by the controller only; to roll back, pin one in Zone.spec.policySetRef';
    return refuse(document, value, 'kind', message);
  }
  return admitOurs(document, value, old);
}

function admitOurs(
  document: ManifestDocument,
  value: Readonly<Record<string, unknown>>,
  old: (key: string) => ManifestObject | undefined,
): Admitted {
  const candidate = toCandidate(value);
  const { kind, namespace, name } = identify(candidate);
  const key = objectKey(kind, namespace, name);
  const result = validateObject(candidate, old(key));
  if (result.ok) return { type: 'object', document, key, object: result.object };
  return { type: 'refused', document, kind, namespace, name, refused: result.refused };
}

function admitForeign(
  document: ManifestDocument,
  value: Readonly<Record<string, unknown>>,
  apiVersion: string,
  kind: string,
): Admitted {
  const { name } = identify(value);
  if (apiVersion !== 'v1' || kind !== 'Namespace') {
    const why =
      apiVersion === 'v1' && kind === 'ServiceAccount' ? 'any ServiceAccount name works here' : 'not of our group';
    return { type: 'ignored', document, note: `${kind} ${name} (${apiVersion}) is ignored: ${why}` };
  }
  const refuseIt = (path: string, message: string): Admitted => ({
    ...{ type: 'refused', document, kind, namespace: '', name },
    refused: [{ path, message }],
  });
  if (name === '') return refuseIt('metadata.name', 'is required');
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  const labels = isRecord(metadata.labels) ? metadata.labels : {};
  const wrong = Object.entries(labels).find(([, label]) => typeof label !== 'string');
  if (wrong) return refuseIt(`metadata.labels["${wrong[0]}"]`, 'must be a string: put it in quotes');
  return { type: 'namespace', document, name, labels: labels as Readonly<Record<string, string>> };
}

/** The document as it would reach storage: in a namespace, without status and what the server owns. */
function toCandidate(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { status: _status, ...rest } = value;
  if (!isRecord(value.metadata)) return rest;
  const metadata = Object.fromEntries(Object.entries(value.metadata).filter(([key]) => !SERVER_OWNED.includes(key)));
  return { ...rest, metadata: { ...metadata, namespace: metadata.namespace ?? 'default' } };
}

function refuse(
  document: ManifestDocument,
  value: Readonly<Record<string, unknown>>,
  path: string,
  message: string,
): Admitted {
  return { type: 'refused', document, ...identify(toCandidate(value)), refused: [{ path, message }] };
}

function identify(value: Readonly<Record<string, unknown>>): { kind: string; namespace: string; name: string } {
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  const text = (member: unknown) => (typeof member === 'string' ? member : '');
  return { kind: text(value.kind), namespace: text(metadata.namespace), name: text(metadata.name) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
