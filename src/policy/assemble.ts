/** The platform's part of a set's program: what each policy said, bounded by appliesTo, for `policies/decision.rego`. */
import type { PolicyInput } from '../authority/policyInput.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import type { TimeMember } from './inputPaths.ts';

/** The one entry point of every compiled set. */
export const ENTRYPOINT = 'caracal/decision/result';

/** The rules that have a meaning. */
export const RULES = ['allow', 'deny', 'step_up', 'max_ttl_seconds'] as const;
export type RuleName = (typeof RULES)[number];

/** What is known of a module after its check. */
export interface ModuleFacts {
  /** Segments after `data`: `['caracal', 'policy', 'x']`. */
  readonly package: readonly string[];
  /** Which of RULES it defines. */
  readonly rules: readonly RuleName[];
  /** Members of `input.time` that it may read. */
  readonly time: readonly TimeMember[];
  /** What it reads of `data.caracal.data.`, each once: segments after `data` as far as they are written out. */
  readonly constants: readonly { readonly path: readonly string[]; readonly line: number }[];
  /** Every rule as written, with its line (from 1). */
  readonly clauses: readonly { readonly name: string; readonly line: number }[];
}

/**
 * The generated module. A policy with appliesTo speaks only where the platform says so in
 * `data.caracal.system.applies`, which no policy can write or read.
 */
export function assemble(modules: readonly { readonly module: PolicyModule; readonly facts: ModuleFacts }[]): string {
  const speaking = modules.filter(({ facts }) => facts.rules.length > 0);
  const rules = speaking.map(({ module, facts }) => {
    const members = RULES.map((rule) => `${JSON.stringify(rule)}: ${toList(facts, rule)}`);
    const head = `said[${JSON.stringify(module.name)}] := {${members.join(', ')}}`;
    return module.appliesTo ? `${head} if data.caracal.system.applies[${JSON.stringify(module.name)}]` : head;
  });
  return ['package caracal.decision', '', ...(rules.length > 0 ? rules : ['said := {}']), ''].join('\n');
}

function toList(facts: ModuleFacts, rule: RuleName): string {
  if (!facts.rules.includes(rule)) return '[]';
  const path = facts.package.map((segment) => `[${JSON.stringify(segment)}]`).join('');
  return `[value | value := data${path}.${rule}]`;
}

/** Whether a module may speak of this input: where both lists are given, both must match. */
export function applies({ appliesTo }: Pick<PolicyModule, 'appliesTo'>, input: PolicyInput): boolean {
  if (!appliesTo) return true;
  const { resources, applications } = appliesTo;
  if (resources && !(input.resource && resources.includes(input.resource.identifier))) return false;
  return !applications || applications.includes(input.principal.id);
}

/** The `data` document of one evaluation. */
export function toData(modules: readonly PolicyModule[], input: PolicyInput): string {
  const bounded = modules.filter((module) => module.appliesTo && applies(module, input));
  return JSON.stringify({
    caracal: { system: { applies: Object.fromEntries(bounded.map(({ name }) => [name, true])) } },
  });
}
