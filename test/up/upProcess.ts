/** `caracal up` as a process of its own, its lines read as they come; ended by pid with whoever started it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePorts } from '../support/ports.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

const alive = new Set<ChildProcess>();
process.once('exit', () => alive.forEach((child) => child.kill('SIGKILL')));

export interface UpEvent {
  readonly event: string;
  readonly [member: string]: unknown;
}

export interface UpProcess {
  readonly port: number;
  /** Resolves with the first event, past or to come, that `wanted` accepts; rejects when the process ends before. */
  event(wanted: (event: UpEvent) => boolean): Promise<UpEvent>;
  events(): readonly UpEvent[];
  stderr(): string;
  /** SIGTERM; resolves with the exit code and the milliseconds it took. */
  stop(): Promise<{ readonly code: number | null; readonly took: number }>;
}

/** A port whose next one is free too. */
async function freePair(): Promise<number> {
  const [port] = await freePorts(1);
  return port! < 65_000 ? port! : freePair();
}

export async function startUp(args: readonly string[]): Promise<UpProcess> {
  const port = await freePair();
  const command = [MAIN, 'up', '--output', 'json', '--port', `${port}`, ...args];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  alive.add(child);
  const ended = once(child, 'exit');
  void ended.then(() => alive.delete(child));
  const events: UpEvent[] = [];
  const waiting = new Set<() => void>();
  let partial = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop()!;
    events.push(...lines.map((line) => JSON.parse(line) as UpEvent));
    for (const look of waiting) look();
  });
  return {
    port,
    events: () => events,
    stderr: () => stderr,
    event: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = events.find(wanted);
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
        void ended.then(() => reject(new Error(`caracal up ended: ${stderr}`)));
      }),
    async stop() {
      const began = performance.now();
      child.kill('SIGTERM');
      const killed = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const [code] = (await ended) as [number | null];
      clearTimeout(killed);
      return { code, took: performance.now() - began };
    },
  };
}
