/** What the engine and its workers say to each other. */

export type ToWorker =
  /** Loads a set under a key of ours, which stands for (zone, digest). */
  | { readonly type: 'load'; readonly key: number; readonly wasm: Uint8Array<ArrayBuffer> }
  | { readonly type: 'unload'; readonly key: number }
  | { readonly type: 'evaluate'; readonly id: number; readonly key: number; readonly documents: readonly Documents[] };

/** JSON texts of one evaluation. */
export interface Documents {
  readonly data: string;
  readonly input: string;
}

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'evaluated'; readonly id: number; readonly answers: readonly Answer[] };

/** The printed result set, or why there is none. */
export type Answer = { readonly ok: true; readonly json: string } | { readonly ok: false; readonly message: string };

/** Shared Int32: the id of the job that a worker is at, 0 when it is at none. The engine's watchdog reads it. */
export const CURRENT_JOB = 0;
