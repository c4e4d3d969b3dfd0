/** May they? The API server's own authorizers answer, by SubjectAccessReview. */
import type { Clock } from '../authority/clock.ts';
import type { KubeClient } from '../kube/client.ts';
import { GROUP, VERSION_NAME } from '../runtimeapi/group.ts';
import type { Attributes } from '../runtimeapi/path.ts';
import type { User } from '../runtimeapi/ports.ts';
import { createLRU } from '../tokens/lru.ts';

export interface Verdict {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Rejects where the API server does not answer. */
export type Authorize = (user: User, attributes: Attributes) => Promise<Verdict>;

const REMEMBERED_MS = 10_000;
/** What only shows. Whoever acts has the right at that moment, not some seconds before. */
const READING = ['get', 'list', 'watch'];

export function createAuthorizer(client: Pick<KubeClient, 'request'>, clock: Pick<Clock, 'monotonic'>): Authorize {
  const remembered = createLRU<{ readonly verdict: Verdict; readonly at: number }>(10_000);
  return async (user, attributes) => {
    const key = READING.includes(attributes.verb) ? JSON.stringify([user, attributes]) : undefined;
    const known = key === undefined ? undefined : remembered.get(key);
    if (known && clock.monotonic() - known.at < REMEMBERED_MS) return known.verdict;
    const verdict = await ask(user, attributes, client);
    if (key !== undefined) remembered.set(key, { verdict, at: clock.monotonic() });
    return verdict;
  };
}

async function ask(
  { name, uid, groups, extra }: User,
  attributes: Attributes,
  client: Pick<KubeClient, 'request'>,
): Promise<Verdict> {
  const spec = {
    ...{ user: name, groups, uid, extra },
    resourceAttributes: { group: GROUP, version: VERSION_NAME, ...attributes },
  };
  const review = (await client.request({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec },
  })) as { readonly status?: { readonly allowed?: unknown; readonly denied?: unknown; readonly reason?: unknown } };
  const { allowed, denied, reason } = review.status ?? {};
  return { allowed: allowed === true && denied !== true, reason: typeof reason === 'string' ? reason : '' };
}
