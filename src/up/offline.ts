/** A folder judged without running anything: which objects are refused, and the world a cluster would have of the rest. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { planRevisions } from '../compiler/revisions.ts';
import type { World } from '../compiler/world.ts';
import type { PolicyResults } from '../policy/results.ts';
import type { PolicyChecker } from '../policy/checker.ts';
import { generateZoneKey } from '../tokens/generate.ts';
import { admitDocument } from './admission.ts';
import type { Admitted, ManifestObject, Refusal } from './admission.ts';
import { createFolderReader } from './folderReader.ts';
import type { StoredKeySet } from './keyFiles.ts';
import { findContradicted, toContradiction } from './namespaces.ts';
import { createObjectStore, EMPTY_STATE } from './objectStore.ts';
import type { ObjectStore } from './objectStore.ts';
import type { ReadFile } from './plan.ts';
import type { Problem } from './problem.ts';
import { toWorld } from './world.ts';

/** One document of ours, or a file that cannot be used (then without kind and names). */
export interface OfflineEntry {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly refused: readonly (Refusal & { readonly line: number })[];
  /** Present exactly when nothing is refused. */
  readonly object?: ManifestObject;
  /** The line of a field of the object, or of its nearest parent that is written. */
  lineOf(path: string): number;
  /** The line of the file where a line (1-based) of a text value is. */
  lineInText(path: string, line: number): number;
}

export interface OfflineWorld {
  readonly entries: readonly OfflineEntry[];
  readonly notes: readonly Problem[];
  readonly world: World;
  readonly results: PolicyResults;
}

export interface OfflinePorts {
  readonly clock: Pick<Clock, 'now'>;
  readonly randomBytes: RandomBytes;
  readonly checker: PolicyChecker;
}

/** Everything programmed: every zone has a signing key and every passing set its revision 1. */
export async function readOfflineWorld(
  paths: readonly string[],
  systemNamespace: string,
  ports: OfflinePorts,
): Promise<OfflineWorld> {
  const { files } = await createFolderReader(paths).read();
  const admitted = refuseContradicted(
    files.flatMap(({ manifest }) => manifest.documents.map((document) => admitDocument(document, () => undefined))),
  );
  const entries = [...files.flatMap(toFileEntries), ...toEntries(admitted)].sort(byPlace);
  const store = createObjectStore(EMPTY_STATE, ports);
  store.apply({ objects: toDesired(entries), namespaces: toNamespaces(entries, admitted) });
  const world = await withRevisions(store, systemNamespace, ports);
  return { entries, notes: admitted.flatMap(toNote), world, results: ports.checker.results };
}

async function withRevisions(store: ObjectStore, systemNamespace: string, ports: OfflinePorts): Promise<World> {
  const now = ports.clock.now();
  const keySets = new Map<string, StoredKeySet>(
    toWorld(store.state(), new Map(), systemNamespace).zones.map((zone) => {
      const keys = [{ ...generateZoneKey(now), activeAt: now }, generateZoneKey(now)];
      return [zone.metadata.uid, { ok: true, keys }];
    }),
  );
  const world = toWorld(store.state(), keySets, systemNamespace);
  await ports.checker.gather(world);
  const { create } = planRevisions(world, ports.checker.results);
  for (const revision of create) store.createRevision(revision);
  return toWorld(store.state(), keySets, systemNamespace);
}

function toFileEntries({ manifest }: ReadFile): readonly OfflineEntry[] {
  const unknown = { kind: '', namespace: '', name: '', file: manifest.file };
  return manifest.problems.map(({ line, path, message }) => ({
    ...unknown,
    line,
    lineOf: () => line,
    lineInText: () => line,
    refused: [{ path, message, line }],
  }));
}

/** Where Namespaces contradict each other, none of them counts. */
function refuseContradicted(admitted: readonly Admitted[]): readonly Admitted[] {
  const contradicted = findContradicted(admitted.filter((entry) => entry.type === 'namespace'));
  return admitted.map((entry) => {
    const places = entry.type === 'namespace' ? contradicted.get(entry) : undefined;
    if (entry.type !== 'namespace' || !places) return entry;
    const refused = [{ path: 'metadata.labels', message: toContradiction(places) }];
    return { type: 'refused', document: entry.document, kind: 'Namespace', namespace: '', name: entry.name, refused };
  });
}

function toEntries(admitted: readonly Admitted[]): readonly OfflineEntry[] {
  const places = Map.groupBy(
    admitted.filter((entry) => entry.type === 'object'),
    (entry) => entry.key,
  );
  return admitted.flatMap((entry): readonly OfflineEntry[] => {
    const { file, line, lineOf, lineInText } = entry.document;
    const place = { file, line, lineOf, lineInText };
    if (entry.type === 'refused') {
      const { document, kind, namespace, name } = entry;
      const refused = entry.refused.map((refusal) => ({ ...refusal, line: document.lineOf(refusal.path) }));
      return [{ kind, namespace, name, ...place, refused }];
    }
    if (entry.type !== 'object') return [];
    const { kind, metadata } = entry.object;
    const known = { kind, namespace: metadata.namespace, name: metadata.name, ...place };
    const others = places.get(entry.key)!.filter((other) => other !== entry);
    if (others.length === 0) return [{ ...known, refused: [], object: entry.object }];
    const where = others.map(({ document }) => `${document.file}:${document.line}`).join(', ');
    const message = `the same object is also in ${where}: keep one of them`;
    return [{ ...known, refused: [{ path: 'metadata.name', message, line: entry.document.lineOf('metadata.name') }] }];
  });
}

function toDesired(entries: readonly OfflineEntry[]) {
  return new Map(
    entries.flatMap(({ kind, namespace, name, object, file }) =>
      object ? [[`${kind}/${namespace}/${name}`, { object, file }] as const] : [],
    ),
  );
}

function toNamespaces(entries: readonly OfflineEntry[], admitted: readonly Admitted[]) {
  const implied = entries.flatMap(({ namespace, object }) => (object ? [[namespace, { labels: {} }] as const] : []));
  const declared = admitted.flatMap((entry) =>
    entry.type === 'namespace' ? [[entry.name, { labels: entry.labels }] as const] : [],
  );
  return new Map([...implied, ...declared]);
}

function toNote(admitted: Admitted): readonly Problem[] {
  if (admitted.type !== 'ignored') return [];
  return [{ file: admitted.document.file, line: admitted.document.line, path: '', message: admitted.note }];
}

function byPlace(a: OfflineEntry, b: OfflineEntry): number {
  return a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line;
}
