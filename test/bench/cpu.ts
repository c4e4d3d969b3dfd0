/** CPU time and memory of a process, as the kernel counts them. */
import { readdirSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

/** Time on a core of all threads that live now, in milliseconds (the scheduler's own count, which has no 10 ms steps). */
export function cpuMilliseconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
}

/** Resident memory in MiB. */
export function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

/** Keeps a process, with all its threads, on one core; on a machine with one core, or without taskset, it stays where it is. */
export function pin(pid: number, core: number): void {
  spawnSync('taskset', ['-a', '-p', '-c', `${core}`, `${pid}`], { stdio: 'ignore' });
}
