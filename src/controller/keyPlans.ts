/** Which zones need other signing keys than they have: first keys, rotation, revoked ones, and those of zones that are gone. */
import { parseDuration } from '../api/duration.ts';
import type { Zone } from '../api/zone.ts';
import type { World } from '../compiler/world.ts';
import type { SigningKeySource } from '../sts/ports.ts';
import { generateZoneKey } from '../tokens/generate.ts';
import type { PrivateZoneKey } from '../tokens/keys.ts';
import { planRotation } from '../tokens/rotation.ts';

/** The longest life of anything signed (sessions, ≤60 min) with the verifiers' skew. */
const LONGEST_TOKEN_MS = 60 * 60_000 + 5_000;

export interface KeyPlan {
  readonly zone: { readonly uid: string; readonly id: string };
  /** What the plan was made from. */
  readonly basis: string;
  /** The whole new set; empty: the zone is gone. */
  readonly keys: readonly PrivateZoneKey[];
}

export interface KeyPlans {
  readonly writes: readonly KeyPlan[];
  /** Unix milliseconds of the next change by time alone. */
  readonly nextChange: number | undefined;
}

export interface KeyPlanPorts {
  readonly source: SigningKeySource;
  /** Whether a write made from this basis may start now. */
  isOpen(zoneUID: string, basis: string): boolean;
  servedByAll(zoneID: string, kid: string): boolean;
}

/** Zones with an unusable key set are left alone: only a person knows whether a backup exists. */
export function planKeys(world: World, now: number, ports: KeyPlanPorts): KeyPlans {
  const writes: KeyPlan[] = [];
  let nextChange: number | undefined;
  for (const zone of world.zones) {
    if (zone.metadata.deletionTimestamp !== undefined || isReserved(zone, world)) continue;
    if (world.keySets.get(zone.metadata.uid)?.ok === false) continue;
    const plan = planZone(zone, now, ports);
    if (plan.write !== undefined) writes.push(plan.write);
    if (plan.nextChange !== undefined) nextChange = Math.min(nextChange ?? Infinity, plan.nextChange);
  }
  return { writes, nextChange };
}

/** Names that compile refuses get no keys: nothing of theirs is served. */
function isReserved({ metadata }: Zone, world: World): boolean {
  return metadata.name.startsWith('caracal-sys') && metadata.namespace !== world.systemNamespace;
}

function planZone(
  zone: Zone,
  now: number,
  ports: KeyPlanPorts,
): { readonly write?: KeyPlan; readonly nextChange?: number | undefined } {
  const { uid, namespace, name } = zone.metadata;
  const id = `${namespace}.${name}`;
  const keys = ports.source.keys(uid);
  const revoked = zone.spec.keys.revoke ?? [];
  const basis = [...keys.map(({ kid, activeAt }) => `${kid}@${activeAt ?? ''}`), ...revoked].join(' ');
  if (!ports.isOpen(uid, basis)) return {};
  const plan = planRotation(
    {
      keys,
      now,
      rotateEveryMs: parseDuration(zone.spec.keys.rotateEvery),
      publishBeforeMs: parseDuration(zone.spec.keys.publishBefore),
      overlapMs: parseDuration(zone.spec.keys.overlap),
      maxMandateLifetimeMs: LONGEST_TOKEN_MS,
      revoked,
      servedByAll: (kid) => ports.servedByAll(id, kid),
    },
    (activeAt) => generateZoneKey(now, activeAt),
  );
  return plan.changed
    ? { write: { zone: { uid, id }, basis, keys: plan.keys }, nextChange: plan.nextChange }
    : { nextChange: plan.nextChange };
}

/** Zone UIDs that have keys but no Zone any more. */
export function orphanedKeySets(world: World): readonly string[] {
  if (world.keySets.size === 0) return [];
  const zones = new Set(world.zones.map(({ metadata }) => metadata.uid));
  return [...world.keySets.keys()].filter((uid) => !zones.has(uid));
}
