/** What can be wrong with a log: a closed list of reasons, and where each was found. */
import type { Chain } from './entry.ts';

/** Documented in docs/guides/audit.md. */
export const ALARM_REASONS = {
  LineMalformed: 'the line is not one that Caracal writes, byte for byte',
  RecordChanged: 'the record is not the one that its hash was made of',
  RecordMissing: 'a record is not where it belongs: taken away, or moved',
  RecordRepeated: 'a position of the chain is taken twice: inserted, or moved',
  ChainForked: 'the record follows another one than the record before it',
  WrongZone: 'the record is of another zone than its chain or the export',
  SignatureInvalid: 'the signature does not hold, or is by a key that was not given',
  CheckpointMismatch:
    'the records are not the ones that were signed: at least one since the checkpoint before was rewritten',
  CheckpointMisplaced: 'a checkpoint is not where it belongs: repeated, or moved',
  CheckpointMissing: 'a checkpoint was taken away, perhaps with all of a chain',
  RecordsTruncated: 'fewer records are there than were signed',
  ExportTruncated: 'the end of the export is missing',
  ExportChanged: 'lines were added or taken away since the export was signed',
} as const;

export type AlarmReason = keyof typeof ALARM_REASONS;

export interface Alarm {
  readonly reason: AlarmReason;
  /** Of the export, from 1; undefined where it is about what is not there. */
  readonly line: number | undefined;
  readonly chain: Chain | undefined;
  /** The first bad record of the chain, or the first that no good checkpoint covers. */
  readonly position: number | undefined;
  readonly message: string;
}
