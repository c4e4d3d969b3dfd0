/** Writes what is generated from the code: CRDs and reference documents. With --check: compares, and names what differs. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { toCRD } from '../src/api/crd.ts';
import { KINDS } from '../src/api/kinds.ts';
import { GROUP } from '../src/api/meta.ts';
import { conditionsReference } from './reference/conditions.ts';
import { errorsReference } from './reference/errors.ts';
import { kindsReference } from './reference/kinds.ts';
import { metricsReference } from './reference/metrics.ts';
import { cliReference } from '../src/cli/reference.ts';

const root = join(import.meta.dirname, '..');
const MADE = '# Generated from src/api by npm run generate; do not edit.\n';

/** Path → text. */
function generate(): ReadonlyMap<string, string> {
  const crds = KINDS.map(
    (kind) =>
      [
        `crds/${GROUP}_${kind.plural}.yaml`,
        `${MADE}${stringify(toCRD(kind), { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })}`,
      ] as const,
  );
  return new Map([
    ...crds,
    ['docs/reference/kinds.md', kindsReference()],
    ['docs/reference/conditions.md', conditionsReference()],
    ['docs/reference/errors.md', errorsReference()],
    ['docs/reference/cli.md', cliReference()],
    ['docs/reference/metrics.md', metricsReference()],
  ]);
}

function differing(files: ReadonlyMap<string, string>): readonly string[] {
  const changed = [...files].filter(([path, text]) => {
    const absolute = join(root, path);
    return !existsSync(absolute) || readFileSync(absolute, 'utf8') !== text;
  });
  const made = readdirSync(join(root, 'crds')).filter(
    (name) => name.startsWith(`${GROUP}_`) && !files.has(`crds/${name}`),
  );
  return [...changed.map(([path]) => path), ...made.map((name) => `crds/${name} (no such kind)`)];
}

const files = generate();
if (process.argv.includes('--check')) {
  const stale = differing(files);
  for (const path of stale) process.stderr.write(`${path} differs from the code: run npm run generate\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
