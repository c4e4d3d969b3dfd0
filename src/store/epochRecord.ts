/** The record of a raised epoch: only the transaction that raises it knows its number. */
import type { DecisionRecord } from '../authority/decision.ts';
import type { DecisionRow } from './protocol.ts';

/** All of a record but its epoch. */
export type BeforeEpoch = Omit<DecisionRecord, 'epoch'>;

/** The row of a record without `epoch` → that of the record. */
export function withEpoch(row: DecisionRow, epoch: number): DecisionRow {
  return { ...row, record: `${row.record.slice(0, -1)},"epoch":${epoch}}` };
}
