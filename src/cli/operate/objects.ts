/** Runtime objects as commands ask for them and print them. */
import { stringify } from 'yaml';
import { BASE, type Plural } from '../../runtimeapi/group.ts';
import { toPrintable } from '../printable.ts';
import { CommandError, type Runtime } from '../runtime.ts';
import { toTable } from '../table.ts';
import type { RuntimeClient } from './connect.ts';

export type OutputForm = 'table' | 'wide' | 'json' | 'yaml';

export interface RuntimeObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly creationTimestamp: string };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

interface ServerTable {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

export interface Query {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

export function collectionPath(plural: string, namespace: string | undefined): string {
  return namespace === undefined
    ? `${BASE}/${plural}`
    : `${BASE}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

export async function listObjects(client: RuntimeClient, plural: Plural, { namespace, fieldSelector }: Query = {}) {
  const path = collectionPath(plural, namespace);
  const list = await client.request({ method: 'GET', path, query: { fieldSelector } });
  return list['items'] as readonly RuntimeObject[];
}

/** In the form that is asked for; tables as the server says them. */
export async function printObjects(
  client: RuntimeClient,
  plural: Plural,
  query: Query & { readonly output: OutputForm },
  runtime: Runtime,
): Promise<void> {
  const { namespace, fieldSelector, output } = query;
  const request = { method: 'GET', path: collectionPath(plural, namespace), query: { fieldSelector } } as const;
  if (output === 'json' || output === 'yaml') return print(await client.request(request), output, runtime);
  const table = (await client.request({ ...request, accept: TABLE })) as unknown as ServerTable;
  if (table.rows.length === 0) return runtime.err(`no ${plural}\n`);
  const shown = table.columnDefinitions.flatMap(({ name, priority }, index) =>
    priority === 0 || output === 'wide' ? [{ name, index }] : [],
  );
  const rows = table.rows.map(({ cells }) => shown.map(({ index }) => toPrintable(String(cells[index]))));
  runtime.out(toTable([shown.map(({ name }) => name.toUpperCase()), ...rows]));
}

/** A document as it is, in JSON or YAML. */
export function print(document: unknown, output: 'json' | 'yaml', { out }: Runtime): void {
  out(output === 'yaml' ? stringify(document) : `${JSON.stringify(document, undefined, 2)}\n`);
}

const LISTED_BY: Readonly<Record<Plural, string>> = {
  agentsessions: 'caracal sessions',
  delegationedges: 'caracal tree',
  stepupchallenges: 'caracal challenges --all',
};

/** Throws CommandError where it cannot be an id. */
export function checkID(plural: Plural, id: string): void {
  if (!/^[0-9a-f-]{36}$/.test(id))
    throw new CommandError(`"${id}" is no id: write the one that \`${LISTED_BY[plural]}\` shows`, 2);
}

/** By its id, in whatever namespace. */
export async function findObject(client: RuntimeClient, plural: Plural, id: string): Promise<RuntimeObject> {
  const [found] = await listObjects(client, plural, { fieldSelector: `metadata.name=${id}` });
  if (found) return found;
  throw new CommandError(`no ${plural} has the id ${id}: \`${LISTED_BY[plural]}\` shows those that live`);
}

/** NAMESPACE.NAME. */
export function parseZone(zone: string): { readonly namespace: string; readonly name: string } {
  const [, namespace, name] = /^([a-z0-9-]{1,63})\.([a-z0-9-]{1,63})$/.exec(zone) ?? [];
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  throw new CommandError(`"${zone}" is no zone: write NAMESPACE.NAME, such as quickstart.shop`, 2);
}
