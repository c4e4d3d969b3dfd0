/** `caracal serviceaccount-token`: a pod-bound ServiceAccount token from the data folder's own issuer. */
import { resolve } from 'node:path';
import { parseDuration } from '../api/duration.ts';
import { issueServiceAccountToken, openWorkloadIssuer } from '../up/workloads.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';

export interface ServiceAccountTokenOptions {
  readonly audience: string;
  readonly data: string;
  readonly pod?: string;
  readonly ttl: string;
}

export async function runServiceAccountToken(
  account: string,
  options: ServiceAccountTokenOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  runtime.out(`${await makeServiceAccountToken(account, options, runtime)}\n`);
  return 0;
}

/** `account` is `<namespace>/<name>`. */
export async function makeServiceAccountToken(
  account: string,
  { audience, data, pod, ttl }: ServiceAccountTokenOptions,
  { cwd, clock, randomBytes }: Pick<Runtime, 'cwd' | 'clock' | 'randomBytes'>,
): Promise<string> {
  const { namespace, name } = parseAccount(account);
  if (audience === '') throw new CommandError('--audience is empty: write ISSUER/zones/ZONE', 2);
  const ttlSeconds = parseSeconds(ttl, '--ttl');
  const issuer = await openWorkloadIssuer(resolve(cwd, data), randomBytes);
  const request = { namespace, serviceAccount: name, audience, ttlSeconds, ...(pod === undefined ? {} : { pod }) };
  return issueServiceAccountToken(issuer, request, { clock, randomBytes });
}

function parseAccount(account: string): { namespace: string; name: string } {
  const match = /^([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\/([a-z0-9](?:[-.a-z0-9]*[a-z0-9])?)$/.exec(account);
  if (!match) {
    throw new CommandError(`"${account}" is not a ServiceAccount: write NAMESPACE/NAME, for example shop/assistant`, 2);
  }
  return { namespace: match[1]!, name: match[2]! };
}

/** A Go-style duration of whole seconds, or a plain number of seconds. */
export function parseSeconds(text: string, flag: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  let milliseconds: number;
  try {
    milliseconds = parseDuration(text);
  } catch {
    throw new CommandError(`${flag} "${text}" is no duration: write seconds or, for example, 10m`, 2);
  }
  if (milliseconds < 1000) throw new CommandError(`${flag} "${text}" is shorter than one second`, 2);
  return Math.floor(milliseconds / 1000);
}
