/** What the definitions of commands share: the session an action gets, examples, required and repeated options. */
import { Option } from 'commander';
import type { Command } from 'commander';
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
export function checkRequired(command: Command): void {
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

export function logLevel(level = 'info'): Option {
  return new Option('--log-level <level>', 'how much to log, on standard error')
    .choices(['debug', 'info', 'warn', 'error', 'silent'])
    .default(level);
}
