/** What the files want, purely: whole files good or as they last were, and no object from two places. */
import type { ManifestDocument, ParsedManifest } from './manifest.ts';
import { admitDocument } from './admission.ts';
import type { Admitted, ManifestObject } from './admission.ts';
import { planNamespaces } from './namespaces.ts';
import type { Desired, StoreState } from './objectStore.ts';
import { keyOf } from './objectStore.ts';
import type { Problem } from './problem.ts';

/** A file as it was read: parsed, or with the reason why it could not be read. */
export interface ReadFile {
  /** Absolute path: the file's identity. */
  readonly id: string;
  readonly manifest: ParsedManifest;
}

export interface Plan {
  readonly desired: Desired;
  readonly problems: readonly Problem[];
  /** What was passed over and why; no fault. */
  readonly notes: readonly Problem[];
}

interface JudgedFile {
  readonly id: string;
  readonly admitted: readonly Admitted[];
  readonly problems: readonly Problem[];
}

interface Claim {
  readonly id: string;
  readonly document: ManifestDocument;
  readonly object: ManifestObject;
}

export function planObjects(files: readonly ReadFile[], state: StoreState): Plan {
  const stored = new Map(state.objects.map((entry) => [keyOf(entry.object), entry]));
  const judged = files.map((file) => judgeFile(file, (key) => stored.get(key)?.object));
  const good = judged.filter((file) => file.problems.length === 0);
  const bad = new Set(judged.filter((file) => file.problems.length > 0).map((file) => file.id));

  const objects = new Map<string, { object: ManifestObject; file: string }>();
  for (const { object, file } of state.objects) if (file && bad.has(file)) objects.set(keyOf(object), { object, file });
  const clashes: Problem[] = [];
  for (const [key, claims] of claimsOf(good)) {
    const [only, another] = claims;
    if (!another && !objects.has(key)) objects.set(key, { object: only!.object, file: only!.id });
    else {
      clashes.push(...claims.map((claim) => toClash(claim, claims, objects.get(key)?.file)));
      const last = stored.get(key);
      if (last?.file !== undefined) objects.set(key, { object: last.object, file: last.file });
    }
  }
  const { namespaces, clashes: contradictions } = planNamespaces(good, bad, objects, state);
  return {
    desired: { objects, namespaces },
    problems: [...judged.flatMap((file) => file.problems), ...clashes, ...contradictions].sort(byPlace),
    notes: judged.flatMap((file) => file.admitted.flatMap(toNote)),
  };
}

function judgeFile({ id, manifest }: ReadFile, old: (key: string) => ManifestObject | undefined): JudgedFile {
  const admitted = manifest.documents.map((document) => admitDocument(document, old));
  return { id, admitted, problems: [...manifest.problems, ...admitted.flatMap(toProblems)] };
}

/** The problems of a refused document, each at the line of its field. */
export function toProblems(admitted: Admitted): readonly Problem[] {
  if (admitted.type !== 'refused') return [];
  const { document, kind, namespace, name, refused } = admitted;
  const object = [kind, [namespace, name].filter((part) => part !== '').join('/')]
    .filter((part) => part !== '')
    .join(' ');
  return refused.map(({ path, message }) => ({
    file: document.file,
    line: document.lineOf(path),
    path,
    message,
    ...(object === '' ? {} : { object }),
  }));
}

function toNote(admitted: Admitted): readonly Problem[] {
  if (admitted.type !== 'ignored') return [];
  return [{ file: admitted.document.file, line: admitted.document.line, path: '', message: admitted.note }];
}

function claimsOf(files: readonly JudgedFile[]): ReadonlyMap<string, readonly Claim[]> {
  const claims = files.flatMap(({ id, admitted }) =>
    admitted.flatMap((entry) => (entry.type === 'object' ? [{ ...entry, id }] : [])),
  );
  return Map.groupBy(claims, (claim) => claim.key);
}

function toClash(claim: Claim, claims: readonly Claim[], keptFrom: string | undefined): Problem {
  const others = claims.filter((other) => other !== claim).map(({ document }) => `${document.file}:${document.line}`);
  const places = keptFrom === undefined ? others : [...others, `the last good state of ${keptFrom}`];
  return {
    file: claim.document.file,
    line: claim.document.line,
    path: 'metadata.name',
    message: `also in ${places.join(', ')}: keep one of them; until then what was last good stays`,
    object: `${claim.object.kind} ${claim.object.metadata.namespace}/${claim.object.metadata.name}`,
  };
}

function byPlace(a: Problem, b: Problem): number {
  return a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line;
}
