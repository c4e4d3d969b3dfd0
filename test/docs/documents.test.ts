/** Documents are held against the code: every path, link, manifest, flag, reason and error they name exists. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { validateObject } from '../../src/api/validate.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `docs/${path}`),
];
const written = documents.filter((path) => !path.startsWith('docs/reference/'));

const reference = (name: string) => read(`docs/reference/${name}.md`);
const codeSpans = (text: string) =>
  [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);

describe.each(documents)('%s', (path) => {
  const text = read(path);

  it('links only to what exists', () => {
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1]!);
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(local.filter((link) => !existsSync(join(root, dirname(path), link)))).toEqual([]);
  });

  it('names only files of this repository that exist', () => {
    const known = /^(src|docs|crds|examples|install|policies|test|scripts)\/[\w./-]+$/;
    const named = codeSpans(text).filter((span) => known.test(span));
    expect(named.filter((span) => !existsSync(join(root, span)))).toEqual([]);
  });
});

describe.each(written)('%s', (path) => {
  const text = read(path);
  const blocks = (language: string) =>
    [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((match) => match[1]!);

  it('shows only manifests that the kinds accept', () => {
    const objects = blocks('yaml').flatMap((block) =>
      parseAllDocuments(block).map((document) => document.toJS() as unknown),
    );
    const refused = objects.map((object) => validateObject(object)).filter((result) => !result.ok);
    expect(refused).toEqual([]);
  });

  it('uses only flags of the command line', () => {
    const known = new Set(reference('cli').match(/--[a-z][a-z-]+/g));
    const lines = blocks('sh').join('\n').replaceAll('\\\n', ' ').split('\n');
    const ours = lines.filter((line) => /\bcaracal (--silent )?(-- )?[a-z]/.test(line));
    const flags = ours.flatMap((line) => line.replace(/^.*?\bcaracal( --)? /, '').match(/--[a-z][a-z-]+/g) ?? []);
    expect(flags.filter((flag) => !known.has(flag))).toEqual([]);
  });

  it('names only error codes and reasons that exist', () => {
    const known = new Set([
      ...(`${reference('errors')}${reference('conditions')}${reference('kinds')}`.match(/`[A-Za-z_]+`/g) ?? []),
    ]);
    const looksLikeCode = /^[a-z]+(_[a-z]+)+$/;
    const inTables = [...text.matchAll(/\b40[0-9] (`[a-z_]+`)|\b503 (`[a-z_]+`)/g)].map(
      (match) => match[1] ?? match[2]!,
    );
    const codes = inTables.filter((span) => looksLikeCode.test(span.slice(1, -1)));
    expect(codes.filter((code) => !known.has(code))).toEqual([]);
  });
});

describe('the index', () => {
  it('leads to every page', () => {
    const index = read('docs/README.md');
    const pages = documents.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(pages.map((path) => relative('docs', path)).filter((path) => !index.includes(`(${path})`))).toEqual([]);
  });
});
