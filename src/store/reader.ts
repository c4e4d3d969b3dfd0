/** Reads the decisions of a store that another process may have open: `caracal explain --decision`. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { DecisionRecord } from '../authority/decision.ts';

export interface DecisionReader {
  /** Decision ids are unique over all zones. */
  find(id: string): DecisionRecord | undefined;
  close(): void;
}

/** Throws where there is no such store. */
export function openDecisionReader(path: string): DecisionReader {
  if (!existsSync(path)) throw new Error(`${path} does not exist: give --data the folder that caracal up uses`);
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 });
  const select = database.prepare('SELECT json FROM decisions WHERE id = ?');
  return {
    find(id) {
      const row = select.get(id);
      return row && (JSON.parse(row['json'] as string) as DecisionRecord);
    },
    close: () => database.close(),
  };
}
