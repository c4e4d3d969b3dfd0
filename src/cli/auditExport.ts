/** `caracal audit export`: the log as JSON Lines, signed at its end only if it verifies. */
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { createExportEnd } from '../audit/exportLines.ts';
import { createVerifier, type Report } from '../audit/verify.ts';
import { readAuditKey } from '../store/auditKey.ts';
import type { SQLiteReader } from '../store/reader.ts';
import { exportOCSF } from './auditOCSF.ts';
import { messageOf, storePath, withReader } from './auditStore.ts';
import { readStoreKeys, toAlarmText } from './auditVerify.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';

export interface AuditExportOptions {
  readonly zone?: string;
  readonly format: 'jsonl' | 'ocsf';
  readonly data: string;
}

export function runAuditExport(file: string, options: AuditExportOptions, runtime: Runtime): ExitCode {
  return withReader(options.data, runtime, (reader) => {
    const zoneUID = options.zone === undefined ? undefined : toZoneUID(options.zone, reader);
    const { signer, keys } = readKeys(options.data, runtime);
    const verifier = createVerifier({ keys, source: zoneUID === undefined ? 'store' : 'zone' });
    const writer = createWriter(resolve(runtime.cwd, file), file);
    try {
      if (options.format === 'ocsf') return exportOCSF(reader, zoneUID, { data: options.data, writer }, runtime);
      const end = createExportEnd();
      for (const line of reader.logLines(zoneUID)) {
        verifier.add(Buffer.from(line));
        end.add(line);
        writer.line(line);
      }
      const report = verifier.end(true);
      if (report.alarms.length === 0) writer.line(end.close(zoneUID, runtime.clock.now(), signer));
      return tell(report, file, runtime);
    } finally {
      writer.close();
    }
  });
}

function tell({ alarms, records, zones, checkpoints }: Report, file: string, { err }: Runtime): ExitCode {
  if (alarms.length === 0) {
    err(`exported ${records} records of ${zones} zones and ${checkpoints} checkpoints to ${file}\n`);
    return 0;
  }
  err(alarms.map(toAlarmText).join(''));
  err(`${file} has the log as it is, as evidence; it is not signed\n`);
  return 1;
}

function readKeys(data: string, runtime: Runtime) {
  try {
    return { signer: readAuditKey(storePath(data, runtime)), keys: readStoreKeys(data, runtime) };
  } catch (error) {
    throw new CommandError(`--data ${data} cannot sign an export: ${messageOf(error)}`, 1, { cause: error });
  }
}

/** A zone that was made again has another UID: then the id alone does not say which. */
function toZoneUID(zone: string, reader: SQLiteReader): string {
  const zones = reader.zones();
  if (zones.some(({ zoneUID }) => zoneUID === zone)) return zone;
  const uids = zones.filter(({ zoneID }) => zoneID === zone).map(({ zoneUID }) => zoneUID);
  if (uids.length === 1) return uids[0]!;
  if (uids.length === 0) throw new CommandError(`--zone ${zone} has no record in the log`);
  throw new CommandError(`--zone ${zone} was made more than once: give one of the UIDs ${uids.join(', ')}`, 2);
}

const WRITE_BYTES = 1 << 20;

export interface LineWriter {
  line(text: string): void;
  close(): void;
}

function createWriter(path: string, name: string): LineWriter {
  const file = openNew(path, name);
  let pending: string[] = [];
  let size = 0;
  const flush = (): void => {
    const bytes = Buffer.from(pending.join(''));
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
    [pending, size] = [[], 0];
  };
  return {
    line(text) {
      pending.push(text, '\n');
      size += text.length;
      if (size > WRITE_BYTES) flush();
    },
    close() {
      flush();
      closeSync(file);
    },
  };
}

/** An earlier export is evidence: it is not written over. */
function openNew(path: string, name: string): number {
  const isDevice = statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  try {
    return openSync(path, isDevice ? 'w' : 'wx', 0o600);
  } catch (error) {
    throw new CommandError(`${name} cannot be made: ${messageOf(error)}`, 1, { cause: error });
  }
}
