/** docs/reference/errors.md: the wire's error codes and the reasons of denials. */
import { DENIAL_REASONS } from '../../src/authority/decision.ts';
import { REFUSALS } from '../../src/gateway/refusal.ts';
import { ERRORS } from '../../src/sts/errors.ts';
import { table } from './table.ts';

const INTRODUCTION = `# Errors

Generated from the code. Errors are JSON: \`error\`, \`error_description\` and \`requestId\`; a denied exchange adds \`reason\` and
\`decision_id\`, which \`caracal explain --decision\` takes.
`;

export function errorsReference(): string {
  const codes = Object.entries(ERRORS).map(([code, { statuses, meaning }]) => [
    `\`${code}\``,
    statuses.join(', '),
    meaning,
  ]);
  const refusals = Object.entries(REFUSALS).map(([code, { status, meaning }]) => [
    `\`${code}\``,
    String(status),
    meaning,
  ]);
  const reasons = Object.entries(DENIAL_REASONS).map(([reason, meaning]) => [`\`${reason}\``, meaning]);
  return [
    INTRODUCTION,
    '## Codes of the STS\n',
    table(['Code', 'HTTP', 'When'], codes),
    '## Codes of the gateway\n',
    table(['Code', 'HTTP', 'When'], refusals),
    '## Reasons of a denied exchange\n',
    table(['Reason', 'Meaning'], reasons),
  ].join('\n');
}
