/** `caracal audit show`: one decision whole, with its place in the log. */
import type { DecisionRecord } from '../authority/decision.ts';
import type { LoggedDecision } from '../store/logReads.ts';
import { withReader } from './auditStore.ts';
import { toRecordText } from './explainRecorded.ts';
import { toPrintable } from './printable.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';

export interface AuditShowOptions {
  readonly data: string;
  readonly output: 'text' | 'json';
}

/** A request that was answered by several decisions shows them all. */
export function runAuditShow(id: string, { data, output }: AuditShowOptions, runtime: Runtime): ExitCode {
  const found = withReader(data, runtime, (reader) => reader.findLogged(id));
  if (found.length === 0)
    throw new CommandError(`${data} has no decision and no request ${id}: is it the folder of the STS that decided?`);
  for (const logged of found)
    runtime.out(output === 'json' ? `${JSON.stringify(logged, undefined, 2)}\n` : toText(logged));
  return 0;
}

/** What is no exchange is short enough to be shown as it is. */
function toRecordBody(record: DecisionRecord): string {
  const { id, at, zoneID, kind, act, activation, gateway } = record;
  const done = act ?? activation ?? gateway;
  if (!done) return toRecordText(record, []);
  return `${kind} ${id}, zone ${zoneID}, ${new Date(at).toISOString()}\n${JSON.stringify(done, undefined, 2)}\n`;
}

function toText({ record, zoneUID, writer, position, hash, isSigned }: LoggedDecision): string {
  const place = [
    `record ${position} of zone ${zoneUID} by writer ${writer}`,
    `hash ${hash}`,
    isSigned ? 'covered by a checkpoint' : 'not yet covered by a checkpoint',
  ];
  const text = `${toRecordBody(record)}\nlog\n${place.map((line) => `  ${line}\n`).join('')}`;
  return text
    .split('\n')
    .map((line) => toPrintable(line))
    .join('\n');
}
