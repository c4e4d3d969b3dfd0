/** The folder's stand-in for the API server's storage: identity, generations, versions and derived objects, in memory. */
import { isDeepStrictEqual } from 'node:util';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { BaseStatus } from '../api/meta.ts';
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { objectKey } from '../compiler/verdict.ts';
import type { ManifestObject } from './admission.ts';

/** An object with the file it came from; revisions, which the controller writes, come from none. */
export interface StoredObject {
  readonly object: ManifestObject;
  /** Absolute path. */
  readonly file?: string;
}

export interface StoredNamespace {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Absolute path of the file that declares it; absent: only implied by objects in it. */
  readonly file?: string;
}

/** What the data folder keeps. */
export interface StoreState {
  readonly version: 1;
  /** The last resourceVersion given out. */
  readonly counter: number;
  readonly objects: readonly StoredObject[];
  readonly namespaces: readonly StoredNamespace[];
}

export const EMPTY_STATE: StoreState = { version: 1, counter: 0, objects: [], namespaces: [] };

/** The API server sets it on every Namespace. */
export const NAME_LABEL = 'kubernetes.io/metadata.name';

/** What the files want: by object key, and namespaces by name. */
export interface Desired {
  readonly objects: ReadonlyMap<string, { readonly object: ManifestObject; readonly file: string }>;
  readonly namespaces: ReadonlyMap<
    string,
    { readonly labels: Readonly<Record<string, string>>; readonly file?: string }
  >;
}

/** A write that would overwrite something newer, or an object that is gone: nothing happened. */
export class WriteConflict extends Error {
  override readonly name = 'WriteConflict';
}

export interface ObjectStore {
  state(): StoreState;
  get(key: string): StoredObject | undefined;
  /** Gives out a version for a change of what is kept elsewhere, such as keys. */
  advance(): void;
  /** Makes the store hold exactly what the files want, besides what the controller wrote. True if anything changed. */
  apply(desired: Desired): boolean;
  createRevision(revision: RevisionDraft): void;
  delete(key: string, uid: string, resourceVersion: string): void;
  writeStatus(key: string, uid: string, resourceVersion: string, status: BaseStatus): void;
}

export type RevisionDraft = Omit<PolicySetRevision, 'metadata' | 'status'> & {
  readonly metadata: Pick<PolicySetRevision['metadata'], 'name' | 'namespace'> &
    Partial<Pick<PolicySetRevision['metadata'], 'labels' | 'ownerReferences'>>;
};

export interface ObjectStorePorts {
  readonly clock: Pick<Clock, 'now'>;
  readonly randomBytes: RandomBytes;
}

export function createObjectStore(initial: StoreState, ports: ObjectStorePorts): ObjectStore {
  const objects = new Map(initial.objects.map((stored) => [keyOf(stored.object), stored]));
  const namespaces = new Map(initial.namespaces.map((stored) => [stored.name, stored]));
  let counter = initial.counter;
  const nextVersion = () => String(++counter);

  const current = (key: string, uid: string, resourceVersion: string): StoredObject => {
    const stored = objects.get(key);
    const metadata = stored?.object.metadata;
    if (!stored || metadata?.uid !== uid || metadata.resourceVersion !== resourceVersion) {
      throw new WriteConflict(`${key} is not at version ${resourceVersion} any more`);
    }
    return stored;
  };

  return {
    state: () => ({ version: 1, counter, objects: [...objects.values()], namespaces: [...namespaces.values()] }),
    get: (key) => objects.get(key),
    advance: () => void nextVersion(),
    apply(desired) {
      const before = counter;
      applyNamespaces(namespaces, desired, nextVersion, ports);
      applyObjects(objects, desired, nextVersion, ports);
      collectOrphans(objects, nextVersion);
      return counter !== before;
    },
    createRevision(draft) {
      const key = objectKey('PolicySetRevision', draft.metadata.namespace, draft.metadata.name);
      if (objects.has(key)) throw new WriteConflict(`${key} exists already, and revisions never change`);
      const metadata = { ...draft.metadata, ...newIdentity(nextVersion, ports) };
      objects.set(key, { object: { ...draft, metadata } });
    },
    delete(key, uid, resourceVersion) {
      current(key, uid, resourceVersion);
      objects.delete(key);
      nextVersion();
    },
    writeStatus(key, uid, resourceVersion, status) {
      const stored = current(key, uid, resourceVersion);
      if (isDeepStrictEqual(stored.object.status, status)) return;
      const metadata = { ...stored.object.metadata, resourceVersion: nextVersion() };
      objects.set(key, { ...stored, object: { ...stored.object, metadata, status } as ManifestObject });
    },
  };
}

export function keyOf(object: ManifestObject): string {
  return objectKey(object.kind, object.metadata.namespace, object.metadata.name);
}

function applyNamespaces(
  namespaces: Map<string, StoredNamespace>,
  desired: Desired,
  nextVersion: () => string,
  ports: ObjectStorePorts,
): void {
  for (const name of [...namespaces.keys()].filter((name) => !desired.namespaces.has(name))) {
    namespaces.delete(name);
    nextVersion();
  }
  for (const [name, { labels: declared, file }] of desired.namespaces) {
    const labels = { ...declared, [NAME_LABEL]: name };
    const stored = namespaces.get(name);
    if (stored && stored.file === file && isDeepStrictEqual(stored.labels, labels)) continue;
    const uid = stored?.uid ?? newUUID(ports.randomBytes);
    namespaces.set(name, {
      name,
      uid,
      labels,
      resourceVersion: nextVersion(),
      ...(file === undefined ? {} : { file }),
    });
  }
}

function applyObjects(
  objects: Map<string, StoredObject>,
  desired: Desired,
  nextVersion: () => string,
  ports: ObjectStorePorts,
): void {
  for (const [key, stored] of [...objects]) {
    if (stored.file === undefined || desired.objects.has(key)) continue;
    objects.delete(key);
    nextVersion();
  }
  for (const [key, { object, file }] of desired.objects) {
    const stored = objects.get(key);
    const next = stored ? updated(stored.object, object, nextVersion) : created(object, nextVersion, ports);
    if (!stored || stored.object !== next || stored.file !== file) objects.set(key, { object: next, file });
  }
}

function created(object: ManifestObject, nextVersion: () => string, ports: ObjectStorePorts): ManifestObject {
  return { ...object, metadata: { ...object.metadata, ...newIdentity(nextVersion, ports) } } as ManifestObject;
}

/** The same reference when nothing a client may write differs. */
function updated(stored: ManifestObject, object: ManifestObject, nextVersion: () => string): ManifestObject {
  const sameSpec = isDeepStrictEqual(stored.spec, object.spec);
  const sameMetadata =
    isDeepStrictEqual(stored.metadata.labels, object.metadata.labels) &&
    isDeepStrictEqual(stored.metadata.annotations, object.metadata.annotations);
  if (sameSpec && sameMetadata) return stored;
  const { uid, creationTimestamp, generation } = stored.metadata;
  const metadata = {
    ...object.metadata,
    uid,
    creationTimestamp,
    generation: sameSpec ? generation : generation + 1,
    resourceVersion: nextVersion(),
  };
  return { ...object, metadata, ...(stored.status ? { status: stored.status } : {}) } as ManifestObject;
}

/** What a cluster's garbage collector does: an object goes when none of its owners is left. */
function collectOrphans(objects: Map<string, StoredObject>, nextVersion: () => string): void {
  const alive = new Set([...objects.values()].map(({ object }) => object.metadata.uid));
  for (const [key, { object, file }] of [...objects]) {
    const owners = object.metadata.ownerReferences ?? [];
    if (file !== undefined || owners.length === 0 || owners.some((owner) => alive.has(owner.uid))) continue;
    objects.delete(key);
    nextVersion();
  }
}

function newIdentity(nextVersion: () => string, { clock, randomBytes }: ObjectStorePorts) {
  return {
    uid: newUUID(randomBytes),
    creationTimestamp: new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
    generation: 1,
    resourceVersion: nextVersion(),
  };
}

/** A UUIDv4 (RFC 9562 §5.4). */
export function newUUID(randomBytes: RandomBytes): string {
  return toUUIDv4(randomBytes(16));
}

/** The first 16 bytes in the form of a UUIDv4. */
export function toUUIDv4(source: Uint8Array): string {
  const bytes = Buffer.from(source.subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
