/** What `caracal up` says: what it serves, every object's state, and then one line per change; for people or as JSON lines. */
import type { Problem } from '../up/problem.ts';
import { toProblemLine } from '../up/problem.ts';
import type { Summary, Transition } from '../up/summaries.ts';
import type { UpReady } from './starters.ts';
import { toPrintable } from './printable.ts';
import { toTable } from './table.ts';
import { TOKEN_FILE } from '../up/localAccess.ts';

export interface UpVoice {
  /** Whether problems go to standard error. */
  readonly toError: boolean;
  ready(ready: UpReady, summaries: readonly Summary[]): string;
  transition(transition: Transition): string;
  /** Problems that are new, and that ended. */
  problems(before: readonly Problem[], after: readonly Problem[]): readonly string[];
  notes(before: readonly Problem[], after: readonly Problem[]): readonly string[];
}

/** `data`: the data folder as it was named. */
export function toTextVoice(data: string): UpVoice {
  return {
    toError: true,
    ready: (ready, summaries) => toReadyText(ready, data, summaries),
    transition: (transition) => toLine(toTransitionText(transition)),
    problems: (before, after) => [
      ...missing(after, before).map((problem) => toLine(`refused: ${toProblemLine(problem)}`)),
      ...missing(before, after).map((problem) => toLine(`mended: ${toProblemLine(problem)}`)),
    ],
    notes: (before, after) => missing(after, before).map((note) => toLine(`note: ${toProblemLine(note)}`)),
  };
}

/** One JSON object per line, each with its `event`. */
export function toJSONVoice(): UpVoice {
  const line = (event: string, members: object) => `${JSON.stringify({ event, ...members })}\n`;
  return {
    toError: false,
    ready: ({ issuer, gateway, zones }) => line('ready', { issuer, gateway, zones }),
    transition: ({ summary, gone }) => line(gone ? 'gone' : 'state', summary),
    problems: (before, after) => [
      ...missing(after, before).map((problem) => line('refused', problem)),
      ...missing(before, after).map((problem) => line('mended', problem)),
    ],
    notes: (before, after) => missing(after, before).map((note) => line('note', note)),
  };
}

function toReadyText(ready: UpReady, data: string, summaries: readonly Summary[]): string {
  const [zone] = ready.zones;
  const served = toTable([
    ['STS', ready.issuer],
    ['gateway (edge)', ready.gateway],
    ['zones', ready.zones.length === 0 ? 'none' : ready.zones.join(', ')],
    ['runtime API', `${ready.issuer}/apis/runtime.caracal.run (token: ${data}/${TOKEN_FILE})`],
    ['data', data],
  ]);
  const objects = toTable([
    ['KIND', 'NAMESPACE', 'NAME', 'READY', 'REASON'],
    ...summaries.map(({ kind, namespace, name, status, reason }) => [
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
      : `\nA token for an application of ${zone} (for a gateway add /gateways to the audience):\n  caracal serviceaccount-token NAMESPACE/NAME --audience ${ready.issuer}/zones/${zone} --data ${data}\n`;
  return `${served}\n${objects}${next}\nWatching for changes; end with Ctrl-C.\n`;
}

function toLine(text: string): string {
  return `${toPrintable(text)}\n`;
}

function toTransitionText({ summary, before, gone }: Transition): string {
  const object = `${summary.kind} ${summary.namespace}/${summary.name}`;
  if (gone) return `${object}: gone`;
  const was = before && before.status !== '' ? ` (was ${toWord(before)})` : '';
  const why = summary.status === 'True' ? '' : `: ${summary.message}`;
  return `${object}: ${toWord(summary)}${was}${why}`;
}

function toWord({ kind, status, reason }: Summary): string {
  const type = kind === 'PolicySetRevision' ? 'Active' : 'Ready';
  return `${type}=${status} ${reason}`;
}

/** Those of `problems` that `others` lack. */
function missing(problems: readonly Problem[], others: readonly Problem[]): readonly Problem[] {
  const known = new Set(others.map(toProblemLine));
  return problems.filter((problem) => !known.has(toProblemLine(problem)));
}
