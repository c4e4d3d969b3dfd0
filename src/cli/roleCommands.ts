/** Commands that start a role: controller and sts on a cluster, gateway wherever its resource is. */
import type { Command } from 'commander';
import type { ControllerOptions } from './controllerRole.ts';
import { collect, logLevel, required, withExample } from './command.ts';
import type { Session } from './command.ts';
import type { FrontOptions } from './frontRole.ts';
import type { STSOptions } from './stsRole.ts';

export function addRoleCommands(program: Command, session: Session): void {
  addController(program, session);
  addSTS(program, session);
  addFront(program, session);
  addGateway(program, session);
}

/** The gateway ships as a file of its own and reads its flags itself; here they are only described and checked. */
function addGateway(program: Command, session: Session): void {
  const command = program
    .command('gateway')
    .description('Enforce mandates in front of a service, or towards the upstreams of Resources.');
  for (const [flags, description] of GATEWAY_FLAGS) command.option(flags, description);
  withExample(
    command,
    'caracal gateway --token-file token --protect quickstart/orders=127.0.0.1:8080:127.0.0.1:9000',
    'caracal gateway --token-file token --edge 127.0.0.1:8080',
  ).action(async () => {
    const code = await session.starters.gateway(session.args.slice(1), session.runtime);
    session.exit = code === 0 ? 0 : code === 2 ? 2 : 1;
  });
}

const GATEWAY_FLAGS: readonly (readonly [flags: string, description: string])[] = [
  [
    '--protect <resource=listen:target...>',
    'NAMESPACE/RESOURCE=LISTEN:TARGET: where to listen for a Resource, and the service behind; repeat for more',
  ],
  ['--edge <address>', 'where to listen for requests to the upstreams of Resources'],
  [
    '--token-file <file...>',
    "the gateway's ServiceAccount token, with the audience ISSUER/zones/ZONE/gateways; repeat for more zones at an edge",
  ],
  ['--sts <url>', 'where to reach the STS if not at the issuer'],
  ['--sts-ca <file>', 'PEM certificates to trust for the STS'],
  ['--admin <address>', 'where /health, /ready and /metrics are served'],
  ['--tls-cert <file>', 'PEM certificate chain of the listeners; without it they speak plain HTTP'],
  ['--tls-key <file>', 'PEM key of the certificate'],
  [
    '--public-url <url...>',
    'scheme, host and port at which clients reach it, which DPoP proofs must name; without it what a request says is taken',
  ],
  ['--allow-upstream-range <cidr...>', 'with --edge: address ranges, private ones too, that upstreams may be in'],
  ['--drain <seconds>', 'how long requests under way may take when the gateway ends'],
  [
    '--spool <dir>',
    'a folder of its own where records of requests wait for the STS, up to 64 MiB for each zone; without it they wait in memory, up to 4 MiB, and are lost with the process',
  ],
  ['--log-level <level>', 'how much to log, on standard error'],
];

function addController(program: Command, session: Session): void {
  const command = program
    .command('controller')
    .description('Reconcile the kinds: validate, compile policy, own signing keys, write status.');
  cluster(command)
    .option('--listen <address>', 'where health and metrics are served', '127.0.0.1:8081')
    .option(
      '--sts <url>',
      'an STS replica to observe; repeat for more (default: the EndpointSlices of its Service)',
      collect,
      [],
    )
    .option('--sts-service <name>', "the STS' Service in Caracal's namespace", 'caracal-sts')
    .option('--sts-ca <file>', 'PEM certificates to trust for the STS')
    .option(
      '--sts-token-file <file>',
      'ServiceAccount token, with the issuer as audience, to ask the STS with',
      '/var/run/secrets/caracal/sts/token',
    );
  withExample(command, 'caracal controller --issuer https://sts.example.com').action(
    async (options: ControllerOptions) => {
      const { runController } = await import('./controllerRole.ts');
      session.exit = await runController(options, session.starters, session.runtime);
    },
  );
}

function addSTS(program: Command, session: Session): void {
  const command = program.command('sts').description('Serve the token endpoint, keys and the feed of the gateways.');
  cluster(command)
    .option('--listen <address>', 'where to listen; plain HTTP on a loopback address only', '127.0.0.1:7400')
    .option('--tls-cert <file>', 'PEM certificate chain; read again when it changes')
    .option('--tls-key <file>', 'PEM key of the certificate')
    .option('--data <dir>', 'folder of the embedded store', '/var/lib/caracal')
    .option('--store <url>', 'keep the store in PostgreSQL, such as postgres://caracal@db.example.com/caracal')
    .option('--store-keys <dir>', 'with --store: folder of its keys, the same for every replica')
    .option('--store-password-file <file>', 'with --store: file of the password (default: PGPASSWORD)')
    .option('--controller <namespace/name>', 'ServiceAccount that may ask what is programmed')
    .option('--front <namespace/name>', 'ServiceAccount that may ask for users of the runtime API')
    .option(
      '--allow-jwks-range <cidr>',
      'address range, private too, that key sets may be fetched from; repeat for more',
      collect,
      [],
    );
  withExample(
    command,
    'caracal sts --issuer https://sts.example.com --listen 0.0.0.0:8443 --tls-cert tls.crt --tls-key tls.key',
  ).action(async (options: STSOptions) => {
    const { runSTS } = await import('./stsRole.ts');
    session.exit = await runSTS(options, session.starters, session.runtime);
  });
}

function addFront(program: Command, session: Session): void {
  const command = program
    .command('front')
    .description('Serve runtime.caracal.run to the API server: discovery by itself, all else from the STS.')
    .option('--kubeconfig <file>', 'how to reach the API server (default: the pod it runs in)')
    .option('--namespace <name>', "Caracal's own namespace", 'caracal-system')
    .option('--listen <address>', 'where to listen, by TLS', '0.0.0.0:8443')
    .option('--tls-cert <file>', 'PEM certificate chain; read again when it changes')
    .option('--tls-key <file>', 'PEM key of the certificate')
    .option(
      '--sts <url>',
      'an STS replica to ask; repeat for more (default: the EndpointSlices of its Service)',
      collect,
      [],
    )
    .option('--sts-service <name>', "the STS' Service in Caracal's namespace", 'caracal-sts')
    .option('--sts-ca <file>', 'PEM certificates to trust for the STS')
    .option(
      '--sts-token-file <file>',
      'ServiceAccount token, with the issuer as audience, to ask the STS with',
      '/var/run/secrets/caracal/sts/token',
    )
    .addOption(logLevel());
  withExample(command, 'caracal front --tls-cert tls.crt --tls-key tls.key').action(async (options: FrontOptions) => {
    const { runFront } = await import('./frontRole.ts');
    session.exit = await runFront(options, session.starters, session.runtime);
  });
}

/** What every role on a cluster needs. */
function cluster(command: Command): Command {
  return required(command, '--issuer <url>', 'public base URL of the STS, without a trailing slash')
    .option('--kubeconfig <file>', 'how to reach the API server (default: the pod it runs in)')
    .option('--namespace <name>', "Caracal's own namespace", 'caracal-system')
    .option('--opa <path>', 'the pinned opa (default: CARACAL_OPA, PATH, then the cache)')
    .addOption(logLevel());
}
