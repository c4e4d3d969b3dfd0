/** docs/reference/cli.md, rendered from the very definitions that parse the flags. */
import type { Command, Option } from 'commander';
import { examplesOf } from './command.ts';
import type { Session } from './command.ts';
import { createProgram } from './program.ts';
import type { Runtime } from './runtime.ts';
import type { Starters } from './starters.ts';

/** Markdown of every command with its arguments, flags, defaults and examples. */
export function cliReference(): string {
  const session: Session = {
    get runtime(): Runtime {
      throw new Error('the reference runs no command');
    },
    get starters(): Starters {
      throw new Error('the reference starts no role');
    },
    args: [],
    exit: 0,
  };
  const program = createProgram(session);
  const intro = `# The command line

<!-- Generated from src/cli by \`npm run generate\`; do not edit. -->

Exit codes: 0 done, 1 refused or failed, 2 called wrongly. Every command has \`--help\`.
`;
  return `${intro}${leaves(program).map(toSection).join('')}`;
}

function leaves(command: Command): readonly Command[] {
  const children = command.commands.filter((child) => child.name() !== 'help');
  return children.length === 0 ? [command] : children.flatMap(leaves);
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}

function toSection(command: Command): string {
  const args = command.registeredArguments.map((argument) => [`\`${argument.name()}\``, argument.description]);
  const options = command.options.filter((option) => !option.hidden).map(toRow);
  const examples = examplesOf(command)
    .map((example) => `\n\`\`\`sh\n${example}\n\`\`\`\n`)
    .join('');
  return `
## ${fullName(command)}

${command.description()}

\`${fullName(command)} ${command.usage()}\`
${toMarkdownTable(['Argument', 'Meaning'], args)}${toMarkdownTable(['Flag', 'Meaning', 'Default'], options)}${examples}`;
}

function toRow(option: Option): readonly string[] {
  const choices = option.argChoices ? `: ${option.argChoices.map((choice) => `\`${choice}\``).join(', ')}` : '';
  const isSet =
    option.defaultValue !== undefined && !(Array.isArray(option.defaultValue) && option.defaultValue.length === 0);
  return [`\`${option.flags}\``, `${option.description}${choices}`, isSet ? `\`${String(option.defaultValue)}\`` : ''];
}

function toMarkdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `\n${line(head)}${line(head.map(() => '---'))}${rows.map(line).join('')}`;
}
