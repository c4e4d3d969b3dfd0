/** Each object's state in a word, and what changed between two states: what `caracal up` shows. */
import type { BaseStatus, Condition } from '../api/meta.ts';
import { objectKey } from '../compiler/verdict.ts';
import type { World } from '../compiler/world.ts';

export interface Summary {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Of Ready; a revision has only Active. "" before the first verdict. */
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface Transition {
  readonly summary: Summary;
  /** Undefined: the object is new. */
  readonly before: Summary | undefined;
  readonly gone: boolean;
}

/** By object key, in the order a reader expects: kinds as they build on each other, then by name. */
export function toSummaries(world: World): ReadonlyMap<string, Summary> {
  const objects = [
    ...world.zones,
    ...world.applications,
    ...world.resources,
    ...world.grants,
    ...world.policies,
    ...world.policySets,
    ...world.policySetRevisions,
    ...world.revocations,
  ];
  const summaries = Map.groupBy(objects, ({ kind }) => kind)
    .values()
    .flatMap((ofKind) => ofKind.toSorted(byName))
    .map(({ kind, metadata, status }) => ({
      kind,
      namespace: metadata.namespace,
      name: metadata.name,
      ...toState(kind, metadata.generation, status),
    }));
  return new Map(summaries.map((summary) => [objectKey(summary.kind, summary.namespace, summary.name), summary]));
}

/** What a person would want to be told of: new verdicts, changed ones, and objects that went away. */
export function toTransitions(
  before: ReadonlyMap<string, Summary>,
  after: ReadonlyMap<string, Summary>,
): readonly Transition[] {
  const changed = [...after].flatMap(([key, summary]): readonly Transition[] => {
    const last = before.get(key);
    const same = last?.status === summary.status && last.reason === summary.reason && last.message === summary.message;
    return summary.status === '' || same ? [] : [{ summary, before: last, gone: false }];
  });
  const gone = [...before].flatMap(([key, summary]) =>
    after.has(key) ? [] : [{ summary, before: summary, gone: true }],
  );
  return [...changed, ...gone];
}

interface Named {
  readonly metadata: { readonly namespace: string; readonly name: string };
}

function byName({ metadata: a }: Named, { metadata: b }: Named): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

/** A status of an older generation says nothing about the object as it is now. */
function toState(kind: string, generation: number, status: BaseStatus | undefined) {
  const type = kind === 'PolicySetRevision' ? 'Active' : 'Ready';
  const condition = status?.conditions?.find((one: Condition) => one.type === type);
  if (!condition || condition.observedGeneration !== generation) return { status: '', reason: '', message: '' };
  return { status: condition.status, reason: condition.reason, message: condition.message };
}
