/** The two requests of the story, as any HTTP client would send them. */
import { shortToken } from './print.ts';
import type { Environment } from './environment.ts';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** For people: the request line and the answer. */
  readonly transcript: string;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** `POST {issuer}/oauth/2/token` with the agent's ServiceAccount token as its assertion. */
export async function exchange(world: Environment, fields: Readonly<Record<string, string>>): Promise<Answer> {
  const assertion = await world.agentToken(`${world.issuer}/zones/${world.zoneID}`);
  const form = { zone_id: world.zoneID, client_assertion_type: ASSERTION_TYPE, client_assertion: assertion, ...fields };
  const response = await fetch(`${world.issuer}/oauth/2/token`, { method: 'POST', body: new URLSearchParams(form) });
  const shown = Object.entries(fields).map(
    ([name, value]) => `${name}=${name.endsWith('token') ? shortToken(value) : value}`,
  );
  return answer(response, `POST /oauth/2/token ${shown.join(' ')}`);
}

/** A request to the orders service through its gateway. */
export async function call(world: Environment, method: string, path: string, mandate?: string): Promise<Answer> {
  const headers = mandate === undefined ? {} : { authorization: `Bearer ${mandate}` };
  const response = await fetch(`${world.gateway}${path}`, { method, headers });
  return answer(response, `${method} ${path}${mandate === undefined ? '' : `  (mandate ${shortToken(mandate)})`}`);
}

async function answer(response: Response, request: string): Promise<Answer> {
  const body = (await response.json()) as Record<string, unknown>;
  const shown = 'access_token' in body ? { ...body, access_token: shortToken(String(body['access_token'])) } : body;
  return { status: response.status, body, transcript: `→ ${request}\n← ${response.status} ${JSON.stringify(shown)}` };
}
