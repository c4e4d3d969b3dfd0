/** What a command gets from the process it runs in; only main.ts makes a real one. */
import type { Clock, RandomBytes } from '../authority/clock.ts';

export interface Runtime {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly cwd: string;
  readonly home: string;
  readonly pid: number;
  /** The folder that holds package.json, policies/ and tools/. */
  readonly root: string;
  /** Writes to standard output, as is. */
  out(text: string): void;
  /** Writes to standard error, as is. */
  err(text: string): void;
  /** Aborts when the process is asked to end. */
  readonly stop: AbortSignal;
}

/** 0: done. 1: refused, wrong or failed. 2: called wrongly. */
export type ExitCode = 0 | 1 | 2;

/** Ends a command with a message for people; the message names the flag or field and the fix. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Resolves when the process is asked to end. */
export function untilStopped({ stop }: Pick<Runtime, 'stop'>): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
}
