/** The store's thread: takes every request that waits, does all writes of them in one transaction, then answers (group commit). */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import { openDatabase, type OpenDatabase } from './database.ts';
import type {
  CommitRequest,
  FromStoreWorker,
  RaiseEpochRequest,
  StoreRequest,
  ToStoreWorker,
  WorkerOptions,
} from './messages.ts';

const MAX_BATCH = 512;
const PRUNE_EVERY_MS = 60_000;

function serve(port: MessagePort, { path, incarnation }: WorkerOptions): void {
  const answer = (message: FromStoreWorker): void => port.postMessage(message);
  let database: OpenDatabase;
  try {
    database = openDatabase(path, incarnation);
  } catch (error) {
    answer({ type: 'failed', message: messageOf(error) });
    port.close();
    return;
  }
  let prunedAt = 0;
  port.on('message', (first: ToStoreWorker | 'close') => {
    if (first === 'close') return close(port, database);
    const { batch, isClosing } = takeWaiting(port, first);
    for (const message of runWrites(database, batch.filter(isWrite), () => pruneIfDue(batch[0]!.now))) answer(message);
    for (const message of batch) if (!isWrite(message)) answer(runRead(database, message));
    if (isClosing) close(port, database);
  });
  const pruneIfDue = (now: number): void => {
    if (now - prunedAt < PRUNE_EVERY_MS) return;
    database.prune(now);
    prunedAt = now;
  };
  answer({ type: 'open', incarnation: database.incarnation });
}

function takeWaiting(port: MessagePort, first: ToStoreWorker) {
  const batch = [first];
  while (batch.length < MAX_BATCH) {
    const next = receiveMessageOnPort(port) as { message: ToStoreWorker | 'close' } | undefined;
    if (!next) return { batch, isClosing: false };
    if (next.message === 'close') return { batch, isClosing: true };
    batch.push(next.message);
  }
  return { batch, isClosing: false };
}

type WriteMessage = ToStoreWorker & { readonly request: CommitRequest | RaiseEpochRequest };

function isWrite(message: ToStoreWorker): message is WriteMessage {
  const { type }: StoreRequest = message.request;
  return type === 'commit' || type === 'raiseEpoch';
}

/** One transaction for all; where it fails, nothing of any happened and each is told so. */
function runWrites(
  database: OpenDatabase,
  writes: readonly WriteMessage[],
  also: () => void,
): readonly FromStoreWorker[] {
  if (writes.length === 0) return [];
  try {
    return database.transaction(() => {
      also();
      return writes.map(({ id, now, request }): FromStoreWorker => {
        const value = request.type === 'commit' ? database.commit(request) : database.raiseEpoch(request, now);
        return { type: 'answer', id, value };
      });
    });
  } catch (error) {
    return writes.map(({ id }) => ({ type: 'refused', id, message: messageOf(error) }));
  }
}

function runRead(database: OpenDatabase, { id, request }: ToStoreWorker): FromStoreWorker {
  try {
    return { type: 'answer', id, value: database.read(request as Parameters<OpenDatabase['read']>[0]) };
  } catch (error) {
    return { type: 'refused', id, message: messageOf(error) };
  }
}

function close(port: MessagePort, database: OpenDatabase): void {
  database.close();
  port.close();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

if (parentPort) serve(parentPort, workerData as WorkerOptions);
