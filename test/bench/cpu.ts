/** CPU time and memory of a process, as the kernel counts them. */
import { readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

const TICKS_PER_SECOND = 100;

/** User plus system time of all threads of a process, in milliseconds (proc(5), fields 14 and 15; 10 ms steps). */
export function cpuMilliseconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
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
