/** The objects that a mandate rests on, by UID: one that is re-created under an old name revives nothing. */
import type { DecisionBasis, ExchangeRequest, Permit } from './decision.ts';
import { matchGrants } from './grants.ts';
import { grantKey, type GrantEntry, type ZoneSnapshot } from './snapshot.ts';

/** Undefined for a login, which rests on its Application only. */
export function toBasis({ request, grants }: Permit, zone: ZoneSnapshot): DecisionBasis | undefined {
  const resource = request.resource === undefined ? undefined : zone.resources.get(request.resource);
  if (!resource) return undefined;
  const gave = grantsOf(request, zone).filter(({ namespace, name }) => grants.includes(`${namespace}/${name}`));
  return { resourceUID: resource.uid, grantUIDs: gave.map(({ uid }) => uid) };
}

/** Whether the very Resource is there, and each scope is covered at `now` (Unix milliseconds) by a Grant that gave it. */
export function isBasisLive(basis: DecisionBasis, request: ExchangeRequest, zone: ZoneSnapshot, now: number): boolean {
  const resource = request.resource === undefined ? undefined : zone.resources.get(request.resource);
  if (resource?.uid !== basis.resourceUID) return false;
  const matching = matchGrants(grantsOf(request, zone), request.subject, Math.floor(now / 1000));
  const same = matching.filter(({ grant }) => basis.grantUIDs.includes(grant.uid) && stillTravels(grant, request));
  return request.scopes.every((scope) => same.some(({ grant }) => grant.scopes.includes(scope)));
}

function grantsOf({ principal, root, resource }: ExchangeRequest, zone: ZoneSnapshot): readonly GrantEntry[] {
  return zone.grants.get(grantKey(root?.id ?? principal.applicationID, resource ?? '')) ?? [];
}

/** By what the decision recorded of its chain; that the Applications are the same ones is for the checks. */
function stillTravels({ delegation, applicationID }: GrantEntry, { lineage, delegationEdgeID }: ExchangeRequest) {
  if (delegationEdgeID === undefined || delegation === 'Zone') return true;
  return delegation === 'SameApplication' && lineage?.applications.every((id) => id === applicationID);
}
