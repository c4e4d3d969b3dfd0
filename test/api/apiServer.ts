/** Asks a real API server whether it takes an object, by the API itself, so that its own words can be compared. */
import { request } from 'node:https';
import type { Cluster } from '../support/cluster.ts';
import { KINDS } from '../../src/api/kinds.ts';
import { API_VERSION } from '../../src/api/meta.ts';

export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  /** The refusal, or "". */
  readonly message: string;
  /** The object as it would be stored. */
  readonly object: Readonly<Record<string, unknown>>;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

export type Access = Pick<Cluster, 'url' | 'ca' | 'token'>;

/** The only account that may write revisions. */
export const CONTROLLER = 'system:serviceaccount:caracal-system:caracal-controller';

export interface SendOptions {
  readonly dryRun?: boolean;
  /** Acts as this user, with every right that RBAC can give. */
  readonly as?: string;
}

export function pathOf({ kind, metadata }: Manifest, named: boolean): string {
  const plural = KINDS.find((known) => known.kind === kind)?.plural ?? 'unknown';
  const collection = `/apis/${API_VERSION}/namespaces/${metadata.namespace ?? 'default'}/${plural}`;
  return named ? `${collection}/${metadata.name}` : collection;
}

export async function create(access: Access, object: Manifest, options: SendOptions = {}): Promise<Answer> {
  return send(access, 'POST', pathOf(object, false), object, options);
}

/** Replaces the object that is there, whatever its version. */
export async function replace(access: Access, object: Manifest, options: SendOptions = {}): Promise<Answer> {
  const path = pathOf(object, true);
  const stored = await send(access, 'GET', path, undefined, options);
  const { resourceVersion } = stored.object['metadata'] as { resourceVersion: string };
  return send(access, 'PUT', path, { ...object, metadata: { ...object.metadata, resourceVersion } }, options);
}

export async function remove(access: Access, object: Manifest, options: SendOptions = {}): Promise<Answer> {
  return send(access, 'DELETE', pathOf(object, true), undefined, options);
}

function send(
  { url, ca, token }: Access,
  method: string,
  path: string,
  body: unknown,
  { dryRun = true, as }: SendOptions,
): Promise<Answer> {
  const query = `?fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    ...(as !== undefined && { 'impersonate-user': as, 'impersonate-group': 'system:masters' }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${path}${method === 'GET' ? '' : query}`, { method, ca, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(toAnswer(response.statusCode ?? 0, text)));
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function toAnswer(status: number, text: string): Answer {
  const object = JSON.parse(text) as Record<string, unknown>;
  const ok = status < 300;
  return { ok, status, message: ok ? '' : String(object['message']), object };
}
