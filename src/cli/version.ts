/** `caracal version`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExitCode, Runtime } from './runtime.ts';

export async function runVersion({ out, root }: Pick<Runtime, 'out' | 'root'>): Promise<ExitCode> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  out(`caracal ${manifest.version} (node ${process.versions.node})\n`);
  return 0;
}
