/** The answer of `caracal check` for people: a table of objects, then every problem with its place. */
import { toPrintable } from './printable.ts';
import { toTable } from './table.ts';
import type { CheckedObject } from './check.ts';

export function toCheckText(objects: readonly CheckedObject[]): string {
  if (objects.length === 0) return 'no Caracal objects found\n';
  const known = objects.filter((object) => object.kind !== '');
  const rows = known.map((object) => [object.kind, object.namespace, object.name, ...toReady(object)]);
  const table = rows.length === 0 ? '' : toTable([['KIND', 'NAMESPACE', 'NAME', 'READY', 'REASON'], ...rows]);
  const problems = objects
    .flatMap(toProblems)
    .map((line) => `${toPrintable(line)}\n`)
    .join('');
  return [table, problems].filter((part) => part !== '').join('\n');
}

/** kinds.md: of objects in conflict a cluster accepts the oldest. */
export const CONFLICT_WARNING =
  'warning: of objects in conflict a cluster accepts the oldest; files know no age, so the first by namespace and name is accepted here\n';

function toReady({ refused, conditions }: CheckedObject): readonly [string, string] {
  if (refused.length > 0) return ['-', 'Refused'];
  const summary = conditions.find(({ type }) => type === 'Ready') ?? conditions.find(({ type }) => type === 'Accepted');
  return summary ? [summary.status, summary.reason] : ['-', '-'];
}

function toProblems({ kind, namespace, name, file, line, refused, conditions }: CheckedObject): readonly string[] {
  const object = kind === '' ? '' : `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}: `;
  const refusals = refused.map(
    (refusal) =>
      `${file}:${refusal.line}: ${object}${refusal.path === '' ? '' : `${refusal.path}: `}${refusal.message}`,
  );
  const wrong = conditions
    .filter(({ type, status }) => status === 'False' && !SUMMARIES.has(type))
    .filter(({ type, reason }) => type !== 'Programmed' || reason !== 'NotAccepted')
    .map(({ type, reason, message }) => {
      // A verdict's message names the object itself; saying it once is enough.
      const named = message.startsWith(object) ? '' : object;
      return `${file}:${line}: ${named}${type}=False, ${reason}: ${message}`;
    });
  return [...refusals, ...wrong];
}

/** Conditions that only repeat others. */
const SUMMARIES = new Set(['Ready', 'Enforced', 'Reconciling', 'Stalled']);

export function isConflicted({ conditions }: CheckedObject): boolean {
  return conditions.some(({ type, reason }) => type === 'Accepted' && reason === 'Conflicted');
}
