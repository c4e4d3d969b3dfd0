/** `caracal controller`: reads the flags of the controller on a cluster. */
import { resolve } from 'node:path';
import { parseListen } from './listen.ts';
import { findOPA, opaCache } from './opaBinary.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import type { LogLevel, Starters } from './starters.ts';
import { parseIssuer } from './stsRole.ts';

export interface ControllerOptions {
  readonly issuer: string;
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly opa?: string;
  readonly logLevel: LogLevel;
  readonly listen: string;
  readonly sts: readonly string[];
  readonly stsService: string;
  readonly stsCa?: string;
  readonly stsTokenFile: string;
}

export async function runController(
  options: ControllerOptions,
  starters: Starters,
  runtime: Runtime,
): Promise<ExitCode> {
  parseListen(options.listen, '--listen');
  await starters.controller(
    {
      issuer: parseIssuer(options.issuer),
      kubeconfig: options.kubeconfig,
      namespace: options.namespace,
      listen: options.listen,
      sts: options.sts,
      stsService: options.stsService,
      stsCA: options.stsCa === undefined ? undefined : resolve(runtime.cwd, options.stsCa),
      stsTokenFile: resolve(runtime.cwd, options.stsTokenFile),
      host: runtime.env.HOSTNAME ?? 'caracal',
      opa: await findOPA(options.opa, runtime),
      opaCache: opaCache(runtime),
      logLevel: options.logLevel,
    },
    runtime,
  );
  return 0;
}
