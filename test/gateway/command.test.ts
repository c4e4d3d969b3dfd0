/** The command line of the gateway: flags, messages that name the fix, and a gateway by hand. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gatewayCommand } from '../../src/gateway/command.ts';
import { FLAGS } from '../../src/gateway/flags.ts';
import { sendRaw, toRequest } from './rawHTTP.ts';
import { newPair, signParts, startFakeSTS, ZONE } from './sts.ts';
import { ORDERS, startUpstream, until } from './world.ts';

const pair = newPair('sa');
const tokenFor = (audience: unknown) =>
  signParts({ alg: 'ES256', kid: 'sa' }, { aud: audience, exp: 4_000_000_000 }, pair);

async function run(
  argv: readonly string[],
  files: Readonly<Record<string, string>> = {},
  stop = new AbortController(),
) {
  const io = { out: '', err: '' };
  const running = gatewayCommand(argv, {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    randomBytes: (size) => randomBytes(size),
    readFile: (path) => (path in files ? Promise.resolve(files[path]!) : Promise.reject(new Error(`ENOENT: ${path}`))),
    out: (text) => void (io.out += text),
    err: (text) => void (io.err += text),
    stop: stop.signal,
  });
  return { io, running };
}

const PROTECT = ['--protect', 'team/orders=127.0.0.1:0:127.0.0.1:9000'];
const WRONG: readonly (readonly [name: string, argv: readonly string[], message: string])[] = [
  ['nothing', [], 'nothing to do'],
  ['an unknown flag', ['--protct', 'a'], 'unknown flag --protct: did you mean --protect?'],
  ['a flag like no other', ['--frobnicate'], 'unknown flag --frobnicate\n'],
  ['no token', PROTECT, '--token-file is required'],
  ['a Resource without namespace', ['--protect', 'orders=:1:a:2'], 'must be NAMESPACE/RESOURCE=LISTEN:TARGET'],
  ['no target', ['--protect', 'team/orders=127.0.0.1:8080'], 'must be NAMESPACE/RESOURCE=LISTEN:TARGET'],
  ['a port that is none', ['--protect', 'team/orders=:99999:a:1', '--token-file', 'a'], 'must be HOST:PORT'],
  ['half of TLS', [...PROTECT, '--token-file', 'a', '--tls-cert', 'c'], '--tls-cert and --tls-key go together'],
  [
    'a range that is none',
    ['--edge', ':1', '--token-file', 'a', '--allow-upstream-range', '10/8'],
    '--allow-upstream-range',
  ],
  ['two tokens for one listener', [...PROTECT, '--token-file', 'a', '--token-file', 'b'], 'give one --token-file'],
  [
    'a level that is none',
    [...PROTECT, '--token-file', 'a', '--log-level', 'loud'],
    'debug, info, warn, error, silent',
  ],
  ['a drain that is none', [...PROTECT, '--token-file', 'a', '--drain', '-1'], '--drain'],
];

describe('the command line', () => {
  it.each(WRONG)('with %s exits 2 and says the fix', async (_name, argv, message) => {
    const { io, running } = await run(argv);
    expect(await running).toBe(2);
    expect(io.err).toContain(message);
  });

  it('has help with each flag and an example', async () => {
    const { io, running } = await run(['--help']);
    expect(await running).toBe(0);
    for (const name of Object.keys(FLAGS)) expect(io.out).toContain(`--${name}`);
    expect(io.out).toContain('$ caracal gateway --token-file');
  });

  it('is the one that the reference documents', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/reference/cli.md'), 'utf8');
    const section = text.slice(text.indexOf('## caracal gateway')).split('\n## ')[0]!;
    const documented = [...section.matchAll(/^\| `--([a-z-]+)/gm)].map(([, name]) => name);
    expect(documented.sort()).toEqual(
      Object.keys(FLAGS)
        .filter((name) => name !== 'help')
        .sort(),
    );
  });

  it.each([
    ['no JWT', 'abc', 'its audience must be ISSUER/zones/ZONE/gateways'],
    ['another audience', tokenFor('https://sts'), 'its audience must be ISSUER/zones/ZONE/gateways'],
    ['an STS without TLS', tokenFor('http://sts.test/zones/a.b/gateways'), 'must be https'],
  ] as const)('with a token of %s exits 1 and says why, without the token', async (_name, token, message) => {
    const { io, running } = await run([...PROTECT, '--token-file', 'token'], { token });
    expect(await running).toBe(1);
    expect(io.err).toContain(message);
    expect(io.err).not.toContain(token === 'abc' ? 'token abc' : token);
  });

  it.each([
    ['--token-file', [...PROTECT, '--token-file', 'none'], '--token-file none cannot be read: ENOENT'],
    ['--sts-ca', [...PROTECT, '--token-file', 'token', '--sts-ca', 'none'], '--sts-ca none cannot be read: ENOENT'],
    [
      '--tls-cert',
      [...PROTECT, '--token-file', 'token', '--tls-cert', 'none', '--tls-key', 'token'],
      '--tls-cert none cannot be read: ENOENT',
    ],
  ] as const)('with a file that is not there exits 1 and names %s', async (_flag, argv, message) => {
    const { io, running } = await run(argv, { token: tokenFor('https://sts.test/zones/a.b/gateways') });
    expect(await running).toBe(1);
    expect(io.err).toContain(message);
  });

  it.each([
    ['--protect', (at: string) => ['--protect', `team/orders=${at}:127.0.0.1:9000`]],
    ['--edge', (at: string) => ['--edge', at]],
    ['--admin', (at: string) => [...PROTECT, '--admin', at]],
  ] as const)('at an address that is taken exits 1 and names %s', async (flag, toFlags) => {
    const upstream = await startUpstream();
    const files = { token: tokenFor('https://sts.test/zones/a.b/gateways') };
    const { io, running } = await run([...toFlags(`127.0.0.1:${upstream.port}`), '--token-file', 'token'], files);
    expect(await running).toBe(1);
    expect(io.err).toContain(`error: ${flag}: listen EADDRINUSE`);
    await upstream.close();
  });

  it('runs a gateway until it is stopped, and logs its start and end as JSON', async () => {
    const upstream = await startUpstream();
    const sts = await startFakeSTS([ORDERS], Date.now);
    const files = { token: `${tokenFor([`${sts.url}/zones/${ZONE}/gateways`])}\n` };
    const stop = new AbortController();
    const { io, running } = await run(
      [
        '--protect',
        `team/orders=127.0.0.1:0:127.0.0.1:${upstream.port}`,
        '--admin',
        '127.0.0.1:0',
        '--token-file',
        'token',
      ],
      files,
      stop,
    );
    const lines = () =>
      io.err
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    await until(() => lines().some(({ msg }) => msg === 'gateway listens'));
    const { protect, admin } = lines().find(({ msg }) => msg === 'gateway listens') as {
      protect: number[];
      admin: number;
    };
    await until(async () => (await fetch(`http://127.0.0.1:${admin}/ready`)).ok);
    const bytes = toRequest(['GET /orders HTTP/1.1', 'Host: a', `Authorization: Bearer ${sts.mint()}`]);
    expect((await sendRaw(protect[0]!, bytes)).status).toBe(200);
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    expect(metrics).toContain('caracal_gateway_requests_total{outcome="forwarded"} 1\n');
    expect(await (await fetch(`http://127.0.0.1:${admin}/health`)).json()).toEqual({ ok: true });
    expect((await fetch(`http://127.0.0.1:${admin}/debug`)).status).toBe(404);
    stop.abort();
    expect(await running).toBe(0);
    expect(lines().at(-1)).toMatchObject({ msg: 'gateway stopped', role: 'gateway' });
    await Promise.all([sts.close(), upstream.close()]);
  });
});
