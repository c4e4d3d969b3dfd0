/** The gateway by hand: hands the command line to the gateway's own command. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Runtime } from '../cli/runtime.ts';
import { gatewayCommand } from '../gateway/command.ts';

export function startGateway(args: readonly string[], runtime: Runtime): Promise<number> {
  const { clock, cwd, err, out, randomBytes, stop } = runtime;
  return gatewayCommand(args, {
    clock,
    randomBytes,
    readFile: (path) => readFile(resolve(cwd, path), 'utf8'),
    out,
    err,
    stop,
  });
}
