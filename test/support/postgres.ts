/** A real PostgreSQL on loopback with fsync on, owned by one test run: see docs of `startPostgres`. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { localhostCertificate, localhostKey } from '../tokens/localhostCertificate.ts';
import { freePort } from './ports.ts';
import { until } from './processes.ts';

export interface PostgresServer {
  readonly port: number;
  /** Of the superuser `caracal`. */
  readonly password: string;
  /** `postgres://caracal@127.0.0.1:<port>/<database>`. */
  url(database: string): string;
  /** A new, empty one; its name. */
  createDatabase(): Promise<string>;
  /** As the superuser, past every trigger; rows of the last statement. */
  query(database: string, text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** As an operator does it: `pg_dump` of the schema `caracal`, and what it says run in another database. */
  dumpInto(from: string, to: string): void;
  /** Signals to the server: `SIGQUIT` ends it at once, as a crash does; `SIGINT` in order. Resolves when it has ended. */
  stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  /** While it is stopped: keeps its files as they are now, and puts back what was kept. */
  keepFiles(): void;
  putBackFiles(): void;
  /** Every process of it, as a machine that stands still. */
  pause(): void;
  resume(): void;
}

let running: Promise<PostgresServer> | undefined;

/** The one of this process, started at its first use and ended with the process. */
export function sharedPostgres(): Promise<PostgresServer> {
  running ??= startPostgres();
  return running;
}

/**
 * Makes a cluster in a temporary folder and starts it on a free loopback port. It refuses to run as root: then it runs
 * as the user `postgres`, or `nobody`. It speaks TLS too, as `localhost`. Ended, and its folder removed, with this process.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const bin = findBinaries();
  const owner = findOwner();
  const folder = mkdtempSync(join(tmpdir(), 'caracal-postgres-'));
  const [data, log] = [join(folder, 'data'), join(folder, 'log')];
  const password = randomBytes(16).toString('hex');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  const tls = [
    [join(folder, 'tls.crt'), localhostCertificate],
    [join(folder, 'tls.key'), localhostKey],
  ] as const;
  for (const [path, text] of tls) writeFileSync(path, text, { mode: 0o600 });
  if (owner)
    for (const path of [folder, passwordFile, ...tls.map(([file]) => file)]) chownSync(path, owner.uid, owner.gid);
  const locale = ['--encoding=UTF8', '--locale=C'];
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'caracal', '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync', ...locale],
    { ...owner, cwd: folder, stdio: 'ignore' },
  );
  const server = createServer({ bin, data, log, folder, owner, port: await freePort(), password });
  process.once('exit', () => {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await server.start();
  return server;
}

interface Place {
  readonly bin: string;
  readonly data: string;
  readonly log: string;
  readonly folder: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly port: number;
  readonly password: string;
}

function createServer(place: Place): PostgresServer & { kill(): void } {
  const { port, password, folder, data } = place;
  const kept = join(folder, 'kept');
  let child: ChildProcess | undefined;
  let count = 0;
  const query = async (database: string, text: string) => {
    const client = new Client({ host: '127.0.0.1', port, user: 'caracal', password, database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.query('SET session_replication_role = replica; SET search_path = caracal, public');
      const result = await client.query(text);
      return (Array.isArray(result) ? result.at(-1) : result).rows;
    } finally {
      await client.end();
    }
  };
  const isUp = () =>
    query('postgres', 'SELECT 1').then(
      () => true,
      () => false,
    );
  const processes = () => [child!.pid!, ...childrenOf(child!.pid!)];
  return {
    ...{ port, password, query },
    url: (database) => `postgres://caracal@127.0.0.1:${port}/${database}`,
    async createDatabase() {
      const name = `test${(count += 1)}`;
      await query('postgres', `CREATE DATABASE ${name}`);
      return name;
    },
    dumpInto(from, to) {
      const access = ['-h', '127.0.0.1', '-p', String(port), '-U', 'caracal'];
      const env = { ...process.env, PGPASSWORD: password };
      const input = execFileSync('pg_dump', [...access, '-n', 'caracal', from], { env });
      execFileSync('psql', [...access, '-q', '-v', 'ON_ERROR_STOP=1', to], { env, input });
    },
    async start() {
      // A server that was killed leaves processes behind, which end a moment later.
      await until(
        async () => {
          if (!child || child.exitCode !== null || child.signalCode !== null) child = spawnServer(place);
          return isUp();
        },
        () => `PostgreSQL did not start: ${readFileSync(place.log, 'utf8').slice(-2000)}`,
        60_000,
      );
    },
    async stop(signal) {
      const ended = once(child!, 'exit');
      child!.kill(signal);
      await ended;
    },
    keepFiles() {
      rmSync(kept, { recursive: true, force: true });
      execFileSync('cp', ['-a', data, kept]);
    },
    putBackFiles() {
      rmSync(data, { recursive: true });
      execFileSync('cp', ['-a', kept, data]);
    },
    pause: () => processes().forEach((pid) => process.kill(pid, 'SIGSTOP')),
    resume: () => processes().forEach((pid) => process.kill(pid, 'SIGCONT')),
    kill() {
      if (!child?.pid || child.exitCode !== null) return;
      for (const pid of processes()) tryKill(pid);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function spawnServer({ bin, data, log, folder, owner, port }: Place): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    fsync: 'on',
    ssl: 'on',
    ssl_cert_file: join(folder, 'tls.crt'),
    ssl_key_file: join(folder, 'tls.key'),
    shared_buffers: '32MB',
    max_connections: 60,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const output = openSync(log, 'a');
  return spawn(join(bin, 'postgres'), ['-D', data, ...flags], {
    ...owner,
    cwd: folder,
    stdio: ['ignore', output, output],
  });
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The folder of `postgres` and `initdb`. */
function findBinaries(): string {
  const folder = process.env['CARACAL_POSTGRES'];
  if (folder === undefined) throw new Error('CARACAL_POSTGRES names no PostgreSQL: `npm test` finds or installs it');
  return folder;
}

/** Undefined where we are not root. */
function findOwner(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = ['postgres', 'nobody'].map((name) => users.find(([known]) => known === name)).find(Boolean);
  if (!user) throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}
