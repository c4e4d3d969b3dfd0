/** Digests of policy: over text only, so that they are the same in every process and every cluster. */
import { createHash } from 'node:crypto';
import type { PolicyModule } from '../authority/snapshot.ts';
import type { PolicyText } from './results.ts';

/** Hex SHA-256 of what there is to check of one Policy: its Rego and its tests. */
export function policyDigest({ rego, tests }: PolicyText): string {
  return hash('caracal.run/policy/v1', toCanonical([rego, tests]));
}

/**
 * `sha256:<hex>` of a set's content: name, Rego and appliesTo of each module. The order of the modules and of the
 * names in appliesTo has no meaning and does not count.
 */
export function policySetDigest(modules: readonly PolicyModule[]): string {
  const entries = modules.map(({ name, rego, appliesTo }) => [
    name,
    rego,
    appliesTo?.resources ? [...appliesTo.resources].sort() : null,
    appliesTo?.applications ? [...appliesTo.applications].sort() : null,
  ]);
  entries.sort((a, b) => compareText(String(a[0]), String(b[0])));
  return `sha256:${hash('caracal.run/policy-set/v1', toCanonical(entries))}`;
}

/** JSON with sorted members; absent and undefined are the same. */
export function toCanonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => (isRecord(member) ? sorted(member) : member));
}

function sorted(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => compareText(a, b)));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The label keeps digests of different things apart. */
function hash(label: string, text: string): string {
  return createHash('sha256').update(label).update('\n').update(text).digest('hex');
}
