/** The store in PostgreSQL: one for several replicas, each a writer with a log chain of its own. */
import { join } from 'node:path';
import { uuidv7, type Clock, type RandomBytes } from '../../authority/clock.ts';
import { openAuditKey } from '../auditKey.ts';
import { createEngineStore, type EngineStore } from '../engineStore.ts';
import { checkSealProof, makeSeal, readSeal, sealKeyPath } from '../sealKey.ts';
import type { Seal } from '../seal.ts';
import { StoreUnavailable } from '../store.ts';
import type { PostgresAddress } from './address.ts';
import { createPostgresConnection } from './connection.ts';
import { createHints } from './hints.ts';
import { beginLife } from './life.ts';
import { signLeftovers } from './leftovers.ts';
import { migrate } from './migrations.ts';
import { createSessions, type Sessions } from './sessions.ts';

export interface PostgresStoreConfig {
  readonly address: PostgresAddress;
  readonly password: string | undefined;
  /** Folder of the keys: `store.seal.key`, the same for every replica, and `store.audit.key`, which may be. */
  readonly keys: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly randomBytes: RandomBytes;
  /** How many writes may wait for the database before more are refused. Default 4096. */
  readonly maxWaiting?: number;
  /** How long a record of the log may wait for a checkpoint that covers it. Default 5000. */
  readonly checkpointMs?: number;
}

/** Rejects with StoreUnavailable where the database cannot be used; the message says why and what to do. */
export async function openPostgresStore(config: PostgresStoreConfig): Promise<EngineStore> {
  const { clock, randomBytes, keys, maxWaiting, checkpointMs } = config;
  const sessions = createSessions(config);
  const newID = () => uuidv7(clock.now(), randomBytes);
  try {
    const keyPath = join(keys, 'store');
    await migrate(config, () => makeSeal(sealKeyPath(keyPath)));
    const seal = await openSeal(sessions, sealKeyPath(keyPath));
    const signer = openAuditKey(keyPath);
    const incarnation = await sessions.tend((session) => beginLife(session, seal, newID(), clock.now()));
    await signLeftovers(sessions, signer, clock.now());
    const writer = `${incarnation}.${newID()}`;
    const life = { incarnation, writer, nextIncarnation: newID };
    const connection = createPostgresConnection({ sessions, seal, signer, clock, ...life });
    const hints = createHints(config);
    const closing = {
      ask: connection.ask,
      close: async () => void (await Promise.all([hints.close(), connection.close()])),
    };
    return createEngineStore(closing, {
      ...{ incarnation, maxWaiting, checkpointMs, failsTogether: true },
      clockSkewMs: () => connection.clockSkewMs(),
      onForeignHint: (listener) => hints.on(listener),
    });
  } catch (error) {
    await sessions.close();
    throw toUnavailable(error, config);
  }
}

async function openSeal(sessions: Sessions, path: string): Promise<Seal> {
  const seal = readSeal(path);
  const { rows } = await sessions.read((session) => session.query('SELECT proof FROM seal_proof'));
  checkSealProof(seal, (rows[0] as { proof: string } | undefined)?.proof, path);
  return seal;
}

function toUnavailable(error: unknown, { address }: PostgresStoreConfig): StoreUnavailable {
  const text = error instanceof AggregateError ? error.errors.map(String).join(', ') : String(error);
  const where = `${address.host}:${address.port}/${address.database}`;
  return new StoreUnavailable(`the database at ${where}: ${text.replace(/^\w*[Ee]rror: /, '')}`, { cause: error });
}
