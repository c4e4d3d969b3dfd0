/** `caracal who-can` and `caracal what-can`: what the Grants in force and the active policies come to. */
import { toPrintable } from '../printable.ts';
import type { ExitCode, Runtime } from '../runtime.ts';
import { toTable } from '../table.ts';
import { withClient, type ConnectOptions } from './connect.ts';
import { collectionPath, parseZone, print, type OutputForm } from './objects.ts';

export interface AuthorityOptions extends ConnectOptions {
  readonly zone: string;
  readonly scope?: string;
  readonly output: OutputForm;
}

interface Item {
  readonly application: string;
  readonly subject: string;
  readonly resource: string;
  readonly scope: string;
  readonly decision: string;
  readonly reason?: string;
  readonly message?: string;
  readonly grant: string;
  readonly delegation: string;
  readonly expiresAt?: string;
}

type Column = readonly [title: string, cell: (item: Item) => string];

const APPLICATION: Column = ['APPLICATION', ({ application }) => application];
const RESOURCE: Column = ['RESOURCE', ({ resource }) => resource];
const SHARED: readonly Column[] = [
  ['FOR', ({ subject }) => subject],
  ['SCOPE', ({ scope }) => scope],
  ['DECISION', ({ decision, reason }) => (reason === undefined ? decision : `${decision} (${reason})`)],
  ['GRANT', ({ grant }) => grant],
];
const WIDE: readonly Column[] = [
  ['TRAVELS', ({ delegation }) => delegation],
  ['EXPIRES', ({ expiresAt }) => expiresAt ?? ''],
  ['WHY', ({ message }) => message ?? ''],
];

/** Who may do something on this Resource? */
export function runWhoCan(resource: string, options: AuthorityOptions, runtime: Runtime): Promise<ExitCode> {
  return list({ resource }, [APPLICATION, ...SHARED], options, runtime);
}

/** What may this application do, and for whom? */
export function runWhatCan(application: string, options: AuthorityOptions, runtime: Runtime): Promise<ExitCode> {
  return list({ application }, [RESOURCE, ...SHARED], options, runtime);
}

async function list(
  asked: Readonly<Record<string, string>>,
  columns: readonly Column[],
  { zone, scope, output, ...connection }: AuthorityOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  const { namespace, name } = parseZone(zone);
  const spec = { zone: name, ...asked, ...(scope !== undefined && { scope }) };
  return withClient<ExitCode>(connection, runtime, async (client) => {
    const path = collectionPath('authoritylists', namespace);
    const answer = await client.request({ method: 'POST', path, body: { spec } });
    const { items } = answer['status'] as { readonly items: readonly Item[] };
    if (output === 'json' || output === 'yaml') print(items, output, runtime);
    else if (items.length === 0) runtime.err('nobody: no Grant in force says so\n');
    else {
      const shown = output === 'wide' ? [...columns, ...WIDE] : columns;
      const rows = items.map((item) => shown.map(([, cell]) => toPrintable(cell(item))));
      runtime.out(toTable([shown.map(([title]) => title), ...rows]));
    }
    return items.length === 0 ? 1 : 0;
  });
}
