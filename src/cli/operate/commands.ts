/** Commands of operators: see what runs, decide, revoke and freeze; against `caracal up` or a cluster. */
import { Option, type Command } from 'commander';
import { required, withExample, type Session } from '../command.ts';
import type { ActOptions } from './acts.ts';
import type { AuthorityOptions } from './authority.ts';
import type { ViewOptions } from './views.ts';

export function addOperateCommands(program: Command, session: Session): void {
  addViews(program, session);
  addDecisions(program, session);
  addRevoke(program, session);
  addFreezes(program, session);
  addAuthority(program, session);
}

/** Where to ask, and in which form to answer. */
function connected(command: Command): Command {
  return command
    .addOption(
      new Option('-o, --output <form>', 'what to print').choices(['table', 'wide', 'json', 'yaml']).default('table'),
    )
    .option('--data <dir>', 'ask the `caracal up` that works with this data folder (default: .caracal, if it is there)')
    .option('--server <url>', 'ask the `caracal up` that serves here')
    .option('--token-file <file>', 'its token (default: runtime-token in the data folder)')
    .option('--kubeconfig <file>', 'ask a cluster (default, without a data folder: KUBECONFIG, then ~/.kube/config)');
}

function namespaced(command: Command): Command {
  return connected(command).option('-n, --namespace <name>', 'only Zones of this namespace (default: all)');
}

function addViews(program: Command, session: Session): void {
  const sessions = program.command('sessions').description('List the agent sessions that live.');
  withExample(
    namespaced(sessions).option('--application <id>', 'only of this application, as NAMESPACE.NAME'),
    'caracal sessions',
    'caracal sessions --application quickstart.assistant -o wide',
  ).action(async (options: ViewOptions) => {
    const { runSessions } = await import('./views.ts');
    session.exit = await runSessions(options, session.runtime);
  });
  const tree = program
    .command('tree')
    .description('Show who acts under whom: delegation as a tree, with scopes, hops left and end.')
    .argument('[session]', 'only the tree of this session');
  withExample(namespaced(tree), 'caracal tree', 'caracal tree 0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31 -o json').action(
    async (id: string | undefined, options: ViewOptions) => {
      const { runTree } = await import('./views.ts');
      session.exit = await runTree(id, options, session.runtime);
    },
  );
  const challenges = program.command('challenges').description('List what waits for a person to approve.');
  withExample(
    namespaced(challenges).option('--all', 'those that are decided, spent or over too'),
    'caracal challenges',
    'caracal challenges --all -o yaml',
  ).action(async (options: ViewOptions) => {
    const { runChallenges } = await import('./views.ts');
    session.exit = await runChallenges(options, session.runtime);
  });
  const status = program
    .command('status')
    .description('Show of each zone what runs, what waits, and whether it is frozen; exit 1 where one is not served.')
    .argument('[zone...]', 'zones, as NAMESPACE.NAME (default: those of the cluster, or where something runs)');
  withExample(connected(status), 'caracal status quickstart.shop').action(
    async (zones: readonly string[], options: ViewOptions) => {
      const { runStatus } = await import('./views.ts');
      session.exit = await runStatus(zones, options, session.runtime);
    },
  );
}

function addDecisions(program: Command, session: Session): void {
  const approve = program
    .command('approve')
    .description('Approve a challenge; on a cluster this needs the verb approve on stepupchallenges/decision.')
    .argument('<id>', 'the challenge')
    .option('--reason <text>', 'kept with the decision');
  withExample(connected(approve), 'caracal approve 4f1c6a0e-2b7d-4c58-9d3e-8a51b6f0c2d9').action(
    async (id: string, options: ActOptions) => {
      const { runDecide } = await import('./acts.ts');
      session.exit = await runDecide(id, 'approved', options, session.runtime);
    },
  );
  const reject = program
    .command('reject')
    .description('Reject a challenge; the same request is refused until the rejection is over.')
    .argument('<id>', 'the challenge');
  withExample(
    connected(required(reject, '--reason <text>', 'why: the requester is told it')),
    'caracal reject 4f1c6a0e-2b7d-4c58-9d3e-8a51b6f0c2d9 --reason "not this month"',
  ).action(async (id: string, options: ActOptions) => {
    const { runDecide } = await import('./acts.ts');
    session.exit = await runDecide(id, 'rejected', options, session.runtime);
  });
}

function addRevoke(program: Command, session: Session): void {
  const revoke = program
    .command('revoke')
    .description('End an agent session or revoke a delegation, and all that rests on it.')
    .argument('<kind>', 'session or delegation')
    .argument('<id>', 'its id');
  withExample(
    connected(revoke),
    'caracal revoke session 0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31',
    'caracal revoke delegation 0192c3f0-8a11-7c09-b5d2-3e6f9d1a7c40',
  ).action(async (kind: string, id: string, options: ActOptions) => {
    const { runRevoke } = await import('./acts.ts');
    session.exit = await runRevoke(kind, id, options, session.runtime);
  });
}

function addFreezes(program: Command, session: Session): void {
  const freeze = program
    .command('freeze')
    .description('Deny everything in a zone, now; `Zone.spec.freeze` is another freeze, lifted in the spec.')
    .argument('<zone>', 'the zone, as NAMESPACE.NAME');
  withExample(
    connected(required(freeze, '--reason <text>', 'why: whoever is refused is told it')),
    'caracal freeze quickstart.shop --reason "incident 42"',
  ).action(async (zone: string, options: ActOptions) => {
    const { runFreeze } = await import('./acts.ts');
    session.exit = await runFreeze(zone, 'POST', options, session.runtime);
  });
  const unfreeze = program
    .command('unfreeze')
    .description('Lift a freeze by command; one in `Zone.spec.freeze` stays.')
    .argument('<zone>', 'the zone, as NAMESPACE.NAME');
  withExample(connected(unfreeze), 'caracal unfreeze quickstart.shop').action(
    async (zone: string, options: ActOptions) => {
      const { runFreeze } = await import('./acts.ts');
      session.exit = await runFreeze(zone, 'DELETE', options, session.runtime);
    },
  );
}

function addAuthority(program: Command, session: Session): void {
  const whoCan = program
    .command('who-can')
    .description('Show who may do what on a Resource: every Grant in force, with what policy says; exit 1 for nobody.')
    .argument('<resource>', 'its identifier');
  withExample(
    connected(asked(whoCan)),
    'caracal who-can resource://orders --zone quickstart.shop --scope orders:write',
  ).action(async (resource: string, options: AuthorityOptions) => {
    const { runWhoCan } = await import('./authority.ts');
    session.exit = await runWhoCan(resource, options, session.runtime);
  });
  const whatCan = program
    .command('what-can')
    .description('Show what an application may do and for whom, with what policy says; exit 1 for nothing.')
    .argument('<application>', 'as NAMESPACE.NAME');
  withExample(connected(asked(whatCan)), 'caracal what-can quickstart.assistant --zone quickstart.shop -o wide').action(
    async (application: string, options: AuthorityOptions) => {
      const { runWhatCan } = await import('./authority.ts');
      session.exit = await runWhatCan(application, options, session.runtime);
    },
  );
}

function asked(command: Command): Command {
  return required(command, '--zone <id>', 'the zone, as NAMESPACE.NAME').option('--scope <scope>', 'only this scope');
}
