/** Decisions read from outside while another process writes them, for `caracal explain` and `caracal audit`. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { DecisionRecord } from '../authority/decision.ts';
import { prepareDecisionReads, toRecordText } from './database.ts';
import { findLogged, readLogged, readLogLines, readZones, type LoggedDecision } from './logReads.ts';
import { readSchemaVersion, SCHEMA_VERSION } from './migrations.ts';
import { parseDecision } from './engineStore.ts';
import type { Store } from './store.ts';

export interface SQLiteReader extends Pick<Store, 'decision' | 'decisions'> {
  /** Of whatever zone. */
  findDecision(id: string): Promise<DecisionRecord | undefined>;
  /** Lines of an export, without line feeds, of one zone or all; as of one moment. */
  logLines(zoneUID?: string): Iterable<string>;
  /** All that have a record; one that was made again has another UID. */
  zones(): readonly { readonly zoneUID: string; readonly zoneID: string }[];
  /** All, by default the newest first. */
  logged(first?: 'newest' | 'oldest'): Iterable<LoggedDecision>;
  /** By the id of the decision or of its request. */
  findLogged(id: string): readonly LoggedDecision[];
  close(): void;
}

/** Changes nothing. Throws where there is no store that this version can read; the message names the file. */
export function openSQLiteReader({ path }: { readonly path: string }): SQLiteReader {
  if (!existsSync(path)) throw new Error(`${path} does not exist: name the folder that the STS keeps its store in`);
  const db = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  try {
    const version = readSchemaVersion(db, path);
    if (version < SCHEMA_VERSION) {
      throw new Error(
        `${path} has schema ${version}, older than ${SCHEMA_VERSION}: start this version once to bring it up`,
      );
    }
    return toReader(db);
  } catch (error) {
    db.close();
    throw error;
  }
}

function toReader(db: DatabaseSync): SQLiteReader {
  const { decision, anyDecision, decisions } = prepareDecisionReads(db);
  return {
    decision: async (zoneUID, id) => parseDecision(toRecordText(decision.get(zoneUID, id))),
    findDecision: async (id) => parseDecision(toRecordText(anyDecision.get(id))),
    decisions: async (zoneUID, limit) => decisions.all(zoneUID, limit).map((row) => parseDecision(toRecordText(row))!),
    logLines: (zoneUID) => readLogLines(db, zoneUID),
    zones: () => readZones(db),
    logged: (first = 'newest') => readLogged(db, first),
    findLogged: (id) => findLogged(db, id),
    close: () => db.close(),
  };
}
