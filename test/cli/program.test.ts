/** The command line itself: help, examples, refusals with suggestions, exit codes. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { cliReference } from '../../src/cli/reference.ts';
import { FLAGS } from '../../src/gateway/flags.ts';
import { OPA_PATH as OPA } from '../support/opa.ts';
import { ROOT, run } from './run.ts';

const COMMANDS = [
  ['controller'],
  ['sts'],
  ['gateway'],
  ['up'],
  ['check'],
  ['token'],
  ['explain'],
  ['serviceaccount-token'],
  ['secret', 'new'],
  ['version'],
];

describe('every command', () => {
  for (const command of COMMANDS) {
    it(`${command.join(' ')} has help with an example of itself, on standard output`, async () => {
      const { exit, out, err } = await run([...command, '--help']);
      expect([exit, err]).toEqual([0, '']);
      expect(out).toMatch(new RegExp(`Examples?:\\n  \\$ caracal ${command.join(' ')}`));
    });

    it(`${command.join(' ')} refuses an unknown flag with a suggestion`, async () => {
      const { exit, err } = await run([...command, '--hlep']);
      expect(exit).toBe(2);
      expect(err).toContain("error: unknown option '--hlep'");
      expect(err).toContain('Did you mean --help?');
    });

    it(`${command.join(' ')} is in the reference`, () => {
      expect(cliReference()).toContain(`\n## caracal ${command.join(' ')}\n`);
    });
  }
});

describe('the command line', () => {
  it('refuses an unknown command with a suggestion', async () => {
    const { exit, err } = await run(['chekc', '.']);
    expect([exit, err]).toEqual([2, expect.stringContaining('Did you mean check?')]);
  });

  it('shows what there is when called with nothing, as an error', async () => {
    const { exit, err } = await run([]);
    expect([exit, err]).toEqual([2, expect.stringContaining('Commands:')]);
  });

  it('names a required flag that is missing', async () => {
    const { exit, err } = await run(['token']);
    expect([exit, err]).toEqual([2, 'error: --zone <id> is required (see caracal token --help)\n']);
  });

  it('names the unknown flag first when a required one is missing because of it', async () => {
    const { exit, err } = await run(['token', '--zoen', 'shop.shop']);
    expect([exit, err]).toEqual([2, expect.stringContaining('Did you mean --zone?')]);
  });

  it('refuses a value outside the choices and names them', async () => {
    const { exit, err } = await run(['check', '.', '--output', 'xml']);
    expect([exit, err]).toEqual([2, expect.stringContaining('Allowed choices are table, json')]);
  });

  it('prints its version', async () => {
    expect(await run(['version'])).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^caracal \d+\.\d+\.\d+ \(node 2/),
    });
  });

  it('starts without loading any role, the Kubernetes client or a web framework', async () => {
    const program = `import('node:module').then(({ registerHooks }) => {
      registerHooks({ load(url, context, next) { console.error(url); return next(url, context); } });
      process.argv = [process.argv[0], 'caracal', '--help'];
      return import(${JSON.stringify(join(ROOT, 'src/main.ts'))});
    })`;
    const { stderr } = await promisify(execFile)(process.execPath, ['-e', program]);
    expect(stderr).toContain('src/cli/program.ts');
    expect(stderr).not.toMatch(/client-node|fastify|undici|src\/(sts|controller|gateway|kube|up|compiler)\//);
  });
});

describe('caracal secret new', () => {
  it('prints a secret of 256 bits once, with the digest that goes into an Application', async () => {
    const { exit, out, err } = await run(['secret', 'new', '--output', 'json']);
    const { secret, sha256 } = JSON.parse(out) as { secret: string; sha256: string };
    expect([exit, err, secret]).toEqual([0, '', expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)]);
    expect(sha256).toBe(createHash('sha256').update(secret).digest('hex'));
  });

  it('shows people what to paste where', async () => {
    const { out } = await run(['secret', 'new']);
    const [, sha256] = /sha256  ([0-9a-f]{64})\n/.exec(out)!;
    expect(out).toContain(`- clientSecret:\n          sha256:\n            - ${sha256}\n`);
  });
});

describe('caracal serviceaccount-token', () => {
  const wrong: Readonly<Record<string, readonly [args: readonly string[], message: string]>> = {
    'a name without namespace': [['assistant', '--audience', 'a'], 'write NAMESPACE/NAME'],
    'a path as a name': [['../x/y', '--audience', 'a'], 'write NAMESPACE/NAME'],
    'an empty audience': [['shop/assistant', '--audience', ''], '--audience is empty'],
    'no audience': [['shop/assistant'], '--audience <audience> is required'],
    'a lifetime that is none': [['shop/assistant', '--audience', 'a', '--ttl', 'soon'], '--ttl "soon" is no duration'],
  };
  for (const [name, [args, message]] of Object.entries(wrong)) {
    it(`refuses ${name}`, async () => {
      const { exit, out, err } = await run(['serviceaccount-token', ...args]);
      expect([exit, out, err]).toEqual([2, '', expect.stringContaining(message)]);
    });
  }
});

describe('caracal token', () => {
  it('asks for exactly one way to say who asks', async () => {
    const { exit, err } = await run([
      'token',
      '--zone',
      'shop.shop',
      '--service-account',
      'a/b',
      '--assertion-file',
      'x',
    ]);
    expect([exit, err]).toEqual([2, expect.stringContaining('say who asks, one way')]);
  });

  it('names the application that a client secret belongs to', async () => {
    const { exit, err } = await run(['token', '--zone', 'shop.shop', '--client-secret-file', 'x']);
    expect([exit, err]).toEqual([2, expect.stringContaining('needs --application')]);
  });

  it('names the file that cannot be read', async () => {
    const { exit, err } = await run(['token', '--zone', 'shop.shop', '--assertion-file', '/nowhere/token']);
    expect([exit, err]).toEqual([1, expect.stringContaining('--assertion-file /nowhere/token cannot be read')]);
  });
});

describe('caracal gateway', () => {
  it('is described with exactly the flags that the gateway reads', () => {
    const [, section = ''] = cliReference().split('\n## caracal gateway\n');
    const described = [...section.split('\n## ')[0]!.matchAll(/^\| `--([a-z-]+)/gm)].map((match) => match[1]!);
    expect(described.sort()).toEqual(
      Object.keys(FLAGS)
        .filter((flag) => flag !== 'help')
        .sort(),
    );
  });

  it('hands its flags to the gateway, which judges them', async () => {
    const { exit, out, err } = await run(['gateway', '--protect', 'nonsense', '--token-file', 'x']);
    expect([exit, out, err]).toEqual([2, '', expect.stringContaining('must be NAMESPACE/RESOURCE=LISTEN:TARGET')]);
  });

  it('names a token file that is not there', async () => {
    const { exit, err } = await run(['gateway', '--edge', '127.0.0.1:0', '--token-file', '/nowhere/token']);
    expect([exit, err]).toEqual([1, expect.stringContaining('--token-file /nowhere/token cannot be read')]);
  });
});

describe('caracal check', () => {
  it('shows no table where nothing was found to be in it', async () => {
    const { exit, out } = await run(['check', '/nowhere/at/all', '--opa', OPA]);
    expect([exit, out]).toEqual([1, expect.stringMatching(/^\/nowhere\/at\/all:1: does not exist/)]);
  });
});

describe('roles on a cluster', () => {
  const wrong: Readonly<Record<string, readonly [args: readonly string[], message: string]>> = {
    'an issuer with a trailing slash': [['sts', '--issuer', 'https://sts.example.com/'], 'without a trailing slash'],
    'an address that is none': [['sts', '--issuer', 'https://s', '--listen', 'here'], '--listen "here" is no address'],
    'a database that is no URL': [
      ['sts', '--issuer', 'https://s', '--store', 'db', '--store-keys', 'k'],
      '--store is no URL',
    ],
    'a database with its password': [
      ['sts', '--issuer', 'https://s', '--store', 'postgres://u:p@db.test/d', '--store-keys', 'k'],
      '--store holds a password',
    ],
    'a database without its keys': [['sts', '--issuer', 'https://s', '--store', 'db'], '--store needs --store-keys'],
    'keys without a database': [['sts', '--issuer', 'https://s', '--store-keys', 'k'], 'go with --store'],
    'a certificate without its key': [['sts', '--issuer', 'https://s', '--tls-cert', 'c'], 'go together'],
    'a controller that is no ServiceAccount': [
      ['sts', '--issuer', 'https://s', '--controller', 'c'],
      'write NAMESPACE/NAME',
    ],
    'a controller without issuer': [['controller'], '--issuer <url> is required'],
    'a controller outside of any cluster': [
      ['controller', '--issuer', 'https://s', '--opa', OPA],
      'name a cluster with --kubeconfig',
    ],
  };
  for (const [name, [args, message]] of Object.entries(wrong)) {
    it(`refuse ${name}`, async () => {
      const { exit, err } = await run(args, { env: {} });
      expect([exit, err]).toEqual([2, expect.stringContaining(message)]);
    });
  }
});
