/** The documents as text, and what tests look for in them: code spans, fenced blocks, tables, command lines. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export const documents: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'examples/README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `docs/${path}`),
];

/** Those that people wrote; the others are generated. */
export const written: readonly string[] = documents.filter((path) => !path.startsWith('docs/reference/'));

/** The contents of fenced blocks of one language. */
export function blocks(text: string, language: string): readonly string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((match) => match[1]!);
}

/** The contents of `…` outside of fenced blocks. */
export function codeSpans(text: string): readonly string[] {
  const prose = text.replaceAll(/```[\s\S]*?```/g, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
}

/** The part under a heading, up to the next of its level or above. */
export function section(text: string, heading: string): string {
  const level = /^#+/.exec(heading)![0];
  const start = text.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`no section ${heading}`);
  const rest = text.slice(start + heading.length + 2);
  const next = rest.search(new RegExp(`^#{1,${level.length}} `, 'm'));
  return next < 0 ? rest : rest.slice(0, next);
}

/** The cells of one column (from 0) of every table row, without heads. */
export function column(text: string, index: number): readonly string[] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  const isHead = (line: string | undefined) => line !== undefined && /^\|[\s|:-]+\|$/.test(line);
  return rows
    .filter((line, at) => !isHead(line) && !isHead(rows[at + 1]))
    .map((line) => line.replaceAll('\\|', '\u0000').split('|')[index + 1]!.replaceAll('\u0000', '|').trim());
}

/** What follows `caracal` on each line of the sh blocks, continued lines joined. */
export function commandLines(text: string): readonly string[] {
  const lines = blocks(text, 'sh')
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n');
  return lines.flatMap((line) => {
    const match = /(?:^|\(|npm run (?:--silent )?)caracal (?:-- )?([a-z].*)$/.exec(line.replace(/\s#.*$/, ''));
    return match ? [match[1]!] : [];
  });
}
