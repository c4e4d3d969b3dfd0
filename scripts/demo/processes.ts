/** Child processes of the demo: ours, started with the pinned Node and ended by pid. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const MAIN = ['--disable-warning=ExperimentalWarning', join(root, 'src/main.ts')];

export interface RunningProcess {
  readonly pid: number;
  /** Resolves with the first line of standard output that `wanted` accepts; rejects when the process ends before. */
  line(wanted: (line: string) => boolean): Promise<string>;
  stop(): Promise<void>;
}

/** Starts `caracal …`; what it says on standard error is shown only if it dies. */
export function startCaracal(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProcess {
  const child = spawn(process.execPath, [...MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  return watch(child, `caracal ${args[0]}`);
}

/** The sidecar as it ships: one bundled file. */
export function startGateway(args: readonly string[]): RunningProcess {
  const child = spawn(process.execPath, [join(root, 'dist/gateway.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return watch(child, 'gateway');
}

export function watch(child: ChildProcess, name: string): RunningProcess {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let errors = '';
  let ended = false;
  let partial = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (partial + chunk).split('\n');
    partial = parts.pop() ?? '';
    lines.push(...parts);
    for (const wake of waiting) wake();
  });
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-8000);
  });
  const exit = new Promise<void>((resolve) => {
    child.on('exit', () => {
      ended = true;
      for (const wake of waiting) wake();
      resolve();
    });
  });
  return {
    pid: child.pid!,
    line: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find(wanted);
          if (found === undefined && !ended) return;
          waiting.delete(look);
          if (found === undefined) reject(new Error(`${name} ended early:\n${lines.join('\n')}\n${errors}`));
          else resolve(found);
        };
        waiting.add(look);
        look();
      }),
    stop: async () => {
      if (ended) return;
      child.kill('SIGTERM');
      const killed = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exit;
      clearTimeout(killed);
    },
  };
}

/** Runs `caracal …` to its end and returns what it printed. */
export async function caracal(args: readonly string[]): Promise<string> {
  const { status, output, errors } = await runCaracal(args);
  if (status !== 0) throw new Error(`caracal ${args.join(' ')} ended with ${status}:\n${errors}`);
  return output.trim();
}

/** Runs `caracal …` to its end, whatever that is. */
export async function runCaracal(
  args: readonly string[],
): Promise<{ readonly status: number | null; readonly output: string; readonly errors: string }> {
  const child = spawn(process.execPath, [...MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const status = await new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  return { status, output, errors };
}

/** Polls until `probe` answers true; the demo's only waiting, bounded. */
export async function until(what: string, probe: () => Promise<boolean>, limit = 30_000): Promise<number> {
  const started = performance.now();
  while (performance.now() - started < limit) {
    if (await probe()) return performance.now() - started;
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  throw new Error(`${what} did not happen within ${limit / 1000} s`);
}
