/** Every production dependency must carry a licence that lets us ship it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ALLOWED = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'PSF-2.0',
]);

interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly license?: string;
}

/** An SPDX expression of alternatives is fine when one of them is; of conjunctions when all are. */
function isAllowed(expression: string): boolean {
  const bare = expression.replaceAll(/[()]/g, '');
  return bare.split(' OR ').some((choice) => choice.split(' AND ').every((licence) => ALLOWED.has(licence.trim())));
}

const root = join(import.meta.dirname, '..');
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};
const production = Object.entries(lock.packages).filter(
  ([path, entry]) => path !== '' && !entry.dev && !entry.optional,
);
const refused = production.filter(([, entry]) => !isAllowed(entry.license ?? 'none'));
for (const [path, entry] of refused) {
  process.stdout.write(
    `${path.replace('node_modules/', '')}: licence ${entry.license ?? 'none'} is not in the allowed list\n`,
  );
}
process.stdout.write(`${production.length} production packages, ${refused.length} refused\n`);
process.exitCode = refused.length === 0 ? 0 : 1;
