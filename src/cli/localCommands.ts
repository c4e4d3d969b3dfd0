/** Commands that need no cluster: up, check, serviceaccount-token, secret new. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { CheckOptions } from './check.ts';
import { logLevel, required, withExample } from './command.ts';
import type { Session } from './command.ts';
import { DEFAULT_DATA } from './storeFile.ts';
import type { ServiceAccountTokenOptions } from './serviceAccountToken.ts';
import type { UpOptions } from './up.ts';

const DATA = ['--data <dir>', 'folder for keys, identities and the store', DEFAULT_DATA] as const;
const OPA = ['--opa <path>', 'the pinned opa (default: CARACAL_OPA, PATH, then the cache)'] as const;
const NAMESPACE = ['--namespace <name>', "Caracal's own namespace", 'caracal-system'] as const;

export function addLocalCommands(program: Command, session: Session): void {
  addUp(program, session);
  addCheck(program, session);
  addServiceAccountToken(program, session);
  addSecret(program, session);
}

function addUp(program: Command, session: Session): void {
  const command = program
    .command('up')
    .description('Run everything in one process over a watched folder of manifests.');
  required(command, '--manifests <path...>', 'files and folders of manifests')
    .option(...DATA)
    .option('--port <number>', 'loopback port of the STS; the edge gateway takes the next one', '7400')
    .addOption(new Option('--output <form>', 'what to print').choices(['table', 'json']).default('table'))
    .option(...NAMESPACE)
    .option(...OPA)
    .option('--allow-jwks-range <cidr...>', 'address ranges, private ones too, that key sets may be fetched from')
    .option(
      '--allow-upstream-range <cidr...>',
      'address ranges, private ones too, that upstreams may be in; loopback always may',
    )
    .addOption(logLevel('warn'));
  withExample(command, 'caracal up --manifests examples/quickstart').action(async (options: UpOptions) => {
    const { runUp } = await import('./up.ts');
    session.exit = await runUp(options, session.starters, session.runtime);
  });
}

function addCheck(program: Command, session: Session): void {
  const command = program
    .command('check')
    .description('Judge manifests offline by the rules of the cluster; exit 1 on errors.')
    .argument('<path...>', 'files and folders of manifests')
    .addOption(new Option('--output <form>', 'what to print').choices(['table', 'json']).default('table'))
    .option('--now <time>', 'judge as of this time (RFC 3339; default: now)')
    .option(...NAMESPACE)
    .option(...OPA);
  withExample(
    command,
    'caracal check examples/quickstart',
    'caracal check --output json --now 2026-01-31T12:00:00Z manifests/',
  ).action(async (paths: readonly string[], options: CheckOptions) => {
    const { runCheck } = await import('./check.ts');
    session.exit = await runCheck(paths, options, session.runtime);
  });
}

function addServiceAccountToken(program: Command, session: Session): void {
  const command = program
    .command('serviceaccount-token')
    .description(
      "Print a pod-bound ServiceAccount token, in the cluster's form, that `caracal up` over the same data folder accepts.",
    )
    .argument('<namespace/name>', 'the ServiceAccount');
  required(command, '--audience <audience>', "the token's only audience, such as ISSUER/zones/ZONE")
    .option('--pod <name>', 'the pod it is bound to (default: NAME-0)')
    .option('--ttl <duration>', 'how long it lives', '1h')
    .option(...DATA);
  withExample(
    command,
    'caracal serviceaccount-token quickstart/assistant --audience http://127.0.0.1:7400/zones/quickstart.shop',
  ).action(async (account: string, options: ServiceAccountTokenOptions) => {
    const { runServiceAccountToken } = await import('./serviceAccountToken.ts');
    session.exit = await runServiceAccountToken(account, options, session.runtime);
  });
}

function addSecret(program: Command, session: Session): void {
  const secret = program.command('secret').description('Client secrets for software outside the cluster.');
  withExample(secret, 'caracal secret new');
  const command = secret
    .command('new')
    .description('Print a random 256-bit secret and the digest to put into an Application.')
    .addOption(new Option('--output <form>', 'what to print').choices(['text', 'json']).default('text'));
  withExample(command, 'caracal secret new').action(async (options: { output: 'text' | 'json' }) => {
    const { runSecretNew } = await import('./secret.ts');
    session.exit = runSecretNew(options.output, session.runtime);
  });
}
