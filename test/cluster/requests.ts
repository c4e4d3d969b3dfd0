/** What a client of a deployment sends: exchanges at the STS, and requests through a gateway. */
import { expect } from 'vitest';
import { until } from '../support/processes.ts';
import { ZONE } from './deployment.ts';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** `POST {issuer}/oauth/2/token` for reading orders. */
export async function exchange(issuer: string, token: string, scope = 'orders:read'): Promise<Answer> {
  const form = { zone_id: ZONE, client_assertion_type: ASSERTION, client_assertion: token };
  const body = new URLSearchParams({ ...form, resource: 'resource://orders', scope });
  return toAnswer(await fetch(`${issuer}/oauth/2/token`, { method: 'POST', body }));
}

/** A mandate; fails the test where the exchange is refused. */
export async function mandate(issuer: string, token: string, scope?: string): Promise<string> {
  const answer = await exchange(issuer, token, scope);
  expect(answer).toMatchObject({ status: 200 });
  return String(answer.body['access_token']);
}

/** `GET /orders` through the gateway. */
export async function call(gateway: string, bearer: string): Promise<Answer> {
  return toAnswer(await fetch(`${gateway}/orders`, { headers: { authorization: `Bearer ${bearer}` } }));
}

async function toAnswer(response: Response): Promise<Answer> {
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Asks until the answer has this status; returns it and how long that took. */
export async function untilStatus(
  ask: () => Promise<Answer>,
  status: number,
  limit = 15_000,
): Promise<Answer & { readonly took: number }> {
  const started = performance.now();
  let last: Answer | undefined;
  await until(
    async () => {
      last = await ask();
      return last.status === status;
    },
    () => `no ${status} but ${JSON.stringify(last)}`,
    limit,
    20,
  );
  return { ...last!, took: performance.now() - started };
}

/** Asks until the exchange is refused for this reason. */
export async function untilReason(ask: () => Promise<Answer>, reason: string, limit = 15_000): Promise<void> {
  let last: Answer | undefined;
  await until(
    async () => {
      last = await ask();
      return last.body['reason'] === reason;
    },
    () => `not ${reason} but ${JSON.stringify(last)}`,
    limit,
    20,
  );
}

/** A member of the JWT's header or payload. */
export function decode(jwt: string, part: 0 | 1): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jwt.split('.')[part]!, 'base64url').toString('utf8')) as Record<string, unknown>;
}
