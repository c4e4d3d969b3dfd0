/** When a zone's signing keys are made, sign and go: pure, over the keys as they are and the time. */
import { CLOCK_SKEW } from './instants.ts';
import type { PrivateZoneKey } from './keys.ts';

export interface RotationState {
  readonly keys: readonly PrivateZoneKey[];
  /** Unix milliseconds, as all instants here; durations are milliseconds. */
  readonly now: number;
  readonly rotateEveryMs: number;
  /** How long a key is known to be served before it signs; at least 10 minutes, since verifiers cache for 5. */
  readonly publishBeforeMs: number;
  /** How long a key is still published after its successor took over. */
  readonly overlapMs: number;
  readonly maxMandateLifetimeMs: number;
  readonly revoked: readonly string[];
  /** Whether every ready replica serves the key. */
  readonly servedByAll: (kid: string) => boolean;
}

export interface RotationPlan {
  readonly keys: readonly PrivateZoneKey[];
  /** Whether `keys` differ from those given: they must be written. */
  readonly changed: boolean;
  /** When to plan again; while only `servedByAll` is waited for, that has no time: plan again when replicas report. */
  readonly nextChange: number | undefined;
  readonly signing: PrivateZoneKey | undefined;
  /** When the next key takes over, or where that is not settled yet, when the signing one is due. */
  readonly rotatesAt: number;
}

type Generate = (activeAt: number | undefined) => PrivateZoneKey;
type ActiveKey = PrivateZoneKey & { readonly activeAt: number };

/** After it one key signs (unless the clock went back) and exactly one waits, standing by or with its hour set. */
export function planRotation(state: RotationState, generate: Generate): RotationPlan {
  const live = state.keys.filter(({ kid }) => !state.revoked.includes(kid));
  const started = startSigning(live, state, generate);
  const kept = dropSuperseded(scheduleNext(dropSpare(started, state.now), state), state);
  const keys = kept.some((key) => isWaiting(key, state.now)) ? kept : [...kept, generate(undefined)];
  const signing = selectSigningKey(keys, state.now);
  return {
    keys,
    changed: keys.length !== state.keys.length || keys.some((key, index) => key !== state.keys[index]),
    nextChange: findNextChange(keys, state),
    signing,
    rotatesAt: nextHour(keys, state.now) ?? (signing?.activeAt ?? state.now) + state.rotateEveryMs,
  };
}

/** The newest `activeAt` that is not in the future; of two the greater kid, so that every replica chooses the same. */
export function selectSigningKey<K extends Pick<PrivateZoneKey, 'kid' | 'activeAt'>>(
  keys: readonly K[],
  now: number,
): K | undefined {
  let newest: K | undefined;
  for (const key of keys) {
    if (key.activeAt === undefined || key.activeAt > now) continue;
    const lead = newest ? key.activeAt - newest.activeAt! : 1;
    if (lead > 0 || (lead === 0 && key.kid > newest!.kid)) newest = key;
  }
  return newest;
}

/** When none may sign, or the one that did was revoked, the one that waits signs at once: it was published. */
function startSigning(
  live: readonly PrivateZoneKey[],
  { keys, now }: RotationState,
  generate: Generate,
): readonly PrivateZoneKey[] {
  const signing = selectSigningKey(keys, now);
  if (signing && live.includes(signing)) return live;
  const next = live.filter((key) => isWaiting(key, now)).sort(byTurn)[0];
  if (!next) return [...live, generate(now)];
  return live.map((key) => (key === next ? { ...key, activeAt: now } : key));
}

/** Only one waits; a standby too many never signed anything. */
function dropSpare(keys: readonly PrivateZoneKey[], now: number): readonly PrivateZoneKey[] {
  const next = keys.filter((key) => isWaiting(key, now)).sort(byTurn)[0];
  return keys.filter((key) => key === next || key.activeAt !== undefined);
}

function scheduleNext(keys: readonly PrivateZoneKey[], state: RotationState): readonly PrivateZoneKey[] {
  const { now, rotateEveryMs, publishBeforeMs, servedByAll } = state;
  const signing = selectSigningKey(keys, now);
  if (!signing || now < signing.activeAt! + rotateEveryMs) return keys;
  const isDue = (key: PrivateZoneKey) => key.activeAt === undefined && servedByAll(key.kid);
  return keys.map((key) => (isDue(key) ? { ...key, activeAt: now + publishBeforeMs } : key));
}

/** A key goes when the last token that it can have signed is over for every verifier. */
function dropSuperseded(keys: readonly PrivateZoneKey[], state: RotationState): readonly PrivateZoneKey[] {
  return keys.filter((key) => {
    const goesAt = removalTime(key, keys, state);
    return goesAt === undefined || state.now < goesAt;
  });
}

/** Undefined while no later key has become active. */
function removalTime(key: PrivateZoneKey, keys: readonly PrivateZoneKey[], state: RotationState): number | undefined {
  const order = keys.filter((one) => isActive(one, state.now)).sort(byTurn);
  const position = order.indexOf(key as ActiveKey);
  const successor = position < 0 ? undefined : order[position + 1];
  if (!successor) return undefined;
  return successor.activeAt! + Math.max(state.overlapMs, state.maxMandateLifetimeMs + CLOCK_SKEW * 1000);
}

function findNextChange(keys: readonly PrivateZoneKey[], state: RotationState): number | undefined {
  const signing = selectSigningKey(keys, state.now);
  const hour = nextHour(keys, state.now);
  const due = hour ?? (signing ? signing.activeAt! + state.rotateEveryMs : undefined);
  const times = [due, ...keys.map((key) => removalTime(key, keys, state))];
  const future = times.filter((time): time is number => time !== undefined && time > state.now);
  return future.length === 0 ? undefined : Math.min(...future);
}

/** When the waiting key becomes active, if that is set. */
function nextHour(keys: readonly PrivateZoneKey[], now: number): number | undefined {
  const hours = keys.map(({ activeAt }) => activeAt).filter((hour) => hour !== undefined);
  const future = hours.filter((hour) => hour > now);
  return future.length === 0 ? undefined : Math.min(...future);
}

function isActive(key: PrivateZoneKey, now: number): key is ActiveKey {
  return key.activeAt !== undefined && key.activeAt <= now;
}

function isWaiting(key: PrivateZoneKey, now: number): boolean {
  return !isActive(key, now);
}

/** Keys with an hour first and in its order, then standbys by age. */
function byTurn(left: PrivateZoneKey, right: PrivateZoneKey): number {
  const turn = compare(left.activeAt ?? Infinity, right.activeAt ?? Infinity);
  return turn || compare(left.createdAt, right.createdAt) || (left.kid < right.kid ? -1 : 1);
}

function compare(left: number, right: number): number {
  return left === right ? 0 : left - right;
}
