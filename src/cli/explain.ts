/** `caracal explain`: which structural check or policy rule decides an exchange, from manifests or from a recorded decision. */
import { explainChecks } from '../authority/checks.ts';
import { openOPA, parseNow, readOffline } from './check.ts';
import { toQuestion } from './explainQuestion.ts';
import { explainPolicies } from './explainPolicies.ts';
import { toExplanationText } from './explainText.ts';
import type { Explanation } from './explainText.ts';
import { explainRecorded } from './explainRecorded.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';

export interface ExplainOptions {
  readonly application?: string;
  readonly resource?: string;
  readonly scope: readonly string[];
  readonly user?: string;
  readonly group: readonly string[];
  readonly claim: readonly string[];
  readonly zone?: string;
  readonly ttl?: string;
  readonly now?: string;
  readonly decision?: string;
  readonly data: string;
  readonly namespace: string;
  readonly opa?: string;
  readonly output: 'text' | 'json';
}

export async function runExplain(
  paths: readonly string[],
  options: ExplainOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  if (options.decision !== undefined) return explainRecorded(options.decision, options, runtime);
  if (paths.length === 0) {
    throw new CommandError(
      'say what to explain: PATH… with --application, --resource and --scope, or --decision ID',
      2,
    );
  }
  const explanation = await explainOffline(paths, options, runtime);
  runtime.out(
    options.output === 'json' ? `${JSON.stringify(explanation, undefined, 2)}\n` : toExplanationText(explanation),
  );
  return explanation.decision.type === 'permit' ? 0 : 1;
}

async function explainOffline(
  paths: readonly string[],
  options: ExplainOptions,
  runtime: Runtime,
): Promise<Explanation> {
  const now = parseNow(options.now, runtime);
  const offline = await readOffline(paths, options, now, runtime);
  const { zone, request, grants } = toQuestion(offline, options, now);
  const checks = explainChecks(zone, request, now);
  const opa = await openOPA(options, runtime);
  const policy = await explainPolicies({ zone, request, now, entries: offline.entries, opa }, runtime);
  return { zone: zone.id, request, now, checks, grants, ...policy };
}
