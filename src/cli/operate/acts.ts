/** Commands that change what runs: approve, reject, revoke, freeze and unfreeze. */
import { toPrintable } from '../printable.ts';
import { CommandError, type ExitCode, type Runtime } from '../runtime.ts';
import { isNotFound, withClient, type ConnectOptions, type RuntimeClient } from './connect.ts';
import {
  checkID,
  collectionPath,
  findObject,
  parseZone,
  print,
  type OutputForm,
  type RuntimeObject,
} from './objects.ts';

export interface ActOptions extends ConnectOptions {
  readonly output: OutputForm;
  readonly reason?: string;
}

/** Decides what it just showed: the binding is of the challenge as it was read. */
export async function runDecide(
  id: string,
  decision: 'approved' | 'rejected',
  options: ActOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  checkID('stepupchallenges', id);
  return withClient<ExitCode>(options, runtime, async (client) => {
    const challenge = await findObject(client, 'stepupchallenges', id);
    const path = `${collectionPath('stepupchallenges', challenge.metadata.namespace)}/${id}/decision`;
    const { reason, output } = options;
    const body = { decision, binding: challenge.spec['binding'], ...(reason !== undefined && { reason }) };
    const decided = await client.request({ method: 'POST', path, body });
    if (output === 'json' || output === 'yaml') print(decided, output, runtime);
    else runtime.out(`${decision}: ${toPrintable(toWords(challenge))}\n`);
    return 0;
  });
}

function toWords({ spec }: RuntimeObject): string {
  const { type, issuer, sub } = spec['subject'] as Readonly<Record<string, string>>;
  const who = type === 'user' ? `for user ${issuer}:${sub}` : 'for itself';
  const what =
    spec['resource'] === undefined
      ? 'a login'
      : `${(spec['scopes'] as string[]).join(' ')} on ${String(spec['resource'])}`;
  return `${String(spec['application'])}, ${who}: ${what} (tier ${String(spec['tier'])})`;
}

const REVOCABLE = { session: 'agentsessions', delegation: 'delegationedges' } as const;

export async function runRevoke(kind: string, id: string, options: ActOptions, runtime: Runtime): Promise<ExitCode> {
  const plural = REVOCABLE[kind as keyof typeof REVOCABLE];
  if (!plural) throw new CommandError(`"${kind}" cannot be revoked: write session or delegation`, 2);
  checkID(plural, id);
  return withClient<ExitCode>(options, runtime, async (client) => {
    const { metadata } = await findObject(client, plural, id);
    const path = `${collectionPath(plural, metadata.namespace)}/${id}`;
    const answer = await client.request({ method: 'DELETE', path });
    if (options.output === 'json' || options.output === 'yaml') print(answer, options.output, runtime);
    else runtime.out(`revoked: ${kind} ${id}, and all that rests on it\n`);
    return 0;
  });
}

export async function runFreeze(
  zone: string,
  method: 'POST' | 'DELETE',
  options: ActOptions,
  runtime: Runtime,
): Promise<ExitCode> {
  const { namespace, name } = parseZone(zone);
  if (method === 'POST' && (options.reason ?? '').trim() === '')
    throw new CommandError('--reason is required: whoever is refused is told it', 2);
  return withClient<ExitCode>(options, runtime, async (client) => {
    const path = `${collectionPath('zones', namespace)}/${name}/freeze`;
    const body = method === 'POST' ? { body: { reason: options.reason } } : {};
    const answer = await client.request({ method, path, ...body });
    if (options.output === 'json' || options.output === 'yaml') print(answer, options.output, runtime);
    else runtime.out(`${zone}: ${toPrintable(toFreezeWords(answer['status'] as FreezeStatus))}\n`);
    return 0;
  });
}

export interface FreezeStatus {
  readonly spec?: { readonly reason: string };
  readonly command?: { readonly reason: string; readonly by: string };
}

export function toFreezeWords({ spec, command }: FreezeStatus): string {
  const parts = [
    ...(spec ? [`by its spec (${spec.reason})`] : []),
    ...(command ? [`by command of ${command.by.replace(/^operator:/, '')} (${command.reason})`] : []),
  ];
  return parts.length === 0 ? 'not frozen' : `frozen ${parts.join(' and ')}`;
}

/** Undefined for a zone that is not served. */
export async function readFreeze(client: RuntimeClient, namespace: string, name: string) {
  try {
    const path = `${collectionPath('zones', namespace)}/${name}/freeze`;
    return (await client.request({ method: 'GET', path }))['status'] as FreezeStatus;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
