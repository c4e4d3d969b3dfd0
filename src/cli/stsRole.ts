/** `caracal sts`: reads the flags of the STS on a cluster. */
import { resolve } from 'node:path';
import { parsePostgresAddress } from '../store/postgres/address.ts';
import { parseListen } from './listen.ts';
import { findOPA, opaCache } from './opaBinary.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import type { LogLevel, Starters } from './starters.ts';

export interface STSOptions {
  readonly issuer: string;
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly opa?: string;
  readonly logLevel: LogLevel;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly data: string;
  readonly store?: string;
  readonly storeKeys?: string;
  readonly storePasswordFile?: string;
  readonly controller?: string;
  readonly front?: string;
  readonly allowJwksRange: readonly string[];
}

export async function runSTS(options: STSOptions, starters: Starters, runtime: Runtime): Promise<ExitCode> {
  const path = (file: string) => resolve(runtime.cwd, file);
  await starters.sts(
    {
      issuer: parseIssuer(options.issuer),
      kubeconfig: options.kubeconfig,
      namespace: options.namespace,
      listen: parseListen(options.listen, '--listen'),
      tls: parseTLS(options, path),
      data: path(options.data),
      database: parseDatabase(options, path),
      controller: parsePart('controller', options.controller, options.namespace),
      front: parsePart('front', options.front, options.namespace),
      allowJWKSRanges: options.allowJwksRange,
      opa: await findOPA(options.opa, runtime),
      opaCache: opaCache(runtime),
      logLevel: options.logLevel,
    },
    runtime,
  );
  return 0;
}

/** The `iss` of every mandate, byte for byte. */
export function parseIssuer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isBase = url && ['http:', 'https:'].includes(url.protocol) && url.search === '' && url.hash === '';
  if (isBase && !text.endsWith('/')) return text;
  throw new CommandError(
    `--issuer "${text}" is no base URL: write it without a trailing slash, such as https://sts.example.com`,
    2,
  );
}

function parseTLS({ tlsCert, tlsKey }: STSOptions, path: (file: string) => string) {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new CommandError('--tls-cert and --tls-key go together: give both', 2);
  }
  return { certFile: path(tlsCert), keyFile: path(tlsKey) };
}

/** Undefined: the embedded store. The URL is in no message, since it may hold a password. */
function parseDatabase({ store, storeKeys, storePasswordFile }: STSOptions, path: (file: string) => string) {
  if (store === undefined) {
    if (storeKeys === undefined && storePasswordFile === undefined) return undefined;
    throw new CommandError('--store-keys and --store-password-file go with --store: name the database as well', 2);
  }
  if (storeKeys === undefined) {
    throw new CommandError('--store needs --store-keys: the folder of its keys, which are never in the database', 2);
  }
  const passwordFile = storePasswordFile === undefined ? undefined : path(storePasswordFile);
  return { address: parseStore(store), keys: path(storeKeys), passwordFile };
}

function parseStore(url: string) {
  try {
    return parsePostgresAddress(url);
  } catch (error) {
    throw new CommandError(`--store ${error instanceof Error ? error.message : 'is no URL'}`, 2, { cause: error });
  }
}

/** The ServiceAccount of install/rbac.yaml unless told otherwise. */
function parsePart(part: 'controller' | 'front', named: string | undefined, namespace: string) {
  if (named === undefined) return { namespace, name: `caracal-${part}` };
  const [first, second, ...rest] = named.split('/');
  if (first && second && rest.length === 0) return { namespace: first, name: second };
  throw new CommandError(`--${part} "${named}" is no ServiceAccount: write NAMESPACE/NAME`, 2);
}
