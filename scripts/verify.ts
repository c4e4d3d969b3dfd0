/** What a reviewer would otherwise check by hand: each step is a program that exits non-zero when something is off. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);
const node = (...args: readonly string[]) => [process.execPath, '--disable-warning=ExperimentalWarning', ...args];

const STEPS: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'types', command: [bin('tsc'), '-p', '.'] },
  { name: 'lint', command: [bin('oxlint'), '--deny-warnings'] },
  {
    name: 'format',
    command: node(join(root, 'node_modules/prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'),
  },
  { name: 'generated files', command: node('scripts/generate.ts', '--check') },
  {
    name: 'documents against code',
    command: node('node_modules/vitest/vitest.mjs', 'run', '--reporter=dot', 'test/docs'),
  },
  { name: 'dead exports and dependencies', command: node('node_modules/knip/bin/knip.js', '--no-progress') },
  { name: 'licences', command: node('scripts/licences.ts') },
];

let failed = 0;
for (const { name, command } of STEPS) {
  const started = performance.now();
  const [program, ...args] = command;
  const result = spawnSync(program!, args, { cwd: root, encoding: 'utf8' });
  const ok = result.status === 0;
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
  if (!ok) {
    failed += 1;
    process.stdout.write(`${result.stdout}${result.stderr}\n`);
  }
}
process.stdout.write(`${STEPS.length - failed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
