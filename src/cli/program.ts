/** The commands of `caracal`: their flags, help and examples; each loads its own code only when it runs. */
import { Command, CommanderError } from 'commander';
import { addClientCommands } from './clientCommands.ts';
import { addLocalCommands } from './localCommands.ts';
import { addRoleCommands } from './roleCommands.ts';
import { CommandError } from './runtime.ts';
import type { ExitCode, Runtime } from './runtime.ts';
import type { Starters } from './starters.ts';

/** What an action may reach: the process, the roles, and where its exit code goes. */
export interface Session {
  readonly runtime: Runtime;
  readonly starters: Starters;
  /** The command line as it was given. */
  readonly args: readonly string[];
  exit: ExitCode;
}

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
    .configureHelp({ showGlobalOptions: false })
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

const examplesByCommand = new WeakMap<Command, readonly string[]>();

/** The lines that the command's help shows as examples. */
export function examplesOf(command: Command): readonly string[] {
  return examplesByCommand.get(command) ?? [];
}

/** Every command shows one line that works. */
export function withExample(command: Command, ...examples: readonly string[]): Command {
  examplesByCommand.set(command, examples);
  const title = examples.length > 1 ? 'Examples' : 'Example';
  return command.addHelpText('after', `\n${title}:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
}

const REQUIRED = '(required)';

/** Commander asks for a missing option before it names an unknown one, which hides the typing mistake: so we ask, after it. */
function checkRequired(command: Command): void {
  const missing = command.options.find(
    (option) => option.description.endsWith(REQUIRED) && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing) throw new CommandError(`${missing.flags} is required (see caracal ${command.name()} --help)`, 2);
}

/** An option without which the command does not run. */
export function required(command: Command, flags: string, description: string): Command {
  return command.option(flags, `${description} ${REQUIRED}`);
}

/** For options that may be given more than once. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
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
