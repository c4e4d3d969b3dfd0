/** Namespaces as files declare them. Their labels are a Zone's consent: places that contradict each other change nothing. */
import { isDeepStrictEqual } from 'node:util';
import type { Admitted } from './admission.ts';
import { NAME_LABEL, type Desired, type StoreState } from './objectStore.ts';
import type { Problem } from './problem.ts';

export type DeclaredNamespace = Extract<Admitted, { type: 'namespace' }>;

/** The declarations that others give other labels, each with the places of those. */
export function findContradicted(
  declared: readonly DeclaredNamespace[],
): ReadonlyMap<DeclaredNamespace, readonly string[]> {
  const byName = Map.groupBy(declared, ({ name }) => name);
  return new Map(
    declared.flatMap((one) => {
      const others = byName.get(one.name)!.filter(({ labels }) => !isDeepStrictEqual(labels, one.labels));
      const places = others.map(({ document }) => `${document.file}:${document.line}`);
      return places.length === 0 ? [] : [[one, places] as const];
    }),
  );
}

export interface NamespacePlan {
  readonly namespaces: Desired['namespaces'];
  readonly clashes: readonly Problem[];
}

interface GoodFile {
  readonly id: string;
  readonly admitted: readonly Admitted[];
}

/** `bad`: files whose last good state stays. Objects bring the Namespaces they are in, without labels. */
export function planNamespaces(
  good: readonly GoodFile[],
  bad: ReadonlySet<string>,
  objects: Desired['objects'],
  state: StoreState,
): NamespacePlan {
  const declared = good.flatMap(({ id, admitted }) =>
    admitted.flatMap((entry) => (entry.type === 'namespace' ? [{ id, entry }] : [])),
  );
  const stored = state.namespaces.flatMap(({ name, labels, file }) =>
    file === undefined ? [] : [{ name, labels, file }],
  );
  const held = new Map(stored.filter(({ file }) => bad.has(file)).map((one) => [one.name, one]));
  const contradicted = findContradicted(declared.map(({ entry }) => entry));
  const clashes = declared.flatMap(({ entry }) => {
    const last = held.get(entry.name);
    const isHeld = last !== undefined && !isDeepStrictEqual(last.labels, { ...entry.labels, [NAME_LABEL]: entry.name });
    const places = [...(contradicted.get(entry) ?? []), ...(isHeld ? [`the last good state of ${last.file}`] : [])];
    return places.length === 0 ? [] : [toClash(entry, places)];
  });
  const names = new Set(clashes.map(({ name }) => name));
  const kept = stored.filter(({ name, file }) => bad.has(file) || names.has(name));
  return {
    namespaces: new Map([
      ...[...objects.values()].map(({ object }) => [object.metadata.namespace, { labels: {} }] as const),
      ...kept.map(({ name, labels, file }) => [name, { labels, file }] as const),
      ...declared
        .filter(({ entry }) => !names.has(entry.name))
        .map(({ id, entry }) => [entry.name, { labels: entry.labels, file: id }] as const),
    ]),
    clashes: clashes.map(({ problem }) => problem),
  };
}

function toClash({ document, name }: DeclaredNamespace, places: readonly string[]) {
  const problem: Problem = {
    file: document.file,
    line: document.line,
    path: 'metadata.labels',
    message: `${toContradiction(places)}; until then what was last good stays`,
    object: `Namespace ${name}`,
  };
  return { name, problem };
}

export function toContradiction(places: readonly string[]): string {
  return `other labels in ${places.join(', ')}: labels are a Zone's consent, so keep one of them`;
}
