/** Where a PostgreSQL is, from its URL: with TLS and a verified name, unless it is on this machine. */
import { isIP } from 'node:net';

export interface PostgresAddress {
  /** A host, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly tls: boolean;
  /** PEM file of what signed the server's certificate; undefined: what Node trusts. */
  readonly caFile: string | undefined;
}

const PARAMETERS = ['sslmode', 'sslrootcert', 'host'];
const FORM = 'postgres://USER@HOST:PORT/DATABASE';

/** Throws with a message that says what to write instead, and never repeats the URL, which may hold a password. */
export function parsePostgresAddress(text: string): PostgresAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['postgres:', 'postgresql:'].includes(url.protocol)) throw new Error(`is no URL of the form ${FORM}`);
  if (url.password !== '') throw new Error('holds a password, which others may see: give it in a file or PGPASSWORD');
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) throw new Error(`knows no parameter ${unknown}: one of ${PARAMETERS.join(', ')}`);
  const [user, database] = [url.username, url.pathname.slice(1)].map(decodeURIComponent);
  const host = url.searchParams.get('host') ?? url.hostname.replace(/^\[|\]$/g, '');
  if (!user || !database || host === '') throw new Error(`names no user, host or database: write ${FORM}`);
  const caFile = url.searchParams.get('sslrootcert') ?? undefined;
  return { host, port: Number(url.port || 5432), user, database, tls: wantsTLS(url, host), caFile };
}

function wantsTLS(url: URL, host: string): boolean {
  const mode = url.searchParams.get('sslmode') ?? (isLocal(host) ? 'disable' : 'verify-full');
  if (mode === 'verify-full') return true;
  if (mode !== 'disable') throw new Error(`has sslmode ${mode}: verify-full, or disable on this machine`);
  if (!isLocal(host)) throw new Error('disables TLS to another machine: leave sslmode out, or write verify-full');
  return false;
}

function isLocal(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost') return true;
  return isIP(host) === 4 ? host.startsWith('127.') : host === '::1';
}
