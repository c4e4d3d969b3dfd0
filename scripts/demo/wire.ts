/** The requests of the story, as any HTTP client would send them. */
import { shortToken } from './print.ts';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** For people: the request line and the answer. */
  readonly transcript: string;
}

/** An application at the STS. */
export interface Client {
  readonly issuer: string;
  readonly zoneID: string;
  /** A pod-bound token of its ServiceAccount. */
  agentToken(audience: string): Promise<string>;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** `POST {issuer}/oauth/2/token` with the agent's ServiceAccount token as its assertion. */
export async function exchange(client: Client, fields: Readonly<Record<string, string>>): Promise<Answer> {
  const assertion = await client.agentToken(`${client.issuer}/zones/${client.zoneID}`);
  const form = {
    zone_id: client.zoneID,
    client_assertion_type: ASSERTION_TYPE,
    client_assertion: assertion,
    ...fields,
  };
  const response = await fetch(`${client.issuer}/oauth/2/token`, { method: 'POST', body: new URLSearchParams(form) });
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${toShown(name, value)}`);
  return answer(response, `POST /oauth/2/token ${shown.join(' ')}`);
}

/** A request to a service through its gateway. */
export async function call(
  { gateway }: { readonly gateway: string },
  method: string,
  path: string,
  mandate?: string,
): Promise<Answer> {
  const headers = mandate === undefined ? {} : { authorization: `Bearer ${mandate}` };
  const response = await fetch(`${gateway}${path}`, { method, headers });
  return answer(response, `${method} ${path}${mandate === undefined ? '' : `  (mandate ${shortToken(mandate)})`}`);
}

/** A call of the STS with a session mandate and JSON: agent sessions, delegations, decisions. */
export async function send(
  issuer: string,
  method: string,
  path: string,
  { bearer, body }: { readonly bearer?: string; readonly body?: Readonly<Record<string, unknown>> } = {},
): Promise<Answer> {
  const response = await fetch(`${issuer}${path}`, {
    method,
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const shown = Object.fromEntries(
    Object.entries(body ?? {}).map(([name, value]) => [name, typeof value === 'string' ? toShown(name, value) : value]),
  );
  return answer(response, `${method} ${path}${body ? ` ${JSON.stringify(shown)}` : ''}`);
}

function toShown(name: string, value: string): string {
  return name.endsWith('token') ? shortToken(value) : value;
}

async function answer(response: Response, request: string): Promise<Answer> {
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  const shown = 'access_token' in body ? { ...body, access_token: shortToken(String(body['access_token'])) } : body;
  const said = text === '' ? '' : ` ${JSON.stringify(shown)}`;
  return { status: response.status, body, transcript: `→ ${request}\n← ${response.status}${said}` };
}
