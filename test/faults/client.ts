/** Requests of applications and users to the STS of a place, over the wire as anyone's. */
import type { IdentityProvider } from '../../scripts/demo/identityProvider.ts';
import { by, PAYMENTS, ZONE } from './world.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

type Form = Readonly<Record<string, string>>;

/** Nobody waits longer than this for an answer. */
const PATIENCE_MS = 15_000;

async function send(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await response.text();
  const body = text === '' ? {} : (JSON.parse(text) as Answer['body']);
  return { status: response.status, headers: response.headers, body };
}

export interface Client {
  token(form: Form): Promise<Answer>;
  /** As an application, on agent sessions and delegations. */
  call(mandate: string, method: string, path: string, body?: object, headers?: Form): Promise<Answer>;
  /** Session mandate of an application. */
  lifecycleOf(name: string): Promise<string>;
  /** Login of alice through an application, for this challenge if one is named. */
  login(name: string, nonce?: string): Promise<string>;
  /** alice approves in person. */
  approve(id: string, binding: string): Promise<Answer>;
}

export function clientOf({ issuer, idp }: { readonly issuer: string; readonly idp: IdentityProvider }): Client {
  const token: Client['token'] = (form) =>
    send(`${issuer}/oauth/2/token`, { method: 'POST', body: new URLSearchParams(form) });
  const json = (mandate: string, body?: object, headers: Form = {}): RequestInit => ({
    headers: {
      authorization: `Bearer ${mandate}`,
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const login: Client['login'] = async (name, nonce) => {
    const subject_token = await idp.signIn(
      { sub: 'alice', groups: [] },
      `${name}-web`,
      nonce === undefined ? {} : { nonce },
    );
    const subject_token_type = 'urn:ietf:params:oauth:token-type:id_token';
    return mandateOf(await token({ ...by(name), subject_token, subject_token_type }));
  };
  return {
    token,
    login,
    call: (mandate, method, path, body, headers) =>
      send(`${issuer}/zones/${ZONE}${path}`, { method, ...json(mandate, body, headers) }),
    lifecycleOf: async (name) => mandateOf(await token({ ...by(name), scope: 'agent:lifecycle' })),
    async approve(id, binding) {
      const mandate = await login('desk', binding);
      const body = { decision: 'approved', binding };
      return send(`${issuer}/step-up/${id}/decision`, { method: 'POST', ...json(mandate, body) });
    },
  };
}

/** What alice's agent asks for that waits for her. */
export const payFor = (login: string): Form => ({
  ...by('cart'),
  ...{ resource: PAYMENTS, scope: 'write' },
  subject_token: login,
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
});

/** An answer other than the one that was hoped for. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  constructor({ status, body }: Answer) {
    super(`${status} ${JSON.stringify(body)}`);
    this.status = status;
  }
}

export function expectStatus(answer: Answer, ...statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status)) return answer;
  throw new Refused(answer);
}

export const mandateOf = (answer: Answer): string => String(expectStatus(answer, 200).body['access_token']);

export function claimsOf(mandate: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(mandate.split('.')[1]!, 'base64url').toString()) as Readonly<Record<string, unknown>>;
}

export const jtiOf = (answer: Answer): string => String(claimsOf(mandateOf(answer))['jti']);
