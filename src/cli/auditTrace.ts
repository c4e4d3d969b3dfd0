/** `caracal audit trace`: from the id of a request, mandate, agent session, edge or challenge to all that happened. */
import { trace, type Traced } from '../audit/trace.ts';
import type { SQLiteReader } from '../store/reader.ts';
import { withReader } from './auditStore.ts';
import { toPrintable } from './printable.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import { toTable } from './table.ts';

export interface AuditTraceOptions {
  readonly data: string;
  readonly output: 'table' | 'json';
}

export function runAuditTrace(id: string, { data, output }: AuditTraceOptions, runtime: Runtime): ExitCode {
  const traced = withReader(data, runtime, (reader) => trace(recordsOf(reader), id));
  if (traced.length === 0)
    throw new CommandError(`${data} has nothing of ${id}: is it the folder of the STS that decided?`);
  runtime.out(output === 'json' ? `${JSON.stringify(traced, undefined, 2)}\n` : toListing(traced));
  return 0;
}

function* recordsOf(reader: SQLiteReader) {
  for (const { record } of reader.logged('oldest')) yield record;
}

function toListing(traced: readonly Traced[]): string {
  const rows = traced.map(({ number, at, what, text, ledBy }) =>
    [`${number}`, new Date(at).toISOString(), ledBy.join(' ') || '-', what, text].map(toPrintable),
  );
  return toTable([['#', 'TIME', 'LED BY', 'WHAT', 'WHO AND WHICH'], ...rows]);
}
