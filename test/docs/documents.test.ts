/** Documents are held against the code: every path, link, manifest, command, flag and field they name exists. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ALARM_REASONS } from '../../src/audit/alarm.ts';
import { validateObject } from '../../src/api/validate.ts';
import { FLAGS } from '../../src/gateway/flags.ts';
import { run } from '../cli/run.ts';
import { ROOT, blocks, codeSpans, commandLines, documents, read, written } from './texts.ts';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

interface Pod extends Manifest {
  readonly spec: {
    readonly containers: readonly { readonly args?: readonly string[] }[];
    readonly volumes: readonly {
      readonly projected: {
        readonly sources: readonly { readonly serviceAccountToken?: { readonly audience: string } }[];
      };
    }[];
  };
}

const isPod = (object: Manifest): object is Pod => object.kind === 'Pod';

describe.each(documents)('%s', (path) => {
  const text = read(path);

  it('links only to what exists', () => {
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1]!);
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(local.filter((link) => !existsSync(join(ROOT, dirname(path), link)))).toEqual([]);
  });

  it('names only files of this repository that exist', () => {
    const known = /^(src|docs|crds|examples|install|policies|test|scripts)\/[\w./-]*$/;
    const named = [...codeSpans(text), ...blocks(text, 'sh').flatMap((block) => block.split(/[\s'"]+/))];
    expect(named.filter((span) => known.test(span)).filter((span) => !existsSync(join(ROOT, span)))).toEqual([]);
  });
});

/** The section of each command in the generated reference. */
const reference = read('docs/reference/cli.md');
const commands = new Map(
  reference
    .split('\n## ')
    .slice(1)
    .map((part) => [part.slice('caracal '.length, part.indexOf('\n')), part] as const),
);
const flagsOf = (text: string): readonly string[] => text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? [];
/** Of npm, curl and kubectl. */
const FOREIGN_FLAGS = new Set(['--kubernetes', '--data-urlencode', '--silent']);
/** As a placeholder for any of them. */
const isMeta = (flag: string) => flag === '--help';

describe.each(written)('%s', (path) => {
  const text = read(path);
  const objects = blocks(text, 'yaml').flatMap((block) =>
    parseAllDocuments(block).map((document) => document.toJS() as Manifest),
  );
  const ours = objects.filter(({ apiVersion }) => apiVersion.startsWith('caracal.run/'));

  it('shows only manifests that the kinds accept', () => {
    expect(ours.map((object) => validateObject(object)).filter((result) => !result.ok)).toEqual([]);
  });

  it('shows only policies that compile and pass their tests', async () => {
    const policies = ours.filter(({ kind }) => kind === 'Policy');
    if (policies.length === 0) return;
    const folder = await mkdtemp(join(tmpdir(), 'caracal-docs-'));
    try {
      await Promise.all(policies.map((it, index) => writeFile(join(folder, `${index}.yaml`), JSON.stringify(it))));
      expect(await run(['check', folder])).toMatchObject({ exit: 0 });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('shows only pods whose token is one of Caracal’s, and gateways with flags that exist', () => {
    const others = objects.filter((object) => !ours.includes(object));
    expect(others.filter(({ kind }) => kind !== 'Pod')).toEqual([]);
    for (const { spec } of others.filter(isPod)) {
      const audiences = spec.volumes.flatMap(({ projected }) =>
        projected.sources.flatMap(({ serviceAccountToken }) => serviceAccountToken?.audience ?? []),
      );
      const args = spec.containers.flatMap((container) => container.args ?? []);
      const suffix = args[0] === 'gateway' ? '/gateways' : '';
      expect(audiences).toEqual([expect.stringMatching(new RegExp(`^https://[^/]+/zones/[a-z]+\\.[a-z]+${suffix}$`))]);
      expect(flagsOf(args.join(' ')).filter((flag) => !(flag.slice(2) in FLAGS))).toEqual([]);
    }
  });

  it('shows only command lines that a command takes', () => {
    const wrong = commandLines(text).flatMap((line) => {
      const name = [...commands.keys()].find((candidate) => line === candidate || line.startsWith(`${candidate} `));
      if (name === undefined) return [`no command: ${line}`];
      const known = new Set(flagsOf(commands.get(name)!));
      return flagsOf(line)
        .filter((flag) => !known.has(flag))
        .map((flag) => `${name} ${flag}`);
    });
    expect(wrong).toEqual([]);
  });

  it('names only commands and flags that exist', () => {
    const spans = codeSpans(text);
    const known = new Set([...flagsOf(reference), ...FOREIGN_FLAGS]);
    const flags = spans.flatMap(flagsOf);
    expect(flags.filter((flag) => !isMeta(flag) && !known.has(flag))).toEqual([]);
    const named = spans.flatMap((span) => /^caracal ([a-z].*)$/.exec(span)?.[1] ?? []);
    const isCommand = (span: string) => [...commands.keys()].some((name) => `${span} `.startsWith(`${name} `));
    expect(named.filter((span) => !isCommand(span))).toEqual([]);
  });
});

describe('the reference of endpoints', () => {
  it('names each that the STS serves, and no other', () => {
    const files = ['routes.ts', 'agents/sessions.ts', 'agents/delegations.ts', 'stepUp/routes.ts'];
    const served = files.flatMap((file) => {
      const source = read(`src/sts/${file}`);
      const base = /const BASE = '([^']+)'/.exec(source)?.[1] ?? '/step-up';
      const inFull = source.replaceAll(/\bBASE\b(?=[,])/g, '`${BASE}`').replaceAll(/\$\{(BASE|base)\}/g, base);
      const calls = [...inFull.matchAll(/\.(?:(get|post)\(|route\('([A-Z]+)', )['`](\/[^'`]+)/g)];
      return calls.map(([, lower, upper, path]) => {
        const named = path!.replaceAll(/:([a-z]+)/gi, '{$1}').replace('{zoneID}', '{zone}');
        return `${(lower ?? upper!).toUpperCase()} ${named}`;
      });
    });
    const page = read('docs/reference/endpoints.md');
    const section = page.slice(page.indexOf('## STS'), page.indexOf('## Gateway'));
    const named = [...section.matchAll(/`((?:GET|POST|PATCH|DELETE) [^`?]+)/g)].map((match) => match[1]!);
    expect(named.sort()).toEqual([...served, 'POST /oauth/2/token'].sort());
  });
});

describe('the index', () => {
  it('leads to every page', () => {
    const index = read('docs/README.md');
    const pages = documents.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(pages.map((path) => relative('docs', path)).filter((path) => !index.includes(`(${path})`))).toEqual([]);
  });

  it('of examples leads to every folder that the documents name', () => {
    const index = read('examples/README.md');
    const named = documents.flatMap((path) =>
      [...read(path).matchAll(/examples\/([a-z-]+)/g)].map((match) => match[1]!),
    );
    expect([...new Set(named)].filter((name) => !index.includes(`[${name}]`))).toEqual([]);
  });
});

describe('the guide to the log', () => {
  it('names every alarm as the code does, and no other', () => {
    const rows = [...read('docs/guides/audit.md').matchAll(/^\| `([A-Za-z]+)` +\| (.+?) +\|$/gm)];
    expect(Object.fromEntries(rows.map(([, reason, meaning]) => [reason, meaning]))).toEqual(ALARM_REASONS);
  });
});
