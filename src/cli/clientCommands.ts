/** Commands that ask: token performs an exchange, explain says why one would be or was decided so. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { ExplainOptions } from './explain.ts';
import { collect, required, withExample } from './command.ts';
import type { Session } from './command.ts';
import { DEFAULT_DATA } from './storeFile.ts';
import type { TokenOptions } from './token.ts';

export function addClientCommands(program: Command, session: Session): void {
  addToken(program, session);
  addExplain(program, session);
}

function addToken(program: Command, session: Session): void {
  const command = program
    .command('token')
    .description('Perform a token exchange (RFC 8693) and print the response; exit 1 when it is refused.');
  required(command, '--zone <id>', 'the zone, as NAMESPACE.NAME')
    .option('--issuer <url>', 'base URL of the STS', 'http://127.0.0.1:7400')
    .option('--resource <identifier>', 'resource identifier', collect, [])
    .option('--scope <scope>', 'scope; repeat for more', collect, [])
    .option('--service-account <namespace/name>', 'ask as this ServiceAccount of the data folder')
    .option('--pod <name>', 'with --service-account: the pod (default: NAME-0)')
    .option('--data <dir>', 'with --service-account: the data folder of `caracal up`', DEFAULT_DATA)
    .option('--assertion-file <file>', 'ask with the client assertion (a JWT) in this file')
    .option('--client-secret-file <file>', 'ask with the client secret in this file')
    .option('--application <id>', 'the application, as NAMESPACE.NAME; required with a client secret')
    .option('--subject-token-file <file>', 'the token, in this file, of the user to act for')
    .addOption(
      new Option('--subject-token-type <type>', 'what the subject token is')
        .choices(['id_token', 'access_token', 'jwt'])
        .default('id_token'),
    )
    .option('--agent-session <id>', 'the agent session within which it asks')
    .option('--delegation-edge <id>', 'with --agent-session: the edge under which it asks')
    .option('--challenge <id>', 'the approved step-up that this request spends')
    .option('--ttl <duration>', 'lifetime to ask for')
    .option('--ca-file <file>', 'PEM certificates to trust for the STS')
    .addOption(new Option('--output <form>', 'what to print').choices(['table', 'json', 'token']).default('table'))
    .option('--decode', "print the mandate's claims too");
  withExample(
    command,
    'caracal token --zone quickstart.shop --resource resource://orders --scope orders:read --service-account quickstart/assistant --decode',
  ).action(async (options: TokenOptions) => {
    const { runToken } = await import('./token.ts');
    session.exit = await runToken(options, session.runtime);
  });
}

function addExplain(program: Command, session: Session): void {
  const command = program
    .command('explain')
    .description(
      'Show which check or which policy rule (file and line) decides an exchange, and why; exit 1 when it is denied.',
    )
    .argument('[path...]', 'files and folders of manifests to decide from')
    .option('--application <id>', 'who asks, as NAMESPACE.NAME')
    .option('--resource <identifier>', 'for which resource')
    .option('--scope <scope>', 'which scope; repeat for more', collect, [])
    .option('--user <issuer:sub>', "for this user: the name in the Zone's subjectIssuers, and the `sub`")
    .option('--group <group>', 'a group of the user; repeat for more', collect, [])
    .option('--claim <name=value>', 'a claim of the user that policy may see; repeat for more', collect, [])
    .option('--zone <id>', "the zone, as NAMESPACE.NAME (default: the application's)")
    .option('--ttl <duration>', 'lifetime asked for')
    .option('--now <time>', 'decide as of this time (RFC 3339; default: now)')
    .option('--decision <id>', 'explain a decision that `caracal up` recorded in --data instead')
    .option('--data <dir>', 'with --decision: the data folder of `caracal up`', DEFAULT_DATA)
    .option('--namespace <name>', "Caracal's own namespace", 'caracal-system')
    .option('--opa <path>', 'the pinned opa (default: CARACAL_OPA, PATH, then the cache)')
    .addOption(new Option('--output <form>', 'what to print').choices(['text', 'json']).default('text'));
  withExample(
    command,
    'caracal explain examples/quickstart --application quickstart.assistant --resource resource://orders --scope orders:write',
    'caracal explain --decision 0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31',
  ).action(async (paths: readonly string[], options: ExplainOptions) => {
    const { runExplain } = await import('./explain.ts');
    session.exit = await runExplain(paths, options, session.runtime);
  });
}
