/** Addresses and ports in flags. */
import { CommandError } from './runtime.ts';

/** `HOST:PORT`, `[IPv6]:PORT`, or `:PORT` for every address. */
export function parseListen(text: string, flag: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new CommandError(`${flag} "${text}" is no address: write HOST:PORT, for example 127.0.0.1:7400`, 2);
  }
  const host = match[1] ?? match[2]!;
  return { host: host === '' ? '::' : host, port };
}

/** A port whose next one exists too. */
export function parsePort(text: string, flag: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port < 65_535) return port;
  throw new CommandError(`${flag} "${text}" is no port: write a number from 1 to 65534`, 2);
}
