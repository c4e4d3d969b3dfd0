/** The policies that a recorded decision was made by, and where their text is written now. */
import { isDeepStrictEqual } from 'node:util';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { readText } from './dataFolder.ts';
import { parseManifest } from './manifest.ts';
import type { StoreState, StoredObject } from './objectStore.ts';

/** Where one Policy's text is. */
export interface PolicyPlace {
  readonly name: string;
  readonly file: string;
  /** The line where `spec.rego` begins. */
  readonly line: number;
  /** The line of the file where a line (1-based) of the text is. */
  lineInText(line: number): number;
}

export interface RecordedPolicies {
  readonly modules: readonly PolicyModule[];
  readonly places: readonly PolicyPlace[];
}

/** Undefined where no revision of this digest is kept any more. */
export async function findRecordedPolicies(
  state: StoreState,
  namespace: string,
  digest: string,
): Promise<RecordedPolicies | undefined> {
  const revision = state.objects
    .map(({ object }) => object)
    .find((object) => isRevision(object) && object.metadata.namespace === namespace && object.spec.digest === digest);
  if (!revision || !isRevision(revision)) return undefined;
  const modules = revision.spec.policies.map(toModule);
  return { modules, places: await Promise.all(modules.map((module) => findPlace(module, revision, state.objects))) };
}

/** Every kept revision of the name: `NAME`, or `NAMESPACE/NAME`. */
export function findRevision(
  state: StoreState,
  text: string,
): readonly { readonly namespace: string; readonly name: string; readonly modules: readonly PolicyModule[] }[] {
  return state.objects.flatMap(({ object }) => {
    if (!isRevision(object)) return [];
    const { namespace, name } = object.metadata;
    if (text !== name && text !== `${namespace}/${name}`) return [];
    return [{ namespace, name, modules: object.spec.policies.map(toModule) }];
  });
}

function isRevision(object: StoredObject['object']): object is PolicySetRevision {
  return object.kind === 'PolicySetRevision';
}

function toModule({ name, rego, appliesTo }: PolicySetRevision['spec']['policies'][number]): PolicyModule {
  if (!appliesTo) return { name, rego };
  const { resources, applications } = appliesTo;
  return { name, rego, appliesTo: { ...(resources && { resources }), ...(applications && { applications }) } };
}

/** The manifest while it still says the same, else the revision itself. */
async function findPlace(
  { name, rego }: PolicyModule,
  { metadata }: PolicySetRevision,
  objects: readonly StoredObject[],
): Promise<PolicyPlace> {
  const inRevision = { name, file: `${metadata.namespace}/${metadata.name} (${name})`, line: 1 };
  const stored = objects.find(
    ({ object }) =>
      object.kind === 'Policy' && object.metadata.namespace === metadata.namespace && object.metadata.name === name,
  );
  const text = stored?.file === undefined ? undefined : await readText(stored.file);
  const document = text === undefined ? undefined : findDocument(text, stored!, rego);
  if (!document) return { ...inRevision, lineInText: (line) => line };
  return {
    name,
    file: document.file,
    line: document.lineOf('spec.rego'),
    lineInText: (line) => document.lineInText('spec.rego', line),
  };
}

function findDocument(text: string, { object, file }: StoredObject, rego: string) {
  const { kind, metadata } = object;
  const wanted = { kind, name: metadata.name, namespace: metadata.namespace, rego };
  return parseManifest(text, file!).documents.find(({ value }) => isDeepStrictEqual(toIdentity(value), wanted));
}

interface Written {
  readonly kind?: unknown;
  readonly metadata?: { readonly name?: unknown; readonly namespace?: unknown } | null;
  readonly spec?: { readonly rego?: unknown } | null;
}

function toIdentity(value: unknown) {
  const { kind, metadata, spec } = (value ?? {}) as Written;
  return { kind, name: metadata?.name, namespace: metadata?.namespace ?? 'default', rego: spec?.rego };
}
