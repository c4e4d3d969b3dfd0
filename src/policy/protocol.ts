/** What the pool and its workers say to each other. */

export type ToWorker =
  /** Loads a set under a key of ours, which stands for (zone, digest). */
  | { readonly type: 'load'; readonly key: number; readonly module: WebAssembly.Module }
  | { readonly type: 'unload'; readonly key: number }
  | { readonly type: 'evaluate'; readonly id: number; readonly key: number; readonly documents: readonly Documents[] };

/** JSON texts of one evaluation. */
export interface Documents {
  readonly data: string;
  readonly input: string;
}

export interface FromWorker {
  readonly id: number;
  readonly answers: readonly Answer[];
}

/** The printed result set; `ok: false` where the module ended without one. */
export type Answer = { readonly ok: true; readonly json: string } | { readonly ok: false };

export interface WorkerConfig {
  /** Int32: see CURRENT_JOB. */
  readonly current: SharedArrayBuffer;
  readonly memoryPages: number;
}

/** Index in `current`: the id of the job that a worker is at, 0 when it is at none. The watchdog reads it. */
export const CURRENT_JOB = 0;
