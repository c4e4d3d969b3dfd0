/** `caracal gateway`: one gateway by hand, or in a pod. */
import type { Clock, RandomBytes } from '../authority/clock.ts';
import { parseCompactJWT } from '../tokens/parse.ts';
import { FlagError, FLAGS, parseFlags, type Flags } from './flags.ts';
import { createGateway, type GatewayConfig } from './gateway.ts';
import { createGatewayLog } from './log.ts';
import type { GatewayZoneConfig } from './zone.ts';

export interface CommandIO {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readFile(path: string): Promise<string>;
  out(text: string): void;
  err(text: string): void;
  readonly stop: AbortSignal;
}

/** Runs until it is asked to stop; resolves with the exit code. */
export async function gatewayCommand(argv: readonly string[], io: CommandIO): Promise<number> {
  try {
    const flags = parseFlags(argv);
    if (flags.help) {
      io.out(gatewayHelp());
      return 0;
    }
    await run(flags, io);
    return 0;
  } catch (error) {
    io.err(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof FlagError) io.err('(see caracal gateway --help)\n');
    return error instanceof FlagError ? 2 : 1;
  }
}

export function gatewayHelp(): string {
  const lines = Object.entries(FLAGS).map(
    ([name, { value, help }]) => `  ${`--${name} ${value}`.trim()}\n      ${help}`,
  );
  return `Usage: caracal gateway --token-file FILE --protect NAMESPACE/RESOURCE=LISTEN:TARGET

Verify mandates in front of an app, or of an upstream, and let exactly the approved requests through.

Options:
${lines.join('\n')}

Examples:
  $ caracal gateway --token-file token --protect quickstart/orders=127.0.0.1:8080:127.0.0.1:9000
  $ caracal gateway --token-file token --edge 127.0.0.1:8080
`;
}

async function run(flags: Flags, io: CommandIO): Promise<void> {
  const config = await toConfig(flags, io);
  const log = createGatewayLog(flags.logLevel, () => io.clock.now(), io.err);
  const gateway = createGateway(config, { clock: io.clock, randomBytes: io.randomBytes, log });
  await gateway.start().catch((error: unknown) => {
    throw nameFlag(error, flags);
  });
  await untilAborted(io.stop);
  await gateway.close();
}

/** A listener that cannot be had is told by the flag that asks for it. */
function nameFlag(error: unknown, { protect, edge, admin }: Flags): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || error.syscall !== 'listen') return error;
  const port = 'port' in error ? error.port : undefined;
  const listeners = [
    ...protect.map(({ listen }) => ({ flag: '--protect', listen })),
    ...(edge ? [{ flag: '--edge', listen: edge }] : []),
    ...(admin ? [{ flag: '--admin', listen: admin }] : []),
  ];
  const flag =
    listeners.find(({ listen }) => listen.port === port)?.flag ?? listeners.map((one) => one.flag).join(', ');
  return new Error(`${flag}: ${error.message}: choose another address or port`, { cause: error });
}

async function toConfig(flags: Flags, io: CommandIO): Promise<GatewayConfig> {
  const ca = flags.stsCA === undefined ? undefined : await readNamed('--sts-ca', flags.stsCA, io);
  const zones = await Promise.all(flags.tokenFiles.map((file) => toZone(file, flags, ca, io)));
  const tls = flags.tls && {
    cert: await readNamed('--tls-cert', flags.tls.certFile, io),
    key: await readNamed('--tls-key', flags.tls.keyFile, io),
  };
  return {
    zones,
    protect: flags.protect.map((protection) => ({ ...protection, zoneID: zones[0]!.zoneID })),
    ...(flags.edge && { edge: flags.edge }),
    ...(flags.admin && { admin: flags.admin }),
    ...(tls && { tls }),
    allowUpstreamRanges: flags.allowUpstreamRanges,
    publicOrigins: flags.publicOrigins,
    drainMs: flags.drainMs,
    ...(flags.spool !== undefined && { spool: flags.spool }),
  };
}

async function readNamed(flag: string, file: string, { readFile }: CommandIO): Promise<string> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new Error(`${flag} ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** The token is for exactly one audience, `{issuer}/zones/{zone}/gateways`: what it says is what the operator mounted. */
async function toZone(file: string, { sts }: Flags, ca: string | undefined, io: CommandIO): Promise<GatewayZoneConfig> {
  const token = () => readNamed('--token-file', file, io);
  const audience = audienceOf(await token());
  const [, issuer, zoneID] = /^(https?:\/\/.+)\/zones\/([a-z0-9.-]+)\/gateways$/.exec(audience ?? '') ?? [];
  if (issuer === undefined || zoneID === undefined) {
    throw new Error(`--token-file ${file} is no token for a gateway: its audience must be ISSUER/zones/ZONE/gateways`);
  }
  return { issuer, zoneID, url: sts ?? issuer, token, ...(ca !== undefined && { ca }) };
}

function audienceOf(token: string): string | undefined {
  const parsed = parseCompactJWT(token.trim(), { maxBytes: 16 * 1024 });
  const audience: unknown = parsed.ok ? [parsed.payload['aud']].flat()[0] : undefined;
  return typeof audience === 'string' ? audience : undefined;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
