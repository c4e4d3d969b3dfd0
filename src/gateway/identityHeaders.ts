/** What goes upstream of an admitted request's mandate: for whom it is, under which decision, and the mandate where asked for. */
import type { MandateClaims } from '../authority/claims.ts';
import { toHeaderValue } from '../http/headers.ts';
import type { Admission } from './admit.ts';

const NOTHING: readonly string[] = [];
const known = new WeakMap<MandateClaims, readonly string[]>();

/** Names and values, alternating. `tellsIdentity`: not to third parties. */
export function toOwnedHeaders({ claims, token, served }: Admission, tellsIdentity: boolean): readonly string[] {
  const identity = tellsIdentity ? toIdentityHeaders(claims) : NOTHING;
  if (!served.resource.forward_mandate) return identity;
  // One that is bound keeps its scheme: its proof is spent, and as a bearer's nobody may take it.
  return [...identity, 'Authorization', `${claims.cnf ? 'DPoP' : 'Bearer'} ${token}`];
}

/** Made once per verified mandate. */
function toIdentityHeaders(claims: MandateClaims): readonly string[] {
  let made = known.get(claims);
  if (!made) known.set(claims, (made = make(claims)));
  return made;
}

function make(claims: MandateClaims): readonly string[] {
  const { sub, sub_iss: issuer, client_id: client, scope = '', jti } = claims;
  const headers = ['X-Caracal-Subject', toHeaderValue(sub), 'X-Caracal-Client', toHeaderValue(client)];
  headers.push('X-Caracal-Scope', scope, 'X-Caracal-Decision', jti);
  if (issuer !== undefined) headers.push('X-Caracal-Subject-Issuer', toHeaderValue(issuer));
  headers.push('baggage', toBaggage(claims));
  return headers;
}

/** W3C Baggage, for correlation only: an app must not decide by it. */
function toBaggage(claims: MandateClaims): string {
  const { agent_session_id: session, delegation_path: path, sid, hop_count: hops } = claims;
  const members: readonly (readonly [name: string, value: string | number | undefined])[] = [
    ['caracal.session', sid],
    ['caracal.agent_session', session],
    ['caracal.delegation_edge', path?.at(-1)],
    ['caracal.parent_edge', path?.at(-2)],
    ['caracal.hop', hops],
  ];
  const present = members.filter(([, value]) => value !== undefined);
  return present.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join(',');
}
