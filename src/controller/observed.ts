/** What the ready STS replicas say of themselves, and what follows from it for one object, zone or key. */
import type { VerificationKey } from '../authority/snapshot.ts';
import type { Observation } from '../compiler/status.ts';
import type { ReplicaReport } from './ports.ts';
import { covers, type Versions } from './versions.ts';

/** `reports` undefined: a replica could not be asked. */
export interface Observed {
  readonly reports: readonly ReplicaReport[] | undefined;
  /** Monotonic milliseconds when the question was sent. */
  readonly askedAt: number;
}

export type Counts = NonNullable<Observation['gateways']>;

export const NOT_OBSERVED: Observed = { reports: undefined, askedAt: -Infinity };

/** Whether every ready replica serves what `required` names, and with a zone also the zone with these keys. */
export function judgeReplicas(
  { reports }: Observed,
  required: Versions,
  zone?: { readonly id: string; readonly keys: readonly VerificationKey[] },
): Observation['replicas'] {
  if (reports === undefined) return 'behind';
  if (reports.length === 0) return 'none';
  const serves = (report: ReplicaReport): boolean =>
    covers(report.versions, required) && (zone === undefined || servesZone(report, zone.id, zone.keys));
  return reports.every(serves) ? 'current' : 'behind';
}

function servesZone(report: ReplicaReport, id: string, keys: readonly VerificationKey[]): boolean {
  const kids = report.zones[id]?.kids;
  return kids !== undefined && keys.every(({ kid }) => kids.includes(kid));
}

/** Why a command froze the zone, as far as a replica says so; `shown` while none could be asked. */
export function freezeOf({ reports }: Observed, zoneID: string, shown: string | undefined): string | undefined {
  if (reports === undefined || reports.length === 0) return shown;
  return reports.flatMap(({ zones }) => zones[zoneID]?.freeze ?? [])[0];
}

/** Whether every ready replica, and at least one, publishes the key. */
export function isServedByAll({ reports }: Observed, zoneID: string, kid: string): boolean {
  if (reports === undefined || reports.length === 0) return false;
  return reports.every((report) => report.zones[zoneID]?.kids.includes(kid) === true);
}

/** Gateways of a zone, or of one resource of it, over all replicas; undefined while nothing is known. `informed`: of changes of authority. */
export function countGateways(
  { reports }: Observed,
  zoneID: string,
  identifier?: string,
  by: 'current' | 'informed' = 'current',
): Counts | undefined {
  if (reports === undefined || reports.length === 0) return undefined;
  let [connected, current] = [0, 0];
  for (const { zones } of reports) {
    const zone = zones[zoneID];
    const counts = identifier === undefined ? zone?.gateways : zone?.resources[identifier];
    connected += counts?.connected ?? 0;
    current += counts?.[by] ?? 0;
  }
  return { connected, current };
}
