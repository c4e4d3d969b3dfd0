/** A zone denies everything while its spec or a command freezes it: either one holds, and each is lifted where it was set. */
import type { Changed } from './agents/outcome.ts';
import { changed } from './agents/outcome.ts';
import { FREEZE_ID, type ZoneFreeze } from './runtime.ts';
import type { RuntimeView } from './runtimeIndex.ts';
import type { ZoneSnapshot } from './snapshot.ts';

/** The snapshot as it is in force: with the freeze by command, where there is one. The very same where there is none. */
export function withFreeze(zone: ZoneSnapshot, runtime: Pick<RuntimeView, 'freeze'>): ZoneSnapshot {
  const freeze = runtime.freeze();
  if (!freeze) return zone;
  const reasons = [zone.frozen?.reason, freeze.reason].filter((reason) => reason !== undefined);
  return { ...zone, frozen: { reason: reasons.join('; ') } };
}

/** Every mandate of the zone is looked at again. */
const EVERYTHING = { all: true, applications: [], resources: [] } as const;

/** `now` in Unix milliseconds. A zone that is frozen by command already keeps the first reason. */
export function freezeZone(
  { reason, by }: Pick<ZoneFreeze, 'reason' | 'by'>,
  runtime: Pick<RuntimeView, 'freeze'>,
  now: number,
): Changed<ZoneFreeze> {
  const present = runtime.freeze();
  if (present) return changed(present, []);
  const freeze: ZoneFreeze = { kind: 'zoneFreeze', id: FREEZE_ID, status: 'frozen', reason, by, at: now };
  return changed(freeze, [freeze], EVERYTHING);
}

/** The result is undefined where no command froze the zone; what the spec says stays in force. */
export function unfreezeZone(
  by: string,
  runtime: Pick<RuntimeView, 'freeze'>,
  now: number,
): Changed<ZoneFreeze | undefined> {
  const present = runtime.freeze();
  if (!present) return changed(undefined, []);
  const lifted: ZoneFreeze = { ...present, status: 'lifted', by, at: now };
  return changed(lifted, [lifted], EVERYTHING);
}
