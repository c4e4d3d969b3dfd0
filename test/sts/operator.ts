/** An operator's side of the runtime API: requests with the local token, and a watch whose events are kept. */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { onTestFinished, vi } from 'vitest';
import { WAIT, type Answer, type TestSTS } from './service.ts';

const LOCAL_TOKEN = 'local-token-of-the-tests-0000000000000000000';
export const LOCAL_TOKEN_DIGEST = createHash('sha256').update(LOCAL_TOKEN).digest('hex');
const BASE = '/apis/runtime.caracal.run/v1alpha1';
export const IN_SHOP = `${BASE}/namespaces/shop`;
export const EVERYWHERE = BASE;

export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
export const METADATA =
  'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';

export interface Sent {
  readonly body?: unknown;
  readonly accept?: string;
  readonly token?: string;
}

export function operate(sts: TestSTS, method: string, path: string, sent: Sent = {}): Promise<Answer> {
  return sts.send({
    method,
    path,
    headers: {
      authorization: `Bearer ${sent.token ?? LOCAL_TOKEN}`,
      ...(sent.accept !== undefined && { accept: sent.accept }),
      ...(sent.body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(sent.body !== undefined && { body: JSON.stringify(sent.body) }),
  });
}

interface ListedObject {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

export async function list(sts: TestSTS, path: string): Promise<readonly ListedObject[]> {
  const answer = await operate(sts, 'GET', path);
  if (answer.status !== 200) throw new Error(`no list: ${answer.status} ${answer.text}`);
  return answer.body['items'] as readonly ListedObject[];
}

export interface WatchedEvent {
  readonly type: string;
  readonly object: ListedObject & Readonly<Record<string, unknown>>;
}

export interface Watched {
  readonly events: readonly WatchedEvent[];
  isOver(): boolean;
  wait(type: string, name?: string): Promise<WatchedEvent>;
}

export function watch(sts: TestSTS, path: string, accept = 'application/json'): Promise<Watched> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${LOCAL_TOKEN}`, accept };
    const sent = httpRequest(`${sts.url()}${path}`, { headers, agent: false }, (response) => {
      const events: WatchedEvent[] = [];
      let rest = '';
      let isOver = false;
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        events.push(...lines.map((line) => JSON.parse(line) as WatchedEvent));
      });
      response.on('close', () => void (isOver = true));
      response.on('error', () => void (isOver = true));
      resolve({
        events,
        isOver: () => isOver,
        wait: (type, name) =>
          vi.waitFor(() => {
            const found = events.find((one) => one.type === type && (!name || one.object.metadata.name === name));
            if (!found) throw new Error(`no ${type} of ${name ?? 'any'} among ${JSON.stringify(events)}`);
            return found;
          }, WAIT),
      });
    });
    onTestFinished(() => void sent.destroy());
    sent.on('error', reject);
    sent.end();
  });
}
