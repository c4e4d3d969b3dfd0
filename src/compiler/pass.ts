/** What the passes of one compile share: the world, the zones that may be joined, and the verdicts so far. */
import type { Zone } from '../api/zone.ts';
import type { RevocationEntry } from '../authority/revocation.ts';
import type { ApplicationEntry, GrantEntry, ResourceEntry } from '../authority/snapshot.ts';
import type { PolicyResults } from '../policy/results.ts';
import { createZoneDirectory, type ZoneDirectory } from './consent.ts';
import { createNextChange, type NextChange } from './instants.ts';
import { checkName, isPresent, path, toOutcome, type AnyKindObject, type Refusal } from './outcome.ts';
import type { Verdict } from './verdict.ts';
import type { World } from './world.ts';

/** What the passes share and fill. */
export interface Pass {
  readonly world: World;
  readonly now: number;
  readonly results: PolicyResults;
  readonly verdicts: Map<string, Verdict>;
  readonly nextChange: NextChange;
  readonly directory: ZoneDirectory;
  readonly parts: ReadonlyMap<Zone, ZoneParts>;
}

interface ZoneParts {
  readonly applications: Map<string, ApplicationEntry>;
  readonly resources: Map<string, ResourceEntry>;
  readonly grants: Map<string, GrantEntry[]>;
  readonly revocations: RevocationEntry[];
}

export function toPass(world: World, now: number, results: PolicyResults): Pass {
  const present = indexPresent(world.zones);
  const refused = new Set<Zone>();
  for (const zone of present.values()) if (checkName(zone, world.systemNamespace)) refused.add(zone);
  const directory = createZoneDirectory(present, refused, world.namespaces);
  const accepted = [...present.values()].filter((zone) => !refused.has(zone));
  const parts = new Map(
    accepted.map((zone) => [
      zone,
      { applications: new Map(), resources: new Map(), grants: new Map(), revocations: [] },
    ]),
  );
  return { world, now, results, verdicts: new Map(), nextChange: createNextChange(now), directory, parts };
}

export function indexPresent<T extends AnyKindObject>(objects: readonly T[]): ReadonlyMap<string, T> {
  const index = new Map<string, T>();
  for (const object of objects) if (isPresent(object)) index.set(path(object), object);
  return index;
}

/** An object whose only condition is Accepted. */
export function settle(
  pass: Pass,
  object: AnyKindObject,
  refusal: Refusal | undefined,
  fields: Readonly<Record<string, unknown>>,
): void {
  const { key, verdict } = toOutcome(object, refusal, fields);
  pass.verdicts.set(key, verdict);
}
