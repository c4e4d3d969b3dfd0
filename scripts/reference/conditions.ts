/** docs/reference/conditions.md: every condition of every kind with its reasons. */
import { KINDS } from '../../src/api/kinds.ts';
import type { ConditionDefinition, KindDefinition } from '../../src/api/kind.ts';
import { table } from './table.ts';

const INTRODUCTION = `# Conditions and reasons

Generated from the code. Every condition has \`observedGeneration\`; one of an older generation says nothing about the object as it is
now. Ready carries the reason of the first condition that is not True. While it is not True, exactly one of Reconciling (waiting may help) and Stalled (only an edit
helps) is present.
`;

export function conditionsReference(): string {
  return [INTRODUCTION, ...KINDS.map(toSection)].join('\n');
}

function toSection({ kind, conditions }: KindDefinition): string {
  const canStall = 'Stalled' in conditions;
  const sections = Object.entries(conditions).map(([type, condition]) => toCondition(type, condition, canStall));
  return [`## ${kind}\n`, ...sections].join('\n');
}

/** `canStall`: the kind has the condition Stalled, which a PolicySetRevision has not. */
function toCondition(type: string, { meaning, reasons }: ConditionDefinition, canStall: boolean): string {
  const rows = Object.entries(reasons).map(([reason, definition]) => [
    definition.status,
    `\`${reason}\``,
    definition.meaning,
    definition.stalled && canStall ? `${definition.fix} (Stalled)` : definition.fix,
  ]);
  const text = `### ${type}\n\n${meaning}\n`;
  return rows.length === 0 ? text : `${text}\n${table(['Status', 'Reason', 'Meaning', 'Fix'], rows)}`;
}
