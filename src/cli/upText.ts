/** What `caracal up` says to people: what it serves, every object's state, and then one line per change. */
import type { Problem } from '../up/problem.ts';
import { toProblemLine } from '../up/problem.ts';
import type { Summary, Transition } from '../up/summaries.ts';
import type { UpReady } from '../up/up.ts';
import { toTable } from './table.ts';

export function toReadyText(ready: UpReady, data: string, summaries: Iterable<Summary>): string {
  const [zone] = ready.zones;
  const served = toTable([
    ['STS', ready.issuer],
    ['gateway (edge)', ready.gateway],
    ['zones', ready.zones.length === 0 ? 'none' : ready.zones.join(', ')],
    ['data', data],
  ]);
  const objects = toTable([
    ['KIND', 'NAMESPACE', 'NAME', 'READY', 'REASON'],
    ...[...summaries].map(({ kind, namespace, name, status, reason }) => [
      kind,
      namespace,
      name,
      status || '-',
      reason || '-',
    ]),
  ]);
  const next =
    zone === undefined
      ? ''
      : `\nA token for a gateway or an application of ${zone}:\n  caracal serviceaccount-token NAMESPACE/NAME --audience ${ready.issuer}/zones/${zone} --data ${data}\n`;
  return `${served}\n${objects}${next}\nWatching for changes; end with Ctrl-C.\n`;
}

export function toTransitionLine({ summary, before, gone }: Transition): string {
  const object = `${summary.kind} ${summary.namespace}/${summary.name}`;
  if (gone) return `${object}: gone\n`;
  const was = before && before.status !== '' ? ` (was ${toWord(before)})` : '';
  const why = summary.status === 'True' ? '' : `: ${summary.message}`;
  return `${object}: ${toWord(summary)}${was}${why}\n`;
}

function toWord({ kind, status, reason }: Summary): string {
  const type = kind === 'PolicySetRevision' ? 'Active' : 'Ready';
  return `${type}=${status} ${reason}`;
}

/** Problems that are new, and that ended. */
export function toProblemLines(before: readonly Problem[], after: readonly Problem[]): readonly string[] {
  const last = new Set(before.map(toProblemLine));
  const now = new Set(after.map(toProblemLine));
  const appeared = [...now].filter((line) => !last.has(line)).map((line) => `refused: ${line}\n`);
  const mended = [...last].filter((line) => !now.has(line)).map((line) => `mended: ${line}\n`);
  return [...appeared, ...mended];
}
