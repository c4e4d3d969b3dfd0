/** The command line of the gateway: text → configuration, or a message that names the flag and the fix. */
import { parseArgs } from 'node:util';
import { checkRanges } from '../tokens/addresses.ts';
import type { Address } from './gateway.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

/** Also the source of the help. */
export const FLAGS = {
  protect: {
    type: 'string',
    multiple: true,
    value: 'NAMESPACE/RESOURCE=LISTEN:TARGET',
    help: 'enforce a Resource in front of an app, such as shop/orders=127.0.0.1:8080:127.0.0.1:9000; repeat for more',
  },
  edge: { type: 'string', value: 'LISTEN', help: 'reach Resources by their upstream, chosen by X-Caracal-Resource' },
  'token-file': {
    type: 'string',
    multiple: true,
    value: 'FILE',
    help: "the gateway's projected token, audience ISSUER/zones/ZONE/gateways; read again when it is used; repeat for more zones at an edge",
  },
  sts: { type: 'string', value: 'URL', help: 'where the STS is reached (default: its issuer)' },
  'sts-ca': { type: 'string', value: 'FILE', help: 'PEM certificates to trust for the STS' },
  admin: { type: 'string', value: 'LISTEN', help: 'where /health, /ready and /metrics are' },
  'tls-cert': { type: 'string', value: 'FILE', help: 'PEM certificate chain: listeners speak TLS' },
  'tls-key': { type: 'string', value: 'FILE', help: 'PEM key of the certificate' },
  'public-url': {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: 'scheme, host and port at which clients reach it, which DPoP proofs must name; repeat for more (default: what a request says)',
  },
  'allow-upstream-range': {
    type: 'string',
    multiple: true,
    value: 'CIDR',
    help: 'address range, private too, that an edge may dial; repeat for more',
  },
  drain: { type: 'string', value: 'SECONDS', help: 'what requests under way get when the gateway stops (default: 10)' },
  spool: {
    type: 'string',
    value: 'DIR',
    help: 'a folder of its own where records of requests wait for the STS, up to 64 MiB for each zone; without it they wait in memory, up to 4 MiB, and are lost with the process',
  },
  'log-level': { type: 'string', value: 'LEVEL', help: `${LOG_LEVELS.join(', ')} (default: info)` },
  help: { type: 'boolean', value: '', help: 'this text' },
} as const;

export class FlagError extends Error {
  override readonly name = 'FlagError';
}

export interface ProtectFlag {
  readonly resource: string;
  readonly listen: Address;
  readonly target: string;
}

export interface Flags {
  readonly help: boolean;
  readonly protect: readonly ProtectFlag[];
  readonly edge: Address | undefined;
  readonly admin: Address | undefined;
  readonly tokenFiles: readonly string[];
  readonly sts: string | undefined;
  readonly stsCA: string | undefined;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly allowUpstreamRanges: readonly string[];
  readonly publicOrigins: readonly string[];
  readonly drainMs: number;
  readonly spool: string | undefined;
  readonly logLevel: LogLevel;
}

/** Throws FlagError. */
export function parseFlags(argv: readonly string[]): Flags {
  const values = readValues(argv);
  const flags: Flags = {
    help: values.help === true,
    protect: (values.protect ?? []).map(parseProtect),
    edge: values.edge === undefined ? undefined : parseAddress(values.edge, '--edge'),
    admin: values.admin === undefined ? undefined : parseAddress(values.admin, '--admin'),
    tokenFiles: values['token-file'] ?? [],
    sts: values.sts === undefined ? undefined : parseURL(values.sts),
    stsCA: values['sts-ca'],
    tls: parseTLS(values['tls-cert'], values['tls-key']),
    allowUpstreamRanges: parseRanges(values['allow-upstream-range'] ?? []),
    publicOrigins: (values['public-url'] ?? []).map(parseOrigin),
    drainMs: parseSeconds(values.drain ?? '10'),
    spool: values.spool,
    logLevel: parseLevel(values['log-level'] ?? 'info'),
  };
  if (!flags.help) checkComplete(flags);
  return flags;
}

function readValues(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new FlagError(explain(error instanceof Error ? error.message : String(error)));
  }
}

function explain(message: string): string {
  const unknown = /Unknown option '(--?[^']+)'/.exec(message)?.[1];
  if (unknown === undefined) return message;
  const meant = nearest(unknown.replace(/^-+/, ''), Object.keys(FLAGS));
  return `unknown flag ${unknown}${meant === undefined ? '' : `: did you mean --${meant}?`}`;
}

/** The name that differs in the fewest letters, at most a third of them. */
function nearest(text: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: distanceOf(text, name) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(2, best.name.length / 3) ? best.name : undefined;
}

/** Levenshtein's. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function checkComplete({ protect, edge, tokenFiles }: Flags): void {
  if (protect.length === 0 && !edge)
    throw new FlagError('nothing to do: give --protect NAMESPACE/RESOURCE=LISTEN:TARGET or --edge LISTEN');
  if (tokenFiles.length === 0) throw new FlagError("--token-file is required: the gateway's projected token");
  if (protect.length > 0 && tokenFiles.length > 1)
    throw new FlagError('--protect serves one zone: give one --token-file');
}

function parseProtect(text: string): ProtectFlag {
  const [, resource, rest] = /^([a-z0-9-]+\/[a-z0-9-]+)=(.+)$/.exec(text) ?? [];
  const split = /^((?:\[[0-9A-Fa-f:.]+\]|[^:[\]]*):[0-9]+):((?:\[[0-9A-Fa-f:.]+\]|[^:[\]]+):[0-9]+)$/.exec(rest ?? '');
  if (resource === undefined || !split) {
    throw new FlagError(
      `--protect "${text}" must be NAMESPACE/RESOURCE=LISTEN:TARGET, such as shop/orders=127.0.0.1:8080:127.0.0.1:9000`,
    );
  }
  parseAddress(split[2]!, '--protect');
  return { resource, listen: parseAddress(split[1]!, '--protect'), target: split[2]! };
}

/** `host:port`, `[v6]:port` or `:port` for every address. */
function parseAddress(text: string, flag: string): Address {
  const [, host, port] = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]*):([0-9]{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65535)
    throw new FlagError(`${flag} "${text}" must be HOST:PORT, such as 127.0.0.1:8080`);
  return { host: host === '' ? '::' : host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function parseURL(text: string): string {
  if (/^https?:\/\/[^/?#@]+(\/[^?#]*)?$/.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '');
  throw new FlagError(`--sts "${text}" must be an http or https URL`);
}

function parseOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : '';
  if (/^https?:/.test(origin) && (text === origin || text === `${origin}/`)) return origin;
  throw new FlagError(
    `--public-url "${text}" must be scheme, host and port of an http or https URL, in lower case, such as https://orders.example`,
  );
}

function parseTLS(certFile: string | undefined, keyFile: string | undefined): Flags['tls'] {
  if ((certFile === undefined) !== (keyFile === undefined)) throw new FlagError('--tls-cert and --tls-key go together');
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}

function parseRanges(ranges: readonly string[]): readonly string[] {
  try {
    checkRanges(ranges);
    return ranges;
  } catch (error) {
    throw new FlagError(`--allow-upstream-range: ${error instanceof Error ? error.message : ''}`);
  }
}

function parseSeconds(text: string): number {
  if (/^[0-9]{1,5}$/.test(text)) return Number(text) * 1000;
  throw new FlagError(`--drain "${text}" must be a number of seconds`);
}

function parseLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level) return level;
  throw new FlagError(`--log-level "${text}" must be one of ${LOG_LEVELS.join(', ')}`);
}
