/** How far authority travels: who may receive from an Application, and which Grants of the root reach the end of a chain. */
import type { PolicySubject } from '../policyInput.ts';
import { matchGrants, type MatchingGrant } from '../grants.ts';
import type { RuntimeView } from '../runtimeIndex.ts';
import { grantKey, type GrantEntry, type ZoneSnapshot } from '../snapshot.ts';
import type { AgentSession, ApplicationRef, DelegationEdge } from './model.ts';

/** Whether the issuer's `spec.delegation` lets the receiver have anything from it; both must be what they were. */
export function mayReceive(issuer: ApplicationRef, receiver: ApplicationRef, zone: ZoneSnapshot): boolean {
  const from = zone.applications.get(issuer.id);
  const to = zone.applications.get(receiver.id);
  if (from?.uid !== issuer.uid || to?.uid !== receiver.uid) return false;
  if (issuer.uid === receiver.uid) return true;
  const { receivers, applications } = from.delegation;
  return receivers === 'Zone' || (receivers === 'Listed' && applications.includes(receiver.id));
}

/** The first edge whose issuer no longer lets its receiver have anything. */
export function closedEdge(edges: readonly DelegationEdge[], zone: ZoneSnapshot): DelegationEdge | undefined {
  return edges.find(({ issuer, receiver }) => !mayReceive(issuer, receiver, zone));
}

/** Unix seconds at which the first Application of a chain expires; Infinity where none does. */
export function membersUntil(
  edges: readonly DelegationEdge[],
  leaf: ApplicationRef,
  { applications }: ZoneSnapshot,
): number {
  const members = [...edges.map(({ issuer }) => issuer), leaf];
  return Math.min(...members.map(({ id }) => applications.get(id)?.expiresAt ?? Number.POSITIVE_INFINITY));
}

/** Whether the Grant's `spec.delegation` lets it be used at the end of these edges. */
export function travels({ delegation }: GrantEntry, edges: readonly DelegationEdge[]): boolean {
  if (edges.length === 0 || delegation === 'Zone') return true;
  const root = edges[0]!.issuer.uid;
  return delegation === 'SameApplication' && edges.every(({ receiver }) => receiver.uid === root);
}

/** The edges of a path, root → leaf; undefined where one is not known. */
export function edgesOf(path: readonly string[], runtime: RuntimeView): readonly DelegationEdge[] | undefined {
  const edges = path.flatMap((id) => runtime.edge(id) ?? []);
  return edges.length === path.length ? edges : undefined;
}

/** The root's Grants in force for its subject on a Resource that reach the end of the edges. `seconds`: Unix. */
export function travellingGrants(
  root: { readonly applicationID: string; readonly subject: PolicySubject },
  edges: readonly DelegationEdge[],
  resource: string,
  zone: ZoneSnapshot,
  seconds: number,
): readonly MatchingGrant[] {
  const all = zone.grants.get(grantKey(root.applicationID, resource)) ?? [];
  return matchGrants(all, root.subject, seconds).filter(({ grant }) => travels(grant, edges));
}

export interface Reach {
  readonly resource: string;
  readonly scopes: readonly string[];
}

/**
 * What the edge gives now: per Resource the scopes that the root's Grants and every edge of the chain have in common;
 * nothing where an exchange under it would be denied for another reason.
 */
export function reachOf(
  edge: DelegationEdge,
  source: AgentSession,
  runtime: RuntimeView,
  zone: ZoneSnapshot,
  now: number,
): readonly Reach[] {
  const above = edgesOf(edge.path.slice(0, -1), runtime);
  if (!above || closedEdge([...above, edge], zone)) return [];
  const edges = [...above, edge];
  if (membersUntil(edges, edge.receiver, zone) <= Math.floor(now / 1000)) return [];
  const rootSession = above[0] ? runtime.session(above[0].sourceSessionID) : source;
  if (!rootSession) return [];
  const root = { applicationID: rootSession.application.id, subject: rootSession.subject };
  const identifiers = edge.resources.length > 0 ? edge.resources : [...zone.resources.keys()];
  return identifiers.flatMap((resource) => {
    const granted = travellingGrants(root, edges, resource, zone, Math.floor(now / 1000));
    const scopes = edge.scopes.filter(
      (scope) =>
        granted.some(({ grant }) => grant.scopes.includes(scope)) &&
        edges.every((one) => carries(one, resource, [scope])),
    );
    return scopes.length === 0 ? [] : [{ resource, scopes }];
  });
}

/** Whether the edge itself speaks of this Resource and all of these scopes. */
export function carries({ resources, scopes }: DelegationEdge, resource: string, wanted: readonly string[]): boolean {
  return (resources.length === 0 || resources.includes(resource)) && wanted.every((scope) => scopes.includes(scope));
}
