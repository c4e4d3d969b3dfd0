/** docs/reference/metrics.md: every metric of every role. */
import { METRICS as CONTROLLER } from '../../src/controller/metrics.ts';
import { METRICS as GATEWAY } from '../../src/gateway/metrics.ts';
import { METRICS as STS } from '../../src/sts/metrics.ts';
import { table } from './table.ts';

interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

const ROLES: Readonly<Record<string, readonly Metric[]>> = { Controller: CONTROLLER, STS, Gateway: GATEWAY };

export function metricsReference(): string {
  const sections = Object.entries(ROLES).map(([role, metrics]) => {
    const rows = metrics.map(({ name, type, help, labels }) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(', '),
      help,
    ]);
    return `## ${role}\n\n${table(['Metric', 'Type', 'Labels', 'Meaning'], rows)}`;
  });
  return [
    '# Metrics\n\nGenerated from the code; Prometheus text format at `/metrics` of each role.\n',
    ...sections,
  ].join('\n');
}
