/** The embedded store: SQLite on a thread of its own, durable before it answers, many commits to one write of the disk. */
import { uuidv7, type Clock, type RandomBytes } from '../authority/clock.ts';
import { createConnection } from './connection.ts';
import { createEngineStore, type EngineStore } from './engineStore.ts';

export interface SQLiteStoreConfig {
  /** The database file; its folder is made where missing. */
  readonly path: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly randomBytes: RandomBytes;
  /** How many writes may wait for the disk before more are refused. Default 4096. */
  readonly maxWaiting?: number;
  /** How long a record of the log may wait for a checkpoint that covers it. Default 5000. */
  readonly checkpointMs?: number;
  /** How long to wait for another process that has the store open. Default 5000. */
  readonly lockTimeoutMs?: number;
}

export type SQLiteStore = EngineStore;

const LOCK_TIMEOUT_MS = 5000;

/** Rejects with StoreUnavailable where the file cannot be used; the message says why and what to do. */
export async function openSQLiteStore(config: SQLiteStoreConfig): Promise<SQLiteStore> {
  const { path, clock, randomBytes, lockTimeoutMs = LOCK_TIMEOUT_MS, maxWaiting, checkpointMs } = config;
  const newIncarnation = uuidv7(clock.now(), randomBytes);
  const connection = createConnection({ path, newIncarnation, lockTimeoutMs }, clock);
  try {
    const incarnation = await connection.ask('open', {});
    // Its clock is ours.
    return createEngineStore(connection, { incarnation, maxWaiting, checkpointMs, clockSkewMs: () => 0 });
  } catch (error) {
    await connection.close();
    throw error;
  }
}
