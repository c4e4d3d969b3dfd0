/** Child processes of one test run: started with a log file, ended by pid, never outliving the process that started them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface OwnedProcess {
  readonly pid: number;
  /** Whether it has not ended yet. */
  running(): boolean;
  /** The last lines of what it wrote. */
  log(): string;
  /** SIGTERM, and SIGKILL after `graceMs`. Resolves when it has ended. */
  stop(graceMs: number): Promise<void>;
}

const alive = new Set<ChildProcess>();
process.once('exit', () => alive.forEach((child) => child.kill('SIGKILL')));

/** Starts `command`; its output goes to the file `log`. */
export function startProcess(command: string, args: readonly string[], log: string): OwnedProcess {
  const output = openSync(log, 'a');
  const child = spawn(command, args, { stdio: ['ignore', output, output] });
  closeSync(output);
  if (child.pid === undefined) throw new Error(`${command} cannot be started`);
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  const running = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid,
    running,
    log: () => readFileSync(log, 'utf8').slice(-4000),
    stop: (graceMs) => stop(child, running, graceMs),
  };
}

async function stop(child: ChildProcess, running: () => boolean, graceMs: number): Promise<void> {
  if (!running()) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

/** Polls `condition` until it holds; throws what `failure` says after `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  failure: () => string,
  timeoutMs = 30_000,
  everyMs = 50,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(failure());
    await delay(everyMs);
  }
}
