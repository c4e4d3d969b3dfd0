/** `caracal audit verify`: proves an export or the log of a data folder; `caracal audit key` prints what proves it. */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Alarm } from '../audit/alarm.ts';
import { parseNoteVerifier, type NoteVerifier } from '../audit/note.ts';
import { splitLines } from '../audit/splitLines.ts';
import { createVerifier, type Report } from '../audit/verify.ts';
import { publicKeyPath } from '../store/auditKey.ts';
import { messageOf, storePath, withReader } from './auditStore.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';

export interface AuditVerifyOptions {
  readonly publicKey?: string;
  readonly data: string;
  readonly output: 'text' | 'json';
}

export async function runAuditVerify(
  file: string | undefined,
  options: AuditVerifyOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  const report = file === undefined ? verifyStore(options, runtime) : await verifyExport(file, options, runtime);
  runtime.out(options.output === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : toReportText(report));
  return report.alarms.length === 0 ? 0 : 1;
}

export function runAuditKey(data: string, runtime: Runtime): ExitCode {
  for (const { text } of readStoreKeys(data, runtime)) runtime.out(`${text}\n`);
  return 0;
}

/** All that ever signed this store's log, as it says itself. */
export function readStoreKeys(data: string, runtime: Runtime): readonly NoteVerifier[] {
  const path = publicKeyPath(storePath(data, runtime));
  if (!existsSync(path))
    throw new CommandError(`--data ${data} has no public key of a log: is it the folder of an STS?`);
  return parseKeys(readFileSync(path, 'utf8'), path);
}

export function toAlarmText({ reason, line, chain, position, message }: Alarm): string {
  const place = [
    ...(line === undefined ? [] : [`line ${line}`]),
    ...(chain === undefined ? [] : [`zone ${chain.zoneUID}`]),
    ...(position === undefined ? [] : [`record ${position}`]),
  ];
  return `✗ ${reason}${place.length === 0 ? '' : ` at ${place.join(', ')}`}: ${message}\n`;
}

function verifyStore({ publicKey, data }: AuditVerifyOptions, runtime: Runtime): Report {
  return withReader(data, runtime, (reader) => {
    const keys = publicKey === undefined ? readStoreKeys(data, runtime) : readKeys(publicKey, runtime);
    const verifier = createVerifier({ keys, source: 'store' });
    for (const line of reader.logLines()) verifier.add(Buffer.from(line));
    return verifier.end(true);
  });
}

/** The key is never taken from what it is to prove. */
async function verifyExport(file: string, { publicKey }: AuditVerifyOptions, runtime: Runtime): Promise<Report> {
  if (publicKey === undefined) {
    throw new CommandError(
      '--public-key is required with an export: give the key that `caracal audit key` printed, from where you keep it',
      2,
    );
  }
  const verifier = createVerifier({ keys: readKeys(publicKey, runtime), source: 'export' });
  let isWhole = true;
  try {
    for await (const line of splitLines(createReadStream(resolve(runtime.cwd, file)))) {
      verifier.add(line.bytes);
      isWhole = line.isWhole;
    }
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${messageOf(error)}`, 1, { cause: error });
  }
  return verifier.end(isWhole);
}

function readKeys(given: string, { cwd }: Runtime): readonly NoteVerifier[] {
  const path = resolve(cwd, given);
  return existsSync(path) ? parseKeys(readFileSync(path, 'utf8'), given) : parseKeys(given, given);
}

function parseKeys(text: string, name: string): readonly NoteVerifier[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  try {
    if (lines.length === 0) throw new Error('it is empty');
    return lines.map((line) => parseNoteVerifier(line.trim()));
  } catch (error) {
    throw new CommandError(`"${name}" is no public key of a log, nor a file of such: ${messageOf(error)}`, 2, {
      cause: error,
    });
  }
}

function toReportText(report: Report): string {
  const { alarms, records, chains, zones, checkpoints, closing } = report;
  const counts = `${records} records in ${chains} chains of ${zones} zones, ${checkpoints} checkpoints`;
  if (alarms.length > 0)
    return `${alarms.map(toAlarmText).join('')}the log does not hold: ${counts}, ${alarms.length} alarms\n`;
  return `the log holds: ${counts}; ${closing ? toSignedText(closing) : toOpenText(report)}\n`;
}

function toSignedText({ at, zoneUID }: NonNullable<Report['closing']>): string {
  return `signed whole at ${new Date(at).toISOString()} for ${zoneUID === undefined ? 'all zones' : `zone ${zoneUID}`}`;
}

function toOpenText({ afterCheckpoint }: Report): string {
  return afterCheckpoint === 0
    ? 'every record is covered by a checkpoint'
    : `${afterCheckpoint} records are chained and not yet covered by a checkpoint`;
}
