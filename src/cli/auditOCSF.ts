/** `caracal audit export --format ocsf`: the log as events for a SIEM, if it verifies. */
import { toOCSF } from '../audit/ocsf.ts';
import { createVerifier } from '../audit/verify.ts';
import type { SQLiteReader } from '../store/reader.ts';
import type { LineWriter } from './auditExport.ts';
import { readStoreKeys, toAlarmText } from './auditVerify.ts';
import type { ExitCode, Runtime } from './runtime.ts';

/** Oldest first. Events are no proof: each names the record that is. */
export function exportOCSF(
  reader: SQLiteReader,
  zoneUID: string | undefined,
  { data, writer }: { readonly data: string; readonly writer: LineWriter },
  runtime: Runtime,
): ExitCode {
  const verifier = createVerifier({
    keys: readStoreKeys(data, runtime),
    source: zoneUID === undefined ? 'store' : 'zone',
  });
  for (const line of reader.logLines(zoneUID)) verifier.add(Buffer.from(line));
  const { alarms } = verifier.end(true);
  let events = 0;
  for (const logged of reader.logged('oldest')) {
    if (zoneUID !== undefined && logged.zoneUID !== zoneUID) continue;
    for (const event of toOCSF(logged)) {
      writer.line(JSON.stringify(event));
      events += 1;
    }
  }
  runtime.err(`${alarms.map(toAlarmText).join('')}exported ${events} events\n`);
  return alarms.length === 0 ? 0 : 1;
}
