/** `caracal front`: reads the flags of the face of the aggregated runtime API. */
import { resolve } from 'node:path';
import { parseListen } from './listen.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import type { LogLevel, Starters } from './starters.ts';

export interface FrontOptions {
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly sts: readonly string[];
  readonly stsService: string;
  readonly stsCa?: string;
  readonly stsTokenFile: string;
  readonly logLevel: LogLevel;
}

export async function runFront(options: FrontOptions, starters: Starters, runtime: Runtime): Promise<ExitCode> {
  const path = (file: string) => resolve(runtime.cwd, file);
  const { tlsCert, tlsKey, stsCa } = options;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new CommandError('--tls-cert and --tls-key are required: API servers speak TLS only', 2);
  await starters.front(
    {
      kubeconfig: options.kubeconfig,
      namespace: options.namespace,
      listen: parseListen(options.listen, '--listen'),
      tls: { certFile: path(tlsCert), keyFile: path(tlsKey) },
      sts: options.sts,
      stsService: options.stsService,
      stsCA: stsCa === undefined ? undefined : path(stsCa),
      stsTokenFile: path(options.stsTokenFile),
      logLevel: options.logLevel,
    },
    runtime,
  );
  return 0;
}
