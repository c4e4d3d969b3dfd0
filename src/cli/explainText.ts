/** An explanation for people: every check, every Grant considered, every policy asked, then the decision. */
import type { CheckReport } from '../authority/checks.ts';
import type { Denial, ExchangeRequest, Permit } from '../authority/decision.ts';
import type { Hold } from '../authority/stepUp/hold.ts';
import { toStepUpWords } from '../policy/ruleText.ts';
import type { ConsideredGrant } from './explainQuestion.ts';
import { toPrintable } from './printable.ts';

/** What one policy said of one scope, and which of its rules said it. */
export interface PolicyExplanation {
  readonly policy: string;
  /** "" for a login. */
  readonly scope: string;
  readonly outcome: 'allows' | 'denies' | 'holds' | 'says nothing' | 'does not apply' | 'failed';
  readonly rules: readonly ExplainedRule[];
}

export interface ExplainedRule {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** What the rule says, such as `deny "placing orders needs a signed-in user"`. */
  readonly text: string;
}

export interface Explanation {
  readonly zone: string;
  readonly request: ExchangeRequest;
  /** Unix milliseconds. */
  readonly now: number;
  readonly checks: readonly CheckReport[];
  readonly grants: readonly ConsideredGrant[];
  /** Empty when a check already decided. */
  readonly policies: readonly PolicyExplanation[];
  readonly decision: Permit | Hold | Denial;
}

export function toExplanationText(explanation: Explanation): string {
  const { checks, grants, policies, decision } = explanation;
  const sections = [
    `${toPrintable(toQuestionText(explanation))}\n`,
    toSection('checks', checks.map(toCheckLine)),
    toSection('grants considered', grants.map(toGrantLine)),
    toSection('policies', policies.flatMap(toPolicyLines)),
    `${toPrintable(toDecisionText(decision, explanation.now))}\n`,
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function toQuestionText({ zone, request, now }: Explanation): string {
  const { principal, subject, resource, scopes } = request;
  const who = subject.type === 'user' ? `for user ${subject.issuer}:${subject.sub}` : 'for itself';
  const what = resource === undefined ? 'logs in' : `asks for ${scopes.join(' ')} on ${resource}`;
  return `${principal.applicationID} ${what}, ${who}, in zone ${zone}, at ${new Date(now).toISOString()}`;
}

export function toSection(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}\n${lines.map((line) => `  ${toPrintable(line)}\n`).join('')}`;
}

const MARKS = { pass: '✓', fail: '✗', skipped: '-' } as const;

function toCheckLine({ name, result, denial }: CheckReport): string {
  return `${MARKS[result]} ${name}${denial ? `: ${denial.message}` : ''}`;
}

function toGrantLine({ grant, file, line, scopes, lacks, notInForce }: ConsideredGrant): string {
  const where = `${grant} (${file}:${line})`;
  if (notInForce !== undefined) return `✗ ${where}: is not in force: ${notInForce}`;
  return lacks.length === 0 ? `✓ ${where}: ${scopes.join(' ')}` : `✗ ${where}: lacks ${lacks.join(', ')}`;
}

const OUTCOME_MARKS = {
  allows: '✓',
  denies: '✗',
  failed: '✗',
  holds: '!',
  'says nothing': '-',
  'does not apply': '-',
} as const;

export function toPolicyLines({ policy, scope, outcome, rules }: PolicyExplanation): readonly string[] {
  const head = `${OUTCOME_MARKS[outcome]} ${policy} ${outcome}${toScopeWords(outcome, scope)}`;
  return [head, ...rules.map(({ file, line, text }) => `    ${file}:${line}: ${text}`)];
}

const JOINTS = {
  allows: '',
  denies: '',
  holds: '',
  'says nothing': 'of ',
  'does not apply': 'to ',
  failed: 'for ',
} as const;

function toScopeWords(outcome: PolicyExplanation['outcome'], scope: string): string {
  if (scope === '') return '';
  return ` ${JOINTS[outcome]}${scope}`;
}

function toDecisionText(decision: Permit | Hold | Denial, now: number): string {
  if (decision.type === 'denial') return `denied, ${decision.reason}: ${decision.message}`;
  if (decision.type === 'hold') return `held: ${decision.requirements.map(toStepUpWords).join('; ')}`;
  const seconds = decision.expiresAt - Math.floor(now / 1000);
  return `permitted for ${seconds} s by ${decision.grants.join(', ') || 'no Grant (a login needs none)'}`;
}
