#!/usr/bin/env node
/** The sidecar's entry: the only file of the gateway that reads flags, clock and randomness. */
import { randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gatewayCommand } from './command.ts';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}

process.exitCode = await gatewayCommand(process.argv.slice(2), {
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  randomBytes: (size) => randomFillSync(new Uint8Array(size)),
  readFile: (path) => readFile(path, 'utf8'),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  stop: stopping.signal,
});
