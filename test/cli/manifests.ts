/** Manifests in a temporary folder, judged and asked about by the command line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPA_PATH } from '../support/opa.ts';
import { run, type RunResult } from './run.ts';

export interface Manifests {
  readonly folder: string;
  path(name: string): string;
  /** Runs with the folder as the last argument. */
  run(...args: readonly string[]): Promise<RunResult>;
  close(): Promise<void>;
}

export async function writeManifests(files: Readonly<Record<string, string>>): Promise<Manifests> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-manifests-'));
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
  return {
    folder,
    path: (name) => join(folder, name),
    run: (command, ...args) => run([command!, folder, '--opa', OPA_PATH, ...args]),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** One object as YAML. */
export function object(kind: string, namespace: string, name: string, spec: unknown): string {
  return `${JSON.stringify({ apiVersion: 'caracal.run/v1alpha1', kind, metadata: { namespace, name }, spec }, undefined, 2)}\n`;
}
