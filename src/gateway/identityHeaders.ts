/** What a protected app is told of an admitted request: for whom it is, under which decision. */
import type { MandateClaims } from '../authority/claims.ts';
import { toHeaderValue } from '../http/headers.ts';

const known = new WeakMap<MandateClaims, readonly string[]>();

/** Names and values, alternating; made once per verified mandate. */
export function toIdentityHeaders(claims: MandateClaims): readonly string[] {
  const made = known.get(claims) ?? make(claims);
  known.set(claims, made);
  return made;
}

function make({ sub, sub_iss: issuer, client_id: client, scope = '', jti }: MandateClaims): readonly string[] {
  const headers = ['X-Caracal-Subject', toHeaderValue(sub), 'X-Caracal-Client', toHeaderValue(client)];
  headers.push('X-Caracal-Scope', scope, 'X-Caracal-Decision', jti);
  if (issuer !== undefined) headers.push('X-Caracal-Subject-Issuer', toHeaderValue(issuer));
  return headers;
}
