/** What one gateway gets of a zone: only the Resources that its ServiceAccount may protect or forward to. */
import { createHash } from 'node:crypto';
import type { FeedConfig, FeedKeys, FeedResource } from '../../authority/feed.ts';
import type { ResourceEntry, ZoneSnapshot } from '../../authority/snapshot.ts';
import type { ServedZone } from '../configuration.ts';
import type { Workload } from '../ports.ts';

/** Keyed by snapshot and ServiceAccount: gateways of one Deployment share the work. */
const slices = new WeakMap<ZoneSnapshot, Map<string, Omit<FeedConfig, 'epoch'>>>();

export function toFeedConfig({ snapshot, epoch }: ServedZone, workload: Workload, issuer: string): FeedConfig {
  const known = slices.get(snapshot) ?? new Map<string, Omit<FeedConfig, 'epoch'>>();
  slices.set(snapshot, known);
  const key = JSON.stringify([workload.namespace, workload.serviceAccount]);
  const slice = known.get(key) ?? toSlice(snapshot, workload, issuer);
  known.set(key, slice);
  return { ...slice, epoch };
}

/** A zone that is no more: nothing passes. */
export function toClosedConfig({ snapshot, epoch }: ServedZone, issuer: string): FeedConfig {
  return { ...withDigest({ ...toHead(snapshot, issuer), frozen: true, resources: [] }), epoch };
}

export function toFeedKeys({ snapshot }: ServedZone): FeedKeys {
  return { keys: snapshot.keys.map(({ kid, x, y }) => ({ kid, x, y })) };
}

export function mayServe(resource: ResourceEntry, zone: ZoneSnapshot, workload: Workload): boolean {
  return mayProtect(resource, workload) || mayForward(resource, zone, workload);
}

function mayProtect({ namespace, protectedBy }: ResourceEntry, workload: Workload): boolean {
  return (
    namespace === workload.namespace && (protectedBy === undefined || protectedBy.includes(workload.serviceAccount))
  );
}

/** An edge: a gateway in the Zone's own namespace. */
function mayForward({ upstream }: ResourceEntry, zone: ZoneSnapshot, workload: Workload): boolean {
  return upstream !== undefined && zone.namespace === workload.namespace;
}

function toSlice(zone: ZoneSnapshot, workload: Workload, issuer: string): Omit<FeedConfig, 'epoch'> {
  const resources = [...zone.resources.values()]
    .filter((resource) => mayServe(resource, zone, workload))
    .map((resource) => toFeedResource(resource, mayForward(resource, zone, workload)))
    .sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  return withDigest({ ...toHead(zone, issuer), frozen: zone.frozen !== undefined, resources });
}

function toHead(zone: ZoneSnapshot, issuer: string) {
  return { zone_id: zone.id, zone_uid: zone.uid, issuer, stale_after_ms: zone.staleAfter * 1000 };
}

function withDigest(members: Omit<FeedConfig, 'epoch' | 'digest'>): Omit<FeedConfig, 'epoch'> {
  return { ...members, digest: createHash('sha256').update(JSON.stringify(members)).digest('hex') };
}

function toFeedResource(resource: ResourceEntry, isForwarded: boolean): FeedResource {
  const { identifier, namespace, name, scopes, operations, operationEnforcement, upstream } = resource;
  return {
    identifier,
    namespace,
    name,
    scopes,
    operations,
    operation_enforcement: operationEnforcement,
    forward_mandate: resource.forwardMandate,
    single_use: resource.singleUse,
    proof_of_possession: resource.proofOfPossession,
    ...(isForwarded && upstream !== undefined && { upstream }),
  };
}
