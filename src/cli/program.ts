/** The commands of `caracal`: their flags, help and examples; each loads its own code only when it runs. */
import { Command, CommanderError, Help } from 'commander';
import { addAuditCommands } from './auditCommands.ts';
import { addClientCommands } from './clientCommands.ts';
import { checkRequired, withExample } from './command.ts';
import type { Session } from './command.ts';
import { addLocalCommands } from './localCommands.ts';
import { addOperateCommands } from './operate/commands.ts';
import { addRoleCommands } from './roleCommands.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import type { Starters } from './starters.ts';

const standardHelp = new Help();

/** Runs one command line (without `node` and the script) and returns its exit code. */
export async function runProgram(args: readonly string[], runtime: Runtime, starters: Starters): Promise<ExitCode> {
  const session: Session = { runtime, starters, args, exit: 0 };
  try {
    await createProgram(session).parseAsync([...args], { from: 'user' });
    return session.exit;
  } catch (error) {
    return toExitCode(error, runtime);
  }
}

export function createProgram(session: Session): Command {
  const program = new Command('caracal')
    .description('Short-lived, policy-approved authority for software agents, natively on Kubernetes.')
    .exitOverride()
    .enablePositionalOptions()
    .configureHelp({
      showGlobalOptions: false,
      optionDescription: (option) => standardHelp.optionDescription(option).replace(' (default: [])', ''),
    })
    .configureOutput({
      writeOut: (text) => session.runtime.out(text),
      writeErr: (text) => session.runtime.err(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    })
    .showHelpAfterError('(see --help)')
    .hook('preAction', (_program, command) => checkRequired(command))
    .addHelpText('after', '\nExample:\n  $ caracal check examples/quickstart');
  addLocalCommands(program, session);
  addClientCommands(program, session);
  addAuditCommands(program, session);
  addOperateCommands(program, session);
  addRoleCommands(program, session);
  addVersion(program, session);
  return program;
}

function addVersion(program: Command, session: Session): void {
  withExample(
    program.command('version').description('Print the version of Caracal and of the Node that runs it.'),
    'caracal version',
  ).action(async () => {
    const { runVersion } = await import('./version.ts');
    session.exit = await runVersion(session.runtime);
  });
}

function toExitCode(error: unknown, { err }: Runtime): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof CommandError) {
    err(`error: ${error.message}\n`);
    return error.exitCode;
  }
  err(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
}
