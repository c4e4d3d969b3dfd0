/** Why policy says what it says: per policy its outcome, and which of its rules, at which line, were true. */
import type { PolicyInput } from '../authority/policyInput.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { applies, toData } from './assemble.ts';
import type { OPA } from './opa.ts';

export interface PolicyExplanation {
  readonly policy: string;
  /** `failed`: an error, too long, or a value of the wrong type; the whole set then denies. */
  readonly outcome: 'allows' | 'denies' | 'says nothing' | 'does not apply' | 'failed';
  readonly allow: boolean | 'undefined';
  readonly denials: readonly ExplainedDenial[];
  readonly maxTTLSeconds: number | undefined;
  /** Every rule as written. `fired`: asked, and true or defined. */
  readonly rules: readonly ExplainedRule[];
}

interface ExplainedDenial {
  readonly reason: string;
  /** Of the rule in the policy's text, from 1; 0 where no single rule can be named. */
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
  const query = `object.union(${said}, {"deny_sets": [deny | deny := ${said}.deny[_]; is_set(deny)]})`;
  const documents = { input: JSON.stringify(input), data: toData(modules, input), explain: 'full' } as const;
  const { ok, stdout } = await opa.evaluate(modules, query, documents);
  if (!ok) return silent(module.name, 'failed', quiet);
  const fired = readTrace(stdout, `${index}.rego`);
  const rules = clauses.map((clause) => ({ ...clause, fired: fired.some(({ line }) => line === clause.line) }));
  return { policy: module.name, ...readSaid(stdout, fired), rules };
}

function silent(
  policy: string,
  outcome: PolicyExplanation['outcome'],
  rules: readonly ExplainedRule[],
): PolicyExplanation {
  return { policy, outcome, allow: 'undefined', denials: [], maxTTLSeconds: undefined, rules };
}

/** Each list is empty where the rule is undefined; opa prints a set as a list. */
interface Said {
  readonly allow: readonly unknown[];
  readonly deny: readonly unknown[];
  /** Of `deny`, what really is a set. */
  readonly deny_sets: readonly (readonly unknown[])[];
  readonly max_ttl_seconds: readonly unknown[];
}

function readSaid(stdout: string, fired: readonly FiredRule[]): Omit<PolicyExplanation, 'policy' | 'rules'> {
  const { result } = JSON.parse(stdout) as { readonly result?: [{ readonly expressions: [{ readonly value: Said }] }] };
  const nothing = { allow: 'undefined', denials: [], maxTTLSeconds: undefined } as const;
  if (!result) return { ...nothing, outcome: 'failed' };
  const { allow: allows, deny, deny_sets, max_ttl_seconds: lifetimes } = result[0].expressions[0].value;
  const [[allow], [ttl], members] = [allows, lifetimes, deny_sets.flat()];
  const reasons = members.filter((reason) => typeof reason === 'string');
  const isWrong =
    (allow !== undefined && typeof allow !== 'boolean') ||
    deny_sets.length < deny.length ||
    reasons.length < members.length ||
    (ttl !== undefined && typeof ttl !== 'number');
  const denials = reasons.map((reason) => ({ reason, line: lineOf(reason, fired) }));
  return {
    outcome: isWrong ? 'failed' : denials.length > 0 ? 'denies' : allow === true ? 'allows' : 'says nothing',
    allow: typeof allow === 'boolean' ? allow : 'undefined',
    denials,
    maxTTLSeconds: typeof ttl === 'number' ? ttl : undefined,
  };
}

/** A rule that wrote a member of a set says which; one that wrote a whole set says all of them. */
function lineOf(reason: string, fired: readonly FiredRule[]): number {
  const denying = fired.filter(({ name }) => name === 'deny');
  const exact = denying.find(({ key }) => key === reason);
  return (exact ?? (denying.length === 1 ? denying[0] : undefined))?.line ?? 0;
}

interface FiredRule {
  readonly name: string;
  readonly line: number;
  /** What `contains` added, where it is a string. */
  readonly key: string | undefined;
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

function toKey(key: Value | undefined, locals: NonNullable<TraceEvent['Locals']>): string | undefined {
  const value = key?.type === 'var' ? locals.find(({ name }) => name === key.value) : key;
  return value?.type === 'string' ? String(value.value) : undefined;
}
