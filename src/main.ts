#!/usr/bin/env node
/** The entry of every role and command but the sidecar: reads flags, environment, clock and randomness, and nothing else does. */
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { runProgram } from './cli/program.ts';
import { starters } from './start/starters.ts';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second signal means that the clean way takes too long for whoever sent it.
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runProgram(
  process.argv.slice(2),
  {
    env: process.env,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    randomBytes: (size) => randomBytes(size),
    cwd: process.cwd(),
    home: homedir(),
    pid: process.pid,
    root: dirname(import.meta.dirname),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    stop: stopping.signal,
  },
  starters,
);
// Whatever still holds the process has had its time: nothing waits for it any more.
setTimeout(() => process.exit(), 500).unref();
