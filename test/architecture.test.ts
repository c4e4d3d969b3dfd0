/** The arrows of the tree: which folder of src/ may import which. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const src = join(import.meta.dirname, '../src');

/** Folder → the folders it may import at run time. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  api: [],
  authority: [],
  http: [],
  policy: ['authority'],
  tokens: ['authority'],
  store: ['authority', 'audit'],
  audit: ['authority'],
  runtimeapi: ['authority'],
  compiler: ['api', 'authority', 'policy'],
  kube: ['api'],
  controller: ['api', 'authority', 'compiler', 'policy', 'tokens', 'http', 'kube'],
  sts: ['api', 'authority', 'compiler', 'policy', 'tokens', 'store', 'audit', 'http', 'kube', 'runtimeapi'],
  gateway: ['authority', 'tokens', 'http'],
  cli: ['api', 'authority', 'compiler', 'policy', 'tokens', 'store', 'audit', 'http', 'kube', 'runtimeapi', 'up'],
  up: ['api', 'authority', 'compiler', 'policy', 'tokens', 'store', 'audit', 'http', 'kube'],
  start: [
    'api',
    'authority',
    'compiler',
    'policy',
    'tokens',
    'store',
    'audit',
    'http',
    'kube',
    'controller',
    'sts',
    'gateway',
    'cli',
    'up',
  ],
};

/** Ports are types: whoever implements one may name it, since a type import leaves no arrow at run time. */
const PORTS = [
  'controller/ports.ts',
  'sts/ports.ts',
  'compiler/world.ts',
  'compiler/verdict.ts',
  'policy/results.ts',
  'policy/engine.ts',
  'tokens/keys.ts',
  'store/store.ts',
];

const FORBIDDEN_NAMES = /(^|\/)(utils?|helpers?|common|types|manager)(\.ts|\/)/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function sources(): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
}

function importsOf(path: string): Import[] {
  const text = readFileSync(join(src, path), 'utf8');
  const pattern = /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/g;
  return [...text.matchAll(pattern)].map((match) => ({
    from: path,
    to: relative(src, join(src, dirname(path), match[2] ?? match[3] ?? '')),
    typeOnly: match[1] !== undefined,
  }));
}

const folderOf = (path: string) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '');

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const folder = folderOf(from);
  if (folder === '' || folder === folderOf(to)) return true;
  if (typeOnly && PORTS.includes(to)) return true;
  return ARROWS[folder]?.includes(folderOf(to)) ?? false;
}

describe('the tree', () => {
  it('has only folders that the table of arrows knows', () => {
    const folders = new Set(
      sources()
        .map(folderOf)
        .filter((folder) => folder !== ''),
    );
    expect([...folders].filter((folder) => !(folder in ARROWS))).toEqual([]);
  });

  it('has arrows that point inward only', () => {
    const wrong = sources()
      .flatMap(importsOf)
      .filter((edge) => !isAllowed(edge))
      .map(({ from, to }) => `${from} imports ${to}`);
    expect(wrong).toEqual([]);
  });

  it('has no file or folder named after nothing', () => {
    expect(sources().filter((path) => FORBIDDEN_NAMES.test(path))).toEqual([]);
  });

  it('opens every file with a sentence that says what it is', () => {
    const silent = sources().filter((path) => !/^(#![^\n]*\n)?\/\*\*/.test(readFileSync(join(src, path), 'utf8')));
    expect(silent).toEqual([]);
  });

  it('reads environment, wall clock and randomness only in the entry points', () => {
    const entries = ['main.ts', 'gateway/main.ts'];
    const ambient =
      /process\.env|process\.argv|Date\.now\(\)|new Date\(\)|Math\.random|randomUUID\(|performance\.now\(\)/;
    const readers = sources().filter(
      (path) => !entries.includes(path) && ambient.test(readFileSync(join(src, path), 'utf8')),
    );
    expect(readers).toEqual([]);
  });
});
