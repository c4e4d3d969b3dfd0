/** The part of metadata that people write, judged as the API server itself does (k8s.io/apimachinery validation). */
import { isRecord } from './defaults.ts';
import type { Refusal } from './structure.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const QUALIFIED_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
/** Of all annotations together, in bytes. */
const ANNOTATIONS_LIMIT = 256 * 1024;

/** What YAML takes for a number or a boolean: `n` is one. */
const QUOTE = 'must be a string: put it in quotes';

/** metav1.ObjectMeta. */
const FIELDS: ReadonlySet<string> = new Set([
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
]);

export function findMetadataRefusals(metadata: unknown): readonly Refusal[] {
  if (!isRecord(metadata)) return [{ path: 'metadata', message: 'Required value: an object needs metadata.name' }];
  return [
    ...Object.keys(metadata)
      .filter((field) => !FIELDS.has(field))
      .map((field) => ({ path: `metadata.${field}`, message: `unknown field "metadata.${field}"` })),
    ...checkName(metadata['name']),
    ...checkNamespace(metadata['namespace']),
    ...checkTexts(metadata['labels'], 'metadata.labels', checkLabel),
    ...checkTexts(metadata['annotations'], 'metadata.annotations', checkAnnotation),
    ...checkSize(metadata['annotations']),
  ];
}

function checkName(name: unknown): readonly Refusal[] {
  const path = 'metadata.name';
  if (isScalar(name)) return [{ path, message: QUOTE }];
  if (typeof name !== 'string' || name === '') return [{ path, message: 'Required value: name is required' }];
  if (SUBDOMAIN.test(name) && name.length <= 253) return [];
  const message =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [{ path, message }];
}

function checkNamespace(namespace: unknown): readonly Refusal[] {
  if (namespace === undefined || namespace === null || namespace === '') return [];
  if (isScalar(namespace)) return [{ path: 'metadata.namespace', message: QUOTE }];
  if (typeof namespace === 'string' && LABEL.test(namespace) && namespace.length <= 63) return [];
  const message =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  return [{ path: 'metadata.namespace', message }];
}

function isScalar(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

type CheckEntry = (key: string, value: string) => string | undefined;

function checkTexts(value: unknown, path: string, check: CheckEntry): readonly Refusal[] {
  if (value === undefined || value === null) return [];
  if (!isRecord(value)) return [{ path, message: 'must be a mapping of strings' }];
  return Object.entries(value).flatMap(([key, entry]) => {
    const at = `${path}["${key}"]`;
    if (entry === null) return checkEntry(at, check(key, ''));
    if (typeof entry !== 'string') return [{ path: at, message: QUOTE }];
    return checkEntry(at, check(key, entry));
  });
}

function checkEntry(path: string, message: string | undefined): readonly Refusal[] {
  return message === undefined ? [] : [{ path, message }];
}

function checkLabel(key: string, value: string): string | undefined {
  const wrongKey = checkQualifiedName(key);
  if (wrongKey !== undefined) return wrongKey;
  if (value.length > 63) return 'a label value must be no more than 63 bytes';
  if (LABEL_VALUE.test(value)) return undefined;
  return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
}

/** Keys of annotations are judged in lower case. */
function checkAnnotation(key: string): string | undefined {
  return checkQualifiedName(key.toLowerCase());
}

/** `[prefix/]name`. */
function checkQualifiedName(key: string): string | undefined {
  const parts = key.split('/');
  const name = parts.at(-1)!;
  const prefix = parts.length === 2 ? parts[0] : undefined;
  const isPrefixed = prefix === undefined || (SUBDOMAIN.test(prefix) && prefix.length <= 253);
  if (parts.length <= 2 && isPrefixed && QUALIFIED_NAME.test(name) && name.length <= 63) return undefined;
  return "a key must be a qualified name: alphanumeric characters, '-', '_' or '.', starting and ending with an alphanumeric character, with an optional DNS subdomain prefix and '/'";
}

function checkSize(annotations: unknown): readonly Refusal[] {
  if (!isRecord(annotations)) return [];
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + (typeof value === 'string' ? Buffer.byteLength(value) : 0),
    0,
  );
  if (bytes <= ANNOTATIONS_LIMIT) return [];
  return [{ path: 'metadata.annotations', message: `Too long: may not be more than ${ANNOTATIONS_LIMIT} bytes` }];
}
