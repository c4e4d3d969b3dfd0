/** Calls of applications on agent sessions and delegations, as JSON over the real STS. */
import { BY_SECRET, mandateOf, type Answer, type Form, type TestSTS } from './service.ts';
import { TILL_SECRET, ZONE } from './shop.ts';

export const BY_TILL = { zone_id: ZONE, application_id: 'shop.till', client_secret: TILL_SECRET } as const;

export async function lifecycleOf(sts: TestSTS, form: Form = BY_SECRET): Promise<string> {
  return mandateOf(await sts.token({ ...form, scope: 'agent:lifecycle' }));
}

export function call(
  sts: TestSTS,
  mandate: string,
  method: string,
  path: string,
  { body, headers }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  return sts.send({
    method,
    path: `/zones/${ZONE}${path}`,
    headers: {
      authorization: `Bearer ${mandate}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

export async function startAgent(
  sts: TestSTS,
  mandate: string,
  application: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const answer = await call(sts, mandate, 'POST', '/agents', { body: { application_id: application, ...more } });
  if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${answer.text}`);
  return String(answer.body['agent_session_id']);
}

/** From a session of shop.cart to one of shop.till, `read` on payments, unless said otherwise. */
export function edgeOf(source: string, target: string, more: Readonly<Record<string, unknown>> = {}) {
  return {
    issuer_application_id: 'shop.cart',
    source_session_id: source,
    target_session_id: target,
    receiver_application_id: 'shop.till',
    scopes: ['read'],
    ttl_seconds: 600,
    ...more,
  };
}
