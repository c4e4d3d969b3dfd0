/** What this replica serves, for the controller: per kind the resourceVersion, per zone its keys and gateways. */
import type { ReplicaReport, ReplicaZoneReport } from '../controller/ports.ts';
import type { Configuration, ServedZone } from './configuration.ts';
import type { StreamReport } from './feed/hub.ts';

export function toReplicaReport(
  replica: string,
  configuration: Pick<Configuration, 'versions' | 'zones'>,
  streams: readonly StreamReport[],
): ReplicaReport {
  const byZone = Map.groupBy(streams, ({ zoneID }) => zoneID);
  const zones = [...configuration.zones()].map(([id, zone]) => [id, toZoneReport(zone, byZone.get(id) ?? [])] as const);
  return { replica, versions: configuration.versions(), zones: Object.fromEntries(zones) };
}

function toZoneReport({ snapshot, runtime }: ServedZone, streams: readonly StreamReport[]): ReplicaZoneReport {
  const identifiers = [...new Set(streams.flatMap(({ resources }) => resources))].sort();
  const resources = identifiers.map((identifier) => {
    const serving = streams.filter(({ resources: served }) => served.includes(identifier));
    return [identifier, toCounts(serving)] as const;
  });
  const freeze = runtime.freeze();
  return {
    ...(freeze && { freeze: freeze.reason }),
    kids: snapshot.keys.map(({ kid }) => kid),
    gateways: toCounts(streams),
    resources: Object.fromEntries(resources),
  };
}

function toCounts(streams: readonly StreamReport[]) {
  return {
    connected: streams.length,
    current: streams.filter(({ current }) => current).length,
    informed: streams.filter(({ informed }) => informed).length,
  };
}
