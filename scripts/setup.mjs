/** Brings a fresh clone to the point where any command can run: packages, the pinned Node, and a line about what takes long. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Says what is going on, on standard error, so that standard output stays the command's own. */
export function say(message) {
  process.stderr.write(`caracal: ${message}\n`);
}

/** The Node that package.json pins, as a path; the machine's own Node only starts it. */
export function pinnedNode() {
  const candidates = [
    `node-${process.platform}-${process.arch}/bin/node`,
    `node-bin-${process.platform}-${process.arch}/bin/node`,
  ].map((path) => join(ROOT, 'node_modules', path));
  const found = candidates.find((path) => existsSync(path));
  if (!found) {
    throw new Error(
      `no pinned Node for ${process.platform}-${process.arch} in node_modules; ` +
        'package.json lists the platforms under optionalDependencies',
    );
  }
  return found;
}

/** Installs exactly package-lock.json, once per version of it. Packages' install scripts are not run. */
export function ensureInstalled() {
  const digest = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  const stamp = join(ROOT, 'node_modules', '.caracal-installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  say('installing packages (npm ci; about half a minute, once per change of package-lock.json)');
  const result = spawnSync('npm', ['ci', '--ignore-scripts', '--loglevel=error', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) throw new Error('npm ci failed; its output is above');
  writeFileSync(stamp, digest);
}

/** Runs a program with our standard streams and resolves to how it ended. Whoever ends us ends it, and we wait for it. */
export function runToTheEnd(program, args, env = {}) {
  const child = spawn(program, args, { cwd: process.cwd(), stdio: 'inherit', env: { ...process.env, ...env } });
  // A terminal sends Ctrl-C and its own end to the child as well: passed on, they would come twice.
  const pass = (signal) => {
    if (signal === 'SIGTERM' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(signal ? 128 + constants.signals[signal] : (status ?? 1)));
  });
}
