/** The threads that evaluate: the least busy takes a job, a stuck one is ended and replaced, suspects share one thread. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../authority/clock.ts';
import { CURRENT_JOB, type Answer, type Documents, type FromWorker, type ToWorker } from './protocol.ts';

export interface PoolConfig {
  readonly workers: number;
  /** For one job, once a thread is at it. */
  readonly deadlineMs: number;
  /** Of 64 KiB, for each instance. */
  readonly memoryPages: number;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export type JobResult =
  | { readonly ok: true; readonly answers: readonly Answer[] }
  | { readonly ok: false; readonly failure: 'timeout' | 'error' | 'unavailable' };

export interface Pool {
  load(key: number, module: WebAssembly.Module): void;
  unload(key: number): void;
  /** Never rejects. `zone` is whose job it is. */
  run(zone: string, key: number, documents: readonly Documents[]): Promise<JobResult>;
  close(): Promise<void>;
}

interface Job {
  readonly id: number;
  readonly zone: string;
  readonly key: number;
  readonly documents: readonly Documents[];
  readonly resolve: (result: JobResult) => void;
  /** Milliseconds since it was asked for. */
  age: number;
}

interface Thread {
  readonly worker: Worker;
  readonly current: Int32Array;
  readonly jobs: Map<number, Job>;
  /** The job that the watchdog saw last, and for how many milliseconds already. */
  seen: number;
  seenFor: number;
}

interface Slot {
  thread: Thread | undefined;
}

interface State extends PoolConfig {
  readonly slots: readonly Slot[];
  readonly modules: Map<number, WebAssembly.Module>;
  /** Zones that were stuck, and how many jobs they have to finish until they are trusted again. */
  readonly suspects: Map<string, number>;
  watchdog: NodeJS.Timeout | undefined;
  looked: number;
  lastID: number;
  closed: boolean;
}

/** The watchdog looks so often within one deadline. */
const LOOKS = 4;
/** A job that no thread came to within so many deadlines is given up. */
const MAX_AGE = 20;
const PROBATION = 100;

/** Threads start with the first job and do not keep the process alive; close ends them. */
export function createPool(config: PoolConfig): Pool {
  const slots = Array.from({ length: Math.max(1, config.workers) }, (): Slot => ({ thread: undefined }));
  const state: State = {
    ...config,
    slots,
    modules: new Map(),
    suspects: new Map(),
    watchdog: undefined,
    looked: 0,
    lastID: 0,
    closed: false,
  };
  return {
    load(key, module) {
      state.modules.set(key, module);
      tellAll(state, { type: 'load', key, module });
    },
    unload(key) {
      state.modules.delete(key);
      tellAll(state, { type: 'unload', key });
    },
    run: (zone, key, documents) =>
      new Promise((resolve) => {
        state.lastID = (state.lastID % 0x7fffffff) + 1;
        dispatch({ id: state.lastID, zone, key, documents, resolve, age: 0 }, state);
      }),
    close: () => close(state),
  };
}

function tellAll({ slots }: State, message: ToWorker): void {
  for (const { thread } of slots) if (thread) send(thread.worker, message);
}

function send(worker: Worker, message: ToWorker): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage(message);
}

function dispatch(job: Job, state: State): void {
  if (state.closed) return job.resolve({ ok: false, failure: 'unavailable' });
  const slot = chooseSlot(job, state);
  const thread = (slot.thread ??= startThread(slot, state));
  thread.jobs.set(job.id, job);
  send(thread.worker, { type: 'evaluate', id: job.id, key: job.key, documents: job.documents });
  if (state.watchdog) return;
  state.looked = state.clock.monotonic();
  state.watchdog = setInterval(() => look(state), Math.max(1, state.deadlineMs / LOOKS));
}

/** Suspects share the last thread, so that however many of them there are, the other threads are free of them. */
function chooseSlot(job: Job, { slots, suspects }: State): Slot {
  if (suspects.has(job.zone)) return slots.at(-1)!;
  const isShared = ({ thread }: Slot) =>
    suspects.size > 0 && thread?.jobs.values().some(({ zone }) => suspects.has(zone)) === true;
  const free = slots.filter((slot) => !isShared(slot));
  const jobsOf = ({ thread }: Slot) => thread?.jobs.size ?? 0;
  return (free.length > 0 ? free : slots).reduce((best, slot) => (jobsOf(slot) < jobsOf(best) ? slot : best));
}

function startThread(slot: Slot, state: State): Thread {
  const current = new SharedArrayBuffer(4);
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: { current, memoryPages: state.memoryPages },
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 128 },
  });
  const thread: Thread = { worker, current: new Int32Array(current), jobs: new Map(), seen: 0, seenFor: 0 };
  worker.unref();
  worker.on('message', (message: FromWorker) => finish(thread, message, state));
  for (const event of ['error', 'messageerror', 'exit']) worker.on(event, () => lose(slot, thread, 'error', state));
  for (const [key, module] of state.modules) send(worker, { type: 'load', key, module });
  return thread;
}

function finish(thread: Thread, { id, answers }: FromWorker, state: State): void {
  const job = thread.jobs.get(id);
  if (!job) return;
  thread.jobs.delete(id);
  const left = state.suspects.get(job.zone);
  if (left !== undefined && left > 1) state.suspects.set(job.zone, left - 1);
  else if (left !== undefined) state.suspects.delete(job.zone);
  job.resolve({ ok: true, answers });
  rest(state);
}

/** Without jobs there is nothing to watch. */
function rest(state: State): void {
  if (!state.watchdog || state.slots.some(({ thread }) => thread && thread.jobs.size > 0)) return;
  clearInterval(state.watchdog);
  state.watchdog = undefined;
}

/** Ends a thread. The job it was at fails; the others go to a new one. With no job at hand it cannot even start: all fail. */
function lose(slot: Slot, thread: Thread, failure: 'timeout' | 'error', state: State): void {
  if (slot.thread !== thread) return;
  slot.thread = undefined;
  void thread.worker.terminate();
  const id = Atomics.load(thread.current, CURRENT_JOB) || thread.seen;
  const jobs = [...thread.jobs.values()];
  thread.jobs.clear();
  const culprit = jobs.find((job) => job.id === id);
  if (culprit && failure === 'timeout') state.suspects.set(culprit.zone, PROBATION);
  for (const job of jobs) {
    if (!culprit || job === culprit) job.resolve({ ok: false, failure });
    else dispatch(job, state);
  }
  if (culprit && !state.closed) slot.thread ??= startThread(slot, state);
  rest(state);
}

function look(state: State): void {
  const now = state.clock.monotonic();
  // A process that was itself held up must not take its workers for stuck: a look counts for two at most.
  const step = Math.min(now - state.looked, (2 * state.deadlineMs) / LOOKS);
  state.looked = now;
  for (const slot of state.slots) if (slot.thread) lookAt(slot, slot.thread, step, state);
  rest(state);
}

function lookAt(slot: Slot, thread: Thread, step: number, state: State): void {
  const id = Atomics.load(thread.current, CURRENT_JOB);
  thread.seenFor = id !== 0 && id === thread.seen ? thread.seenFor + step : 0;
  thread.seen = id;
  for (const job of thread.jobs.values()) {
    job.age += step;
    if (job.id === id || job.age < MAX_AGE * state.deadlineMs) continue;
    thread.jobs.delete(job.id);
    job.resolve({ ok: false, failure: 'timeout' });
  }
  if (thread.seenFor >= state.deadlineMs) lose(slot, thread, 'timeout', state);
}

async function close(state: State): Promise<void> {
  state.closed = true;
  const threads = state.slots.flatMap(({ thread }) => (thread ? [thread] : []));
  for (const slot of state.slots) slot.thread = undefined;
  for (const { jobs } of threads) {
    for (const job of jobs.values()) job.resolve({ ok: false, failure: 'unavailable' });
    jobs.clear();
  }
  rest(state);
  await Promise.all(threads.map(({ worker }) => worker.terminate()));
}
