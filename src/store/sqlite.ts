/** The embedded store: SQLite on a thread of its own, durable before it answers, many commits to one sync. */
import { Worker } from 'node:worker_threads';
import type { Clock, RandomBytes } from '../authority/clock.ts';
import type { DecisionRecord } from '../authority/decision.ts';
import type { FromStoreWorker, ReadRequest, StoreRequest, ToStoreWorker, WorkerOptions } from './messages.ts';
import {
  StoreUnavailable,
  type AuthorityRecord,
  type Commit,
  type CommitResult,
  type Store,
  type ZoneEpoch,
} from './store.ts';

export interface SQLiteStoreConfig {
  readonly path: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/** Beyond so many waiting requests a new one is refused at once: a slow disk must not fill the memory. */
const MAX_WAITING = 20_000;

/** Rejects where another process has the file, or it is of a later version, or it cannot be read. */
export async function openSQLiteStore({ path, clock, randomBytes }: SQLiteStoreConfig): Promise<Store> {
  const options: WorkerOptions = { path, incarnation: Buffer.from(randomBytes(16)).toString('hex') };
  let thread = await startThread(options);
  const { incarnation } = thread;
  let closed = false;
  let restarting: Promise<void> | undefined;

  const restart = async (): Promise<void> => {
    const next = await startThread(options);
    if (next.incarnation !== incarnation) {
      await next.stop();
      throw new StoreUnavailable(`${path} was replaced by another database: restart the process`);
    }
    thread = next;
  };
  /** A thread that died is started again by whoever asks next; what it had not answered was refused. */
  const ask = async (request: StoreRequest): Promise<unknown> => {
    if (closed) throw new StoreUnavailable('the store is closed');
    if (!thread.isAlive()) {
      restarting ??= restart().finally(() => (restarting = undefined));
      await restarting.catch((error: unknown) => {
        throw new StoreUnavailable(messageOf(error), { cause: error });
      });
    }
    return thread.ask({ now: clock.now(), request });
  };
  const readJSON = async <T>(request: ReadRequest): Promise<T | undefined> => parse<T>(await ask(request));

  return {
    incarnation,
    commit: async (commit) => (await ask(toCommitRequest(commit))) as CommitResult,
    raiseEpoch: async (zoneUID, digest, change) =>
      (await ask({ type: 'raiseEpoch', zoneUID, digest, change: JSON.stringify(change) })) as ZoneEpoch,
    zoneEpoch: async (zoneUID) => (await ask({ type: 'zoneEpoch', zoneUID })) as ZoneEpoch | undefined,
    authorityRecord: (zoneUID, sid) => readJSON<AuthorityRecord>({ type: 'authorityRecord', zoneUID, sid }),
    decisionByJTI: (zoneUID, jti) => readJSON<DecisionRecord>({ type: 'decisionByJTI', zoneUID, jti }),
    decision: (zoneUID, id) => readJSON<DecisionRecord>({ type: 'decision', zoneUID, id }),
    decisions: async (zoneUID, limit) =>
      ((await ask({ type: 'decisions', zoneUID, limit })) as string[]).map(
        (json) => JSON.parse(json) as DecisionRecord,
      ),
    async close() {
      closed = true;
      await thread.stop();
    },
  };
}

function toCommitRequest({ decision, consume = [], authorityRecord }: Commit): StoreRequest {
  const { id, zoneUID, jti, at } = decision;
  return {
    type: 'commit',
    decision: { id, zoneUID, jti: jti ?? null, at, json: JSON.stringify(decision) },
    consume,
    authorityRecord: authorityRecord && {
      zoneUID: authorityRecord.zoneUID,
      sid: authorityRecord.sid,
      expiresAt: authorityRecord.expiresAt,
      json: JSON.stringify(authorityRecord),
    },
  };
}

function parse<T>(json: unknown): T | undefined {
  return typeof json === 'string' ? (JSON.parse(json) as T) : undefined;
}

interface StoreThread {
  readonly incarnation: string;
  isAlive(): boolean;
  ask(message: Omit<ToStoreWorker, 'id'>): Promise<unknown>;
  stop(): Promise<void>;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreUnavailable) => void;
}

async function startThread(options: WorkerOptions): Promise<StoreThread> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: options });
  const waiting = new Map<number, Waiting>();
  const opened = Promise.withResolvers<string>();
  let alive = true;
  let lastID = 0;
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      end('the store’s thread ended');
      resolve();
    });
  });
  const end = (message: string): void => {
    alive = false;
    opened.reject(new StoreUnavailable(message));
    for (const { reject } of waiting.values()) reject(new StoreUnavailable(message));
    waiting.clear();
  };
  worker.on('error', (error) => end(messageOf(error)));
  worker.on('message', (message: FromStoreWorker) => {
    if (message.type === 'open') opened.resolve(message.incarnation);
    else if (message.type === 'failed') opened.reject(new StoreUnavailable(message.message));
    else settle(waiting, message);
  });
  const incarnation = await opened.promise;
  return {
    incarnation,
    isAlive: () => alive,
    ask: (message) =>
      new Promise((resolve, reject) => {
        if (!alive) return reject(new StoreUnavailable('the store’s thread ended'));
        if (waiting.size >= MAX_WAITING) return reject(new StoreUnavailable('too many requests wait for the disk'));
        lastID += 1;
        waiting.set(lastID, { resolve, reject });
        worker.postMessage({ ...message, id: lastID } satisfies ToStoreWorker);
        return undefined;
      }),
    async stop() {
      worker.postMessage('close');
      await exited;
    },
  };
}

function settle(waiting: Map<number, Waiting>, message: Extract<FromStoreWorker, { readonly id: number }>): void {
  const found = waiting.get(message.id);
  waiting.delete(message.id);
  if (message.type === 'answer') found?.resolve(message.value);
  else found?.reject(new StoreUnavailable(message.message));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
