/** What the tests of policy share: opa with a folder for its cache, sets from text, and manifests as objects. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { PolicyInput } from '../../src/authority/policyInput.ts';
import type { PolicyModule } from '../../src/authority/snapshot.ts';
import { DEFAULT_INPUT } from '../../src/policy/defaultInput.ts';
import { policySetDigest } from '../../src/policy/digest.ts';
import type { PolicyEngine } from '../../src/policy/engine.ts';
import { createOPA, type OPA } from '../../src/policy/opa.ts';
import { OPA_PATH } from '../support/opa.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface TestOPA {
  readonly opa: OPA;
  readonly folder: string;
  remove(): void;
}

/** With a cache of its own. */
export function createTestOPA(): TestOPA {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-policy-'));
  const opa = createOPA({ path: OPA_PATH, cacheDir: join(folder, 'cache') });
  return { opa, folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export const clock = { monotonic: () => performance.now() };

export function toPolicy(name: string, body: string, appliesTo?: PolicyModule['appliesTo']): PolicyModule {
  const rego = `package caracal.policy.${name}\n\n${body}\n`;
  return appliesTo ? { name, rego, appliesTo } : { name, rego };
}

export function toInput(over: Partial<PolicyInput> = {}): PolicyInput {
  return { ...DEFAULT_INPUT, ...over };
}

/** Prepares the modules for a zone, failing where they cannot be, and returns the question. */
export async function prepare(engine: PolicyEngine, zone: string, modules: readonly PolicyModule[]) {
  const digest = policySetDigest(modules);
  const prepared = await engine.prepare(zone, digest, modules);
  if (!prepared.ok) throw new Error(prepared.message);
  return (...inputs: readonly PolicyInput[]) => engine.evaluate(zone, digest, inputs);
}

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: {
    readonly rego: string;
    readonly tests?: readonly unknown[];
    readonly appliesTo?: NonNullable<PolicyModule['appliesTo']>;
    readonly policies: readonly { readonly name: string }[];
  };
}

/** The documents of a file below the repository. */
export function readManifests(path: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(join(ROOT, path), 'utf8')).map((document) => document.toJSON() as Manifest);
}
