/** What policy adds to an explanation: the decision itself, and which rules, by file and line, led to it. */
import { checkExchange } from '../authority/checks.ts';
import { decideExchange } from '../authority/decide.ts';
import type { ExchangeRequest } from '../authority/decision.ts';
import type { PolicyInput } from '../authority/policyInput.ts';
import type { PolicyModule, ZoneSnapshot } from '../authority/snapshot.ts';
import { explainPolicy } from '../policy/explain.ts';
import type { PolicyExplanation as ExplainedModule } from '../policy/explain.ts';
import type { OPA } from '../policy/opa.ts';
import { toSaidRules } from '../policy/ruleText.ts';
import { createPolicyEngine } from '../policy/workers.ts';
import type { OfflineEntry } from '../up/offline.ts';
import type { PolicyPlace } from '../up/recordedPolicies.ts';
import type { Explanation, PolicyExplanation } from './explainText.ts';
import type { Runtime } from './runtime.ts';

export interface PolicyQuestion {
  readonly zone: ZoneSnapshot;
  readonly request: ExchangeRequest;
  /** Unix milliseconds. */
  readonly now: number;
  readonly entries: readonly OfflineEntry[];
  readonly opa: OPA;
}

/** A person waits here, and the machine may be busy: far more than an exchange has. */
const DEADLINE_MS = 5000;

export async function explainPolicies(
  question: PolicyQuestion,
  { clock }: Pick<Runtime, 'clock'>,
): Promise<Pick<Explanation, 'policies' | 'decision'>> {
  const { zone, request, now, opa } = question;
  const checked = checkExchange(zone, request, now);
  if (checked.type === 'denial' || !zone.policy) return { policies: [], decision: toDecision(checked) };
  const { digest, modules } = zone.policy;
  const engine = createPolicyEngine({ opa, clock, deadlineMs: DEADLINE_MS });
  try {
    await engine.prepare(zone.uid, digest, modules);
    const outcomes = await engine.evaluate(zone.uid, digest, checked.inputs);
    const decision = decideExchange(checked, outcomes, zone, now);
    const places = toPlaces(question.entries, zone.namespace);
    return { policies: await explainModules(checked.inputs, modules, places, opa), decision };
  } finally {
    await engine.close();
  }
}

function toDecision(checked: ReturnType<typeof checkExchange>): Explanation['decision'] {
  if (checked.type === 'denial') return checked;
  throw new Error('checks passed in a zone without policy');
}

/** What each module says of each input, and which of its rules say it. */
export async function explainModules(
  inputs: readonly PolicyInput[],
  modules: readonly PolicyModule[],
  places: readonly PolicyPlace[],
  opa: OPA,
): Promise<readonly PolicyExplanation[]> {
  const explained = await Promise.all(
    inputs.map(async (input) => {
      const said = await explainPolicy(opa, modules, input);
      return said.map((module) => toExplanation(input.scope, module, places));
    }),
  );
  return explained.flat();
}

function toPlaces(entries: readonly OfflineEntry[], namespace: string): readonly PolicyPlace[] {
  return entries
    .filter((entry) => entry.kind === 'Policy' && entry.namespace === namespace)
    .map(({ name, file, lineOf, lineInText }) => ({
      name,
      file,
      line: lineOf('spec.rego'),
      lineInText: (line) => lineInText('spec.rego', line),
    }));
}

function toExplanation(scope: string, module: ExplainedModule, places: readonly PolicyPlace[]): PolicyExplanation {
  const place = places.find(({ name }) => name === module.policy);
  const file = place?.file ?? '';
  const rules = toSaidRules(module).map(({ line, text }) => ({
    file,
    line: (line === 0 ? place?.line : place?.lineInText(line)) ?? 0,
    text,
  }));
  return { policy: module.policy, scope, outcome: module.outcome, rules };
}
