/** Why policy says what it says: per policy its outcome, and which of its rules, at which line, were true. */
import { isDeepStrictEqual } from 'node:util';
import type { PolicyInput } from '../authority/policyInput.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import type { StepUpRequirement } from '../authority/stepUp/challenge.ts';
import { applies, toData } from './assemble.ts';
import type { OPA } from './opa.ts';
import { readStepUp } from './stepUp.ts';

export interface PolicyExplanation {
  readonly policy: string;
  /** `holds`: a person has to approve. `failed`: an error, too long, or a value of the wrong type; the whole set then denies. */
  readonly outcome: 'allows' | 'denies' | 'holds' | 'says nothing' | 'does not apply' | 'failed';
  readonly allow: boolean | 'undefined';
  readonly denials: readonly ExplainedDenial[];
  readonly stepUps: readonly ExplainedStepUp[];
  readonly maxTTLSeconds: number | undefined;
  /** Every rule as written. `fired`: asked, and true or defined. */
  readonly rules: readonly ExplainedRule[];
}

interface ExplainedDenial {
  readonly reason: string;
  /** Of the rule in the policy's text, from 1; 0 where no single rule can be named. */
  readonly line: number;
}

interface ExplainedStepUp extends StepUpRequirement {
  /** As of a denial. */
  readonly line: number;
}

interface ExplainedRule {
  readonly name: string;
  readonly line: number;
  readonly fired: boolean;
}

/** Asks `opa eval`, with a trace, for each policy in turn. Policies of constants have nothing to say and are left out. */
export async function explainPolicy(
  opa: Pick<OPA, 'check' | 'evaluate'>,
  modules: readonly PolicyModule[],
  input: PolicyInput,
): Promise<readonly PolicyExplanation[]> {
  const explained = await Promise.all(modules.map((_, index) => explainModule(opa, modules, index, input)));
  return explained.filter((one) => one !== undefined);
}

async function explainModule(
  opa: Pick<OPA, 'check' | 'evaluate'>,
  modules: readonly PolicyModule[],
  index: number,
  input: PolicyInput,
): Promise<PolicyExplanation | undefined> {
  const module = modules[index]!;
  const check = await opa.check(module.rego);
  if (!check.ok) return silent(module.name, 'failed', []);
  const { rules: meaningful, clauses } = check.facts;
  if (meaningful.length === 0) return undefined;
  const quiet = clauses.map((clause) => ({ ...clause, fired: false }));
  if (!applies(module, input)) return silent(module.name, 'does not apply', quiet);
  const said = `data.caracal.decision.said[${JSON.stringify(module.name)}]`;
  const sets = ['deny', 'step_up'].map(
    (rule) => `"${rule}_sets": [value | value := ${said}.${rule}[_]; is_set(value)]`,
  );
  const query = `object.union(${said}, {${sets.join(', ')}})`;
  const documents = { input: JSON.stringify(input), data: toData(modules, input), explain: 'full' } as const;
  const { ok, stdout } = await opa.evaluate(modules, query, documents);
  if (!ok) return silent(module.name, 'failed', quiet);
  const fired = readTrace(stdout, `${index}.rego`);
  const rules = clauses.map((clause) => ({ ...clause, fired: fired.some(({ line }) => line === clause.line) }));
  return { policy: module.name, ...readSaid(module.name, stdout, fired), rules };
}

function silent(
  policy: string,
  outcome: PolicyExplanation['outcome'],
  rules: readonly ExplainedRule[],
): PolicyExplanation {
  return { policy, outcome, allow: 'undefined', denials: [], stepUps: [], maxTTLSeconds: undefined, rules };
}

/** Each list is empty where the rule is undefined; opa prints a set as a list. */
interface Said {
  readonly allow: readonly unknown[];
  readonly deny: readonly unknown[];
  /** Of `deny`, what really is a set. */
  readonly deny_sets: readonly (readonly unknown[])[];
  readonly step_up: readonly unknown[];
  /** Of `step_up`, what really is a set. */
  readonly step_up_sets: readonly (readonly unknown[])[];
  readonly max_ttl_seconds: readonly unknown[];
}

function readSaid(
  policy: string,
  stdout: string,
  fired: readonly FiredRule[],
): Omit<PolicyExplanation, 'policy' | 'rules'> {
  const { result } = JSON.parse(stdout) as { readonly result?: [{ readonly expressions: [{ readonly value: Said }] }] };
  const nothing = { allow: 'undefined', denials: [], stepUps: [], maxTTLSeconds: undefined } as const;
  if (!result) return { ...nothing, outcome: 'failed' };
  const said = result[0].expressions[0].value;
  const [[allow], [ttl]] = [said.allow, said.max_ttl_seconds];
  const reasons = said.deny_sets.flat().filter((reason) => typeof reason === 'string');
  const denials = reasons.map((reason) => ({ reason, line: lineOf('deny', reason, fired) }));
  const stepUps = said.step_up_sets.flat().flatMap((member) => {
    const stepUp = readStepUp(policy, member);
    return stepUp ? [{ ...stepUp, line: lineOf('step_up', member, fired) }] : [];
  });
  return {
    outcome: toOutcome(said, denials.length, stepUps.length),
    allow: typeof allow === 'boolean' ? allow : 'undefined',
    denials,
    stepUps,
    maxTTLSeconds: typeof ttl === 'number' ? ttl : undefined,
  };
}

/** What was not read as a denial or a step-up is of the wrong type. */
function toOutcome(said: Said, denials: number, stepUps: number): PolicyExplanation['outcome'] {
  const [[allow], [ttl]] = [said.allow, said.max_ttl_seconds];
  const isWrong =
    (allow !== undefined && typeof allow !== 'boolean') ||
    said.deny_sets.length < said.deny.length ||
    denials < said.deny_sets.flat().length ||
    said.step_up_sets.length < said.step_up.length ||
    stepUps < said.step_up_sets.flat().length ||
    (ttl !== undefined && typeof ttl !== 'number');
  if (isWrong) return 'failed';
  if (denials > 0) return 'denies';
  if (stepUps > 0) return 'holds';
  return allow === true ? 'allows' : 'says nothing';
}

/** A rule that wrote a member of a set says which; one that wrote a whole set says all of them. */
function lineOf(name: 'deny' | 'step_up', member: unknown, fired: readonly FiredRule[]): number {
  const writers = fired.filter((rule) => rule.name === name);
  const exact = writers.find(({ key }) => isDeepStrictEqual(key, member));
  return (exact ?? (writers.length === 1 ? writers[0] : undefined))?.line ?? 0;
}

interface FiredRule {
  readonly name: string;
  readonly line: number;
  /** What `contains` added, where it is a string or an object. */
  readonly key: unknown;
}

interface Value {
  readonly type: string;
  readonly value: unknown;
}

/** One event of opa's trace. A rule's node has a head; a query's has none. */
interface TraceEvent {
  readonly Op: string;
  readonly Node: { readonly head?: { readonly name?: string; readonly key?: Value } };
  readonly Location: { readonly file: string; readonly row: number } | null;
  readonly Locals: readonly (Value & { readonly name: string })[] | null;
}

function readTrace(stdout: string, file: string): readonly FiredRule[] {
  const { explanation = [] } = JSON.parse(stdout) as { readonly explanation?: readonly TraceEvent[] };
  return explanation.flatMap(({ Op, Node, Location, Locals }) => {
    if (Op !== 'Exit' || !Node.head || Location?.file !== file) return [];
    return [{ name: Node.head.name ?? '', line: Location.row, key: toKey(Node.head.key, Locals ?? []) }];
  });
}

/** A term of the trace as the value that it stands for; undefined where it is neither text, a number nor an object of these. */
function toKey(key: Value | undefined, locals: NonNullable<TraceEvent['Locals']>): unknown {
  const term = key?.type === 'var' ? locals.find(({ name }) => name === key.value) : key;
  if (term?.type === 'string' || term?.type === 'number') return term.value;
  if (term?.type !== 'object') return undefined;
  const members = term.value as readonly (readonly [Value, Value])[];
  return Object.fromEntries(members.map(([name, value]) => [String(name.value), toKey(value, locals)]));
}
