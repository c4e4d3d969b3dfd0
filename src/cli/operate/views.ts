/** Commands that show what runs: sessions, the tree of delegation, challenges and the state of zones. */
import { toPrintable } from '../printable.ts';
import { CommandError, type ExitCode, type Runtime } from '../runtime.ts';
import { toTable } from '../table.ts';
import { readFreeze, toFreezeWords } from './acts.ts';
import { isRefused, withClient, type ConnectOptions, type RuntimeClient } from './connect.ts';
import { listObjects, parseZone, print, printObjects, type OutputForm, type RuntimeObject } from './objects.ts';
import { toTree, toTreeText } from './tree.ts';

export interface ViewOptions extends ConnectOptions {
  readonly namespace?: string;
  readonly application?: string;
  readonly all?: boolean;
  readonly output: OutputForm;
}

export async function runSessions(options: ViewOptions, runtime: Runtime): Promise<ExitCode> {
  const { namespace, application, output } = options;
  const fieldSelector = application === undefined ? undefined : `spec.application=${application}`;
  await withClient(options, runtime, (client) =>
    printObjects(client, 'agentsessions', { namespace, fieldSelector, output }, runtime),
  );
  return 0;
}

/** Those that wait, unless all are wanted. */
export async function runChallenges(options: ViewOptions, runtime: Runtime): Promise<ExitCode> {
  const { namespace, all, output } = options;
  const fieldSelector = all === true ? undefined : 'status.state=pending';
  await withClient(options, runtime, (client) =>
    printObjects(client, 'stepupchallenges', { namespace, fieldSelector, output }, runtime),
  );
  return 0;
}

export async function runTree(
  session: string | undefined,
  { namespace, output, ...options }: ViewOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  return withClient<ExitCode>(options, runtime, async (client) => {
    const [sessions, edges] = await Promise.all([
      listObjects(client, 'agentsessions', { namespace }),
      listObjects(client, 'delegationedges', { namespace }),
    ]);
    const roots = toTree(sessions, edges);
    const shown = session === undefined ? roots : roots.filter((root) => has(root, session));
    if (session !== undefined && shown.length === 0)
      throw new CommandError(`no session ${session} runs: \`caracal sessions\` shows those that do`);
    if (output === 'json' || output === 'yaml') print(shown, output, runtime);
    else if (shown.length === 0) runtime.err('no agent sessions\n');
    else runtime.out(toTreeText(shown));
    return 0;
  });
}

function has(node: ReturnType<typeof toTree>[number], session: string): boolean {
  return node.session === session || node.below.some((one) => has(one, session));
}

export async function runStatus(zones: readonly string[], options: ViewOptions, runtime: Runtime): Promise<ExitCode> {
  return withClient<ExitCode>(options, runtime, async (client) => {
    const [sessions, edges, challenges] = await Promise.all([
      listObjects(client, 'agentsessions'),
      listObjects(client, 'delegationedges'),
      listObjects(client, 'stepupchallenges', { fieldSelector: 'status.state=pending' }),
    ]);
    const all = [...sessions, ...edges, ...challenges];
    const named = zones.length > 0 ? zones : [...new Set([...(await configured(client)), ...all.map(zoneOf)])].sort();
    const rows = await Promise.all(
      named.map(async (zone) => {
        const { namespace, name } = parseZone(zone);
        const count = (of: readonly RuntimeObject[]) => of.filter((one) => zoneOf(one) === zone).length;
        const freeze = await readFreeze(client, namespace, name);
        const counts = { sessions: count(sessions), delegations: count(edges), waiting: count(challenges) };
        return { zone, isServed: freeze !== undefined, ...counts, freeze: freeze ?? {} };
      }),
    );
    if (options.output === 'json' || options.output === 'yaml') print(rows, options.output, runtime);
    else runtime.out(toTable([HEAD, ...rows.map(toRow)]));
    return rows.every(({ isServed }) => isServed) ? 0 : 1;
  });
}

const HEAD = ['ZONE', 'SESSIONS', 'DELEGATIONS', 'WAITING', 'FREEZE'];

interface Row {
  readonly zone: string;
  readonly isServed: boolean;
  readonly sessions: number;
  readonly delegations: number;
  readonly waiting: number;
  readonly freeze: Parameters<typeof toFreezeWords>[0];
}

function toRow({ zone, isServed, sessions, delegations, waiting, freeze }: Row): readonly string[] {
  const frozen = isServed ? toPrintable(toFreezeWords(freeze)) : 'not served';
  return [zone, `${sessions}`, `${delegations}`, `${waiting}`, frozen];
}

function zoneOf({ metadata, spec }: RuntimeObject): string {
  return `${metadata.namespace}.${String(spec['zone'])}`;
}

/** Of a cluster, as far as the user may list them. */
async function configured(client: RuntimeClient): Promise<readonly string[]> {
  if (!client.isCluster) return [];
  try {
    const list = await client.request({ method: 'GET', path: '/apis/caracal.run/v1alpha1/zones' });
    const items = list['items'] as readonly RuntimeObject[];
    return items.map(({ metadata }) => `${metadata.namespace}.${metadata.name}`);
  } catch (error) {
    if (isRefused(error)) return [];
    throw error;
  }
}
