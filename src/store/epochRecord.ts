/** The record of a raised epoch: only the transaction that raises it knows its number. */
import type { DecisionRecord } from '../authority/decision.ts';

/** All of a record but its epoch. */
export type BeforeEpoch = Omit<DecisionRecord, 'epoch'>;

/** JSON text of a record without `epoch` → that of the record. */
export function withEpoch(record: string, epoch: number): string {
  return `${record.slice(0, -1)},"epoch":${epoch}}`;
}
