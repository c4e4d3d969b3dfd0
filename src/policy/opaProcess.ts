/** Runs the pinned opa as a child process within bounds: time, CPU, memory and output. */
import { execFile } from 'node:child_process';

/** Seconds of CPU, KiB of address space; macOS knows no such limit of memory, so a refused ulimit is passed over. */
const LIMITED = 'ulimit -t 20 2>/dev/null; ulimit -v 6291456 2>/dev/null; exec "$0" "$@"';
const TIMEOUT_MS = 15_000;
const MAX_OUTPUT = 64 << 20;

export interface ProcessResult {
  readonly ok: boolean;
  /** Ended by us: time, CPU, memory or output went beyond the bounds. */
  readonly exceeded: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** At most two at a time: they are CPU-bound, and nobody's policy may starve the rest of the process. */
const MAX_PROCESSES = 2;

export type RunOPA = (args: readonly string[], cwd: string, input?: string) => Promise<ProcessResult>;

/** A runner of the binary at `path`, an absolute path. Rejects only where the binary cannot be started. */
export function createOPARunner(path: string): RunOPA {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (args, cwd, input) => {
    if (running >= MAX_PROCESSES) await new Promise<void>((go) => waiting.push(go));
    else running += 1;
    try {
      return await execute(path, args, cwd, input);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

function execute(path: string, args: readonly string[], cwd: string, input?: string): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      env: { HOME: cwd, GOMEMLIMIT: '1GiB', GOMAXPROCS: '2' },
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT,
    } as const;
    const child = execFile('/bin/sh', ['-c', LIMITED, path, ...args], options, (error, stdout, stderr) => {
      const isMissing = error?.code === 126 || error?.code === 127;
      if (error && (isMissing || typeof error.code === 'string') && !isTooMuch(error)) {
        reject(new Error(`opa at ${path} cannot be run: ${stderr.trim() || error.message}`));
        return;
      }
      const exceeded = error !== null && (isTooMuch(error) || error.signal != null || isOutOfMemory(stderr));
      resolve({ ok: error === null, exceeded, stdout, stderr });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

function isTooMuch(error: { readonly code?: string | number | null; readonly killed?: boolean }): boolean {
  return error.killed === true || error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER';
}

/** Go's runtime ends with a trace where the limit of memory or of its stack is reached. */
function isOutOfMemory(stderr: string): boolean {
  return /^(fatal error|runtime: )/m.test(stderr);
}
