/** Explains a decision as it was recorded: who asked for what, what each policy said then, and what decided. */
import { join, resolve } from 'node:path';
import type { DecisionRecord } from '../authority/decision.ts';
import type { PolicyOutcome } from '../authority/policyInput.ts';
import { openSQLiteReader } from '../store/reader.ts';
import { findRecordedPolicies } from '../up/recordedPolicies.ts';
import { toStepUpWords } from '../policy/ruleText.ts';
import { readState } from '../up/stateFile.ts';
import { openOPA } from './check.ts';
import { explainModules } from './explainPolicies.ts';
import { toPolicyLines, toSection } from './explainText.ts';
import type { PolicyExplanation } from './explainText.ts';
import { toPrintable } from './printable.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import { STORE_FILE } from './storeFile.ts';

export interface RecordedOptions {
  readonly data: string;
  readonly opa?: string;
  readonly output: 'text' | 'json';
}

export async function explainRecorded(id: string, options: RecordedOptions, runtime: Runtime): Promise<ExitCode> {
  const record = await readDecision(id, options.data, runtime);
  const policies = await explainAgain(record, options, runtime);
  const text = () => toRecordText(record, policies);
  runtime.out(options.output === 'json' ? `${JSON.stringify({ ...record, policies }, undefined, 2)}\n` : text());
  return record.outcome === 'permit' ? 0 : 1;
}

/** The same inputs to the same policies, for the rules that fired; empty where no policy was asked, or its text is pruned. */
async function explainAgain(
  { inputs = [], policyDigest, zoneID }: DecisionRecord,
  options: RecordedOptions,
  runtime: Runtime,
): Promise<readonly PolicyExplanation[]> {
  if (inputs.length === 0 || policyDigest === undefined) return [];
  const state = await readState(resolve(runtime.cwd, options.data));
  const recorded = await findRecordedPolicies(state, zoneID.slice(0, zoneID.indexOf('.')), policyDigest);
  if (!recorded) return [];
  return explainModules(inputs, recorded.modules, recorded.places, await openOPA(options, runtime));
}

async function readDecision(id: string, data: string, { cwd }: Runtime): Promise<DecisionRecord> {
  const path = join(resolve(cwd, data), STORE_FILE);
  const reader = openReader(path, data);
  try {
    const record = await reader.findDecision(id);
    if (record) return record;
    throw new CommandError(`${data} has no decision ${id}: is it the folder of the \`caracal up\` that decided?`);
  } finally {
    reader.close();
  }
}

function openReader(path: string, data: string) {
  try {
    return openSQLiteReader({ path });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`--data ${data} has no decisions to read: ${why}`, 1, { cause: error });
  }
}

export function toRecordText(record: DecisionRecord, policies: readonly PolicyExplanation[]): string {
  const sections = [
    toHeadline(record)
      .map((line) => `${toPrintable(line)}\n`)
      .join(''),
    toFacts(record),
    toSection('policies', toOutcomes(record)),
    toSection('rules', policies.flatMap(toPolicyLines)),
    `${toPrintable(toDecisionLine(record))}\n`,
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function toHeadline({ id, at, zoneID, request, consumed }: DecisionRecord): readonly string[] {
  const when = `decision ${id}, zone ${zoneID}, ${new Date(at).toISOString()}`;
  if (consumed) return [when, `gateway ${consumed.gateway} used mandate ${consumed.jti} for ${consumed.resource}`];
  if (!request) return [when, 'refused before anyone was known to ask'];
  const { principal, subject, resource, scopes } = request;
  const who = subject.type === 'user' ? `for user ${subject.issuer}:${subject.sub}` : 'for itself';
  const what = resource === undefined ? 'logged in' : `asked for ${scopes.join(' ')} on ${resource}`;
  return [when, `${principal.applicationID} ${what}, ${who}, with ${principal.credential}`];
}

function toFacts({ requestID, policyDigest, grants, denial }: DecisionRecord): string {
  const nearest = denial?.nearestGrant;
  return toSection('facts', [
    `request ${requestID}`,
    ...(policyDigest === undefined ? [] : [`policy ${policyDigest}`]),
    ...(grants === undefined || grants.length === 0 ? [] : [`grants ${grants.join(', ')}`]),
    ...(nearest ? [`nearest grant ${nearest.grant}, which lacks ${nearest.missing.join(', ')}`] : []),
  ]);
}

function toOutcomes({ request, outcomes = [] }: DecisionRecord): readonly string[] {
  return outcomes.flatMap((outcome, index) => toOutcomeLines(request?.scopes[index] ?? '', outcome));
}

function toOutcomeLines(scope: string, outcome: PolicyOutcome): readonly string[] {
  const what = scope === '' ? 'the login' : scope;
  const { failure, denials, allowedBy, asked, maxTTLSeconds } = outcome;
  // Absent in what was recorded before there were any.
  const stepUps = (outcome as Partial<PolicyOutcome>).stepUps ?? [];
  return [
    `${outcome.permit ? '✓' : '✗'} ${what} (asked: ${asked.join(', ') || 'none'})`,
    ...(failure === undefined ? [] : [`    could not be evaluated: ${failure}`]),
    ...allowedBy.map((policy) => `    ${policy} allows`),
    ...denials.map(({ policy, reason }) => `    ${policy} denies: ${reason}`),
    ...stepUps.map((stepUp) => `    ${stepUp.policy} holds: ${toStepUpWords(stepUp)}`),
    ...(maxTTLSeconds === undefined ? [] : [`    at most ${maxTTLSeconds} s`]),
  ];
}

function toDecisionLine({ outcome, denial, error, at, expiresAt, jti, consumed }: DecisionRecord): string {
  if (consumed) return outcome === 'permit' ? 'spent: it admits no other request' : 'refused: it was spent before';
  if (outcome === 'permit' && expiresAt !== undefined) {
    return `permitted for ${expiresAt - Math.floor(at / 1000)} s, mandate ${jti}`;
  }
  if (denial) return `denied, ${denial.reason}: ${denial.message}`;
  return `refused: ${error ?? outcome}`;
}
