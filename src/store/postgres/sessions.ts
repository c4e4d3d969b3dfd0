/** Connections to the database: bounded in number and in time, and given up as a whole at the first failure. */
import { readFileSync } from 'node:fs';
import { checkServerIdentity } from 'node:tls';
import { Pool, type ClientConfig, type PoolClient, type QueryResult } from 'pg';
import type { PostgresAddress } from './address.ts';

export interface SessionConfig {
  readonly address: PostgresAddress;
  readonly password: string | undefined;
}

export interface Sessions {
  /** One transaction of a writer, which `act` commits; the next waits for it. */
  write<T>(act: (session: Session) => Promise<T>): Promise<T>;
  /** As of one moment. */
  read<T>(act: (session: Session) => Promise<T>): Promise<T>;
  /** A transaction beside the writer's. */
  tend<T>(act: (session: Session) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Session {
  query(text: string, values?: unknown[]): Promise<QueryResult>;
}

/** Together below the 2 s within which a caller is told that the database is gone. */
const CONNECT_MS = 850;
const TRANSACTION_MS = 950;
const READERS = 4;

/** On each connection, so that no setting of the role or the database weakens a commit or makes anyone wait. */
const SETTINGS = {
  search_path: 'caracal',
  synchronous_commit: 'on',
  default_transaction_isolation: 'read\\ committed',
  lock_timeout: '800',
  idle_in_transaction_session_timeout: '1000',
  client_min_messages: 'warning',
};

export function createSessions(config: SessionConfig): Sessions {
  const options = toClientConfig(config, TRANSACTION_MS);
  const writer = createPool(options, 1);
  const others = createPool(options, READERS);
  return {
    write: (act) => inTransaction(writer, 'BEGIN', act),
    read: (act) => inTransaction(others, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', committing(act)),
    tend: (act) => inTransaction(others, 'BEGIN', committing(act)),
    close: async () => void (await Promise.allSettled([writer.end(), others.end()])),
  };
}

/** `timeoutMs` of each statement. */
export function toClientConfig({ address, password }: SessionConfig, timeoutMs: number): ClientConfig {
  const { host, port, user, database, tls, caFile } = address;
  return {
    ...{ host, port, user, database, password },
    // By the name or address that was given, whichever it is.
    ssl: tls && {
      ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    },
    options: Object.entries(SETTINGS)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    statement_timeout: timeoutMs,
    query_timeout: timeoutMs,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: 'caracal',
    keepAlive: true,
    // What does not depend on another answer is sent without waiting for it: a commit takes two round trips.
    pipeline: true,
  };
}

function createPool(options: ClientConfig, max: number): Pool {
  const pool = new Pool({ ...options, max, idleTimeoutMillis: 30_000, allowExitOnIdle: true });
  // A connection that dies while nobody uses it is replaced at the next use, which is where its failure counts.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** A connection on which anything failed is closed, and the database undoes what it had begun. */
async function inTransaction<T>(pool: Pool, begin: string, act: (session: Session) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  // Ends the connection under a query that is not answered.
  const timer = setTimeout(() => void client.end().catch(() => undefined), TRANSACTION_MS);
  const { session, firstFailure } = watch(client);
  let failed = true;
  try {
    const [, done] = await Promise.all([session.query(begin), act(session)]);
    failed = false;
    return done;
  } catch (error) {
    throw firstFailure() ?? error;
  } finally {
    clearTimeout(timer);
    client.release(failed);
  }
}

/** Of statements that were sent together, the ones after the one that failed fail as well: its failure is the one to tell. */
function watch(client: PoolClient) {
  let failure: unknown;
  const query = (text: string, values?: unknown[]) => {
    const answer = client.query(text, values);
    answer.catch((error: unknown) => (failure ??= error));
    return answer;
  };
  return { session: { query }, firstFailure: () => failure };
}

function committing<T>(act: (session: Session) => Promise<T>): (session: Session) => Promise<T> {
  return async (session) => {
    const done = await act(session);
    await commit(session);
    return done;
  };
}

/** May be sent with the last statements, without waiting for them. */
export async function commit(session: Session): Promise<void> {
  const { command } = await session.query('COMMIT');
  // A transaction of which a statement failed is answered so.
  if (command !== 'COMMIT') throw new Error(`the database answered COMMIT with ${command}`);
}
