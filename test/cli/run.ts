/** Runs a command line in this process with a runtime whose outputs are kept. */
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.ts';
import type { ExitCode, Runtime } from '../../src/cli/runtime.ts';
import { starters } from '../../src/start/starters.ts';

export const ROOT = join(import.meta.dirname, '../..');

export interface RunResult {
  readonly exit: ExitCode;
  readonly out: string;
  readonly err: string;
}

export async function run(args: readonly string[], given: Partial<Runtime> = {}): Promise<RunResult> {
  let out = '';
  let err = '';
  const runtime: Runtime = {
    env: process.env,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    randomBytes,
    cwd: process.cwd(),
    home: homedir(),
    pid: process.pid,
    root: ROOT,
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    stop: new AbortController().signal,
    ...given,
  };
  const exit = await runProgram(args, runtime, starters);
  return { exit, out, err };
}
