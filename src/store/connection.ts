/** The store's thread as promises: each request is answered, or rejects when the thread cannot or is gone. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../authority/clock.ts';
import type { Connection } from './engineStore.ts';
import type { FromWorker, Method, Methods, ToWorker, WorkerConfig } from './protocol.ts';
import { StoreUnavailable } from './store.ts';

interface Waiting {
  resolve(value: never): void;
  reject(error: StoreUnavailable): void;
}

export function createConnection(config: Omit<WorkerConfig, 'incarnation'>, clock: Pick<Clock, 'now'>): Connection {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let incarnation: string | undefined;
  let lastID = 0;
  let closed = false;

  const settle = (message: FromWorker): void => {
    const asked = waiting.get(message.id);
    waiting.delete(message.id);
    // An idle store keeps no process alive; one that is closing is waited for.
    if (waiting.size === 0 && !closed) worker?.unref();
    if (message.ok) asked?.resolve(message.value as never);
    else asked?.reject(new StoreUnavailable(message.message));
  };

  /** A dead thread takes its requests with it; the next one starts another thread. */
  const lost = (dead: Worker, why: string): void => {
    if (worker !== dead) return;
    worker = undefined;
    const unanswered = [...waiting.values()];
    waiting.clear();
    for (const { reject } of unanswered) reject(new StoreUnavailable(why));
  };

  const start = (): Worker => {
    const started = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { ...config, incarnation } satisfies WorkerConfig,
    });
    started.on('message', settle);
    started.on('error', (error) => lost(started, `the store's thread failed: ${messageOf(error)}`));
    started.on('exit', () => lost(started, "the store's thread ended"));
    return started;
  };

  const ask = <M extends Method>(method: M, request: Methods[M]['request']): Promise<Methods[M]['answer']> => {
    worker ??= start();
    worker.ref();
    lastID += 1;
    const message = { id: lastID, method, request, now: clock.now() } as ToWorker;
    worker.postMessage(message);
    return new Promise((resolve, reject) => waiting.set(message.id, { resolve, reject }));
  };

  return {
    async ask(method, request) {
      if (closed) throw new StoreUnavailable('the store is closed');
      const answer = await ask(method, request);
      if (method === 'open') incarnation = String(answer);
      return answer;
    },
    async close() {
      if (closed) return;
      closed = true;
      if (!worker) return;
      const ended = new Promise((resolve) => worker!.once('exit', resolve));
      await Promise.allSettled([ask('close', {}), ended]);
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
