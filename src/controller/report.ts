/** Report: brings the status of every object to what its verdict and the observation say, with as few writes as can be. */
import type { Revocation } from '../api/revocation.ts';
import type { Resource } from '../api/resource.ts';
import { shownFreeze, toStatus, type Observation } from '../compiler/status.ts';
import type { Verdict } from '../compiler/verdict.ts';
import type { World } from '../compiler/world.ts';
import type { Outbox } from './outbox.ts';
import { freezeOf, type Counts, type Observed } from './observed.ts';
import type { Publisher } from './ports.ts';
import { gatewaysInformed, gatewaysToShow, isProgrammable, judge, toStanding, type Standing } from './standing.ts';
import { canonical, isUnsettled, isSameStatus, readyTransition } from './statusChange.ts';
import type { Versions } from './versions.ts';
import { findObject, type AnyObject } from './worldIndex.ts';

/** How long the first write waits for something better to say than Pending or NotFound. */
const SETTLE_MS = 250;
/** How long a write may take to come back by the watch. */
const ECHO_MS = 2_000;

export interface ReportInput {
  readonly world: World;
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly observed: Observed;
  /** Versions of the last changes of the world. */
  readonly required: Versions;
  /** Also those whose status is settled: the observation is a new one. */
  readonly everything: boolean;
  /** Unix and monotonic milliseconds. */
  readonly wall: number;
  readonly now: number;
  /** Whether something that will change this verdict is being written now. */
  isHeld(key: string, verdict: Verdict): boolean;
}

interface ReportOutcome {
  /** Monotonic milliseconds at which a status that waits must be written. */
  readonly nextWrite: number | undefined;
  /** Since when the newest of those waits that are not known to be served; undefined: none. */
  readonly waitingSince: number | undefined;
}

export interface ReportPorts {
  readonly publisher: Pick<Publisher, 'writeStatus' | 'emitEvent'>;
  readonly outbox: Outbox;
  readonly issuer: string;
  monotonic(): number;
  onWritten(what: 'status' | 'event'): void;
  onEventFailure(error: unknown): void;
  onProgrammed(ms: number): void;
}

export interface Reporter {
  report(input: ReportInput): ReportOutcome;
  /** Forgets everything: another process may have written meanwhile. */
  clear(): void;
}

export function createReporter(ports: ReportPorts): Reporter {
  const standings = new Map<string, Standing>();
  return {
    report(input) {
      let [nextWrite, waitingSince] = [Infinity, -Infinity];
      for (const [key, verdict] of input.verdicts) {
        const before = standings.get(key);
        if (before?.verdict === verdict && before.settled && !input.everything) continue;
        const object = findObject(input.world, verdict.kind, key);
        if (object === undefined) continue;
        const { status } = object;
        const standing = toStanding(before, { verdict, status, required: input.required, now: input.now });
        standings.set(key, standing);
        if (input.isHeld(key, verdict)) continue;
        const result = settle(key, object, standing, input, ports);
        nextWrite = Math.min(nextWrite, result.writeAt ?? Infinity);
        if (result.waits) waitingSince = Math.max(waitingSince, standing.since);
      }
      if (standings.size > input.verdicts.size)
        for (const key of standings.keys()) if (!input.verdicts.has(key)) standings.delete(key);
      return { nextWrite: finite(nextWrite), waitingSince: finite(waitingSince) };
    },
    clear: () => standings.clear(),
  };
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

interface Settling {
  /** Whether it waits for replicas to serve it. */
  readonly waits: boolean;
  readonly writeAt?: number;
}

function settle(key: string, object: AnyObject, standing: Standing, input: ReportInput, ports: ReportPorts): Settling {
  const { verdict } = standing;
  const { now } = input;
  const wasServed = standing.servedAt !== undefined;
  const observation = observe(object, standing, input, ports.issuer);
  if (!wasServed && standing.servedAt !== undefined) ports.onProgrammed(now - standing.since);
  const status = toStatus(verdict, object.status, observation, input.wall);
  const waits = isProgrammable(verdict) && (observation.replicas !== 'current' || isSpreading(verdict, status));
  const isSame = isSameStatus(status, object.status);
  standing.settled = isSame && !waits;
  if (isSame) {
    standing.dirtySince = undefined;
    return { waits };
  }
  standing.dirtySince ??= now;
  const due = standing.dirtySince + SETTLE_MS;
  if (isUnsettled(status) && now < due) return { waits: isProgrammable(verdict), writeAt: due };
  return { waits, ...write(key, object, standing, status, ports) };
}

function write(
  key: string,
  object: AnyObject,
  standing: Standing,
  status: Readonly<Record<string, unknown>>,
  ports: ReportPorts,
): { readonly writeAt?: number } {
  const { resourceVersion } = object.metadata;
  const { verdict, written } = standing;
  const text = canonical(status);
  if (written?.resourceVersion === resourceVersion) {
    // Written, and the object has no other version: the watch is still to come, or the server found nothing to change.
    if (written.text === text) return {};
    const now = ports.monotonic();
    if (now < written.at + ECHO_MS) return { writeAt: written.at + ECHO_MS };
  }
  const { kind, namespace, name, uid } = verdict;
  const reference = { kind, namespace, name, uid, resourceVersion };
  const transition = kind === 'PolicySetRevision' ? undefined : readyTransition(object.status, status);
  const counted = canonical(shownGateways(object)) !== canonical(status['gateways']);
  ports.outbox.send(`status ${key}`, `${resourceVersion} ${text}`, async () => {
    await ports.publisher.writeStatus(reference, status);
    const at = ports.monotonic();
    standing.written = { resourceVersion, text, at };
    standing.dirtySince = undefined;
    if (counted) standing.countedAt = at;
    ports.onWritten('status');
    if (transition !== undefined) await tell(reference, transition, ports);
  });
  return {};
}

/** An Event that cannot be written is no reason to write the status again. */
async function tell(
  reference: Parameters<Publisher['emitEvent']>[0],
  transition: NonNullable<ReturnType<typeof readyTransition>>,
  ports: ReportPorts,
): Promise<void> {
  try {
    await ports.publisher.emitEvent(reference, transition.type, transition.reason, transition.message);
    ports.onWritten('event');
  } catch (error) {
    ports.onEventFailure(error);
  }
}

function observe(object: AnyObject, standing: Standing, input: ReportInput, issuer: string): Observation {
  const { kind, namespace, name, uid } = standing.verdict;
  const { observed, now, world } = input;
  const shown = shownGateways(object);
  if (kind === 'Zone') {
    const id = `${namespace}.${name}`;
    const state = world.keySets.get(uid);
    const keys = state?.ok === true ? state.keys.filter(({ kid }) => !isRevoked(object, kid)) : [];
    const replicas = judge(standing, observed, now, { id, keys });
    const freeze = freezeOf(observed, id, shownFreeze(standing.verdict, object.status));
    const seen = { replicas, issuer, ...(freeze !== undefined && { freeze }) };
    return withGateways(seen, gatewaysToShow(standing, shown, observed, now, { zoneID: id }));
  }
  const replicas = judge(standing, observed, now);
  if (kind === 'Revocation') {
    const place = placeOf(object as unknown as Revocation, world);
    return withGateways({ replicas }, gatewaysInformed(standing, object.status, observed, now, place));
  }
  if (kind !== 'Resource') return { replicas };
  const { spec, metadata } = object as unknown as Resource;
  const zoneID = `${spec.zoneRef.namespace ?? metadata.namespace}.${spec.zoneRef.name}`;
  const place = { zoneID, identifier: spec.identifier };
  return withGateways({ replicas }, gatewaysToShow(standing, shown, observed, now, place));
}

/** A Revocation is waited for until gateways know of it as well. */
function isSpreading({ kind }: Verdict, status: Readonly<Record<string, unknown>>): boolean {
  return kind === 'Revocation' && isUnsettled(status);
}

/** Of a Resource that it targets only the gateways that serve it. */
function placeOf({ spec, metadata }: Revocation, { resources }: World) {
  const zoneID = `${spec.zoneRef.namespace ?? metadata.namespace}.${spec.zoneRef.name}`;
  const { resource } = spec.target;
  if (!resource) return { zoneID };
  const namespace = resource.namespace ?? metadata.namespace;
  const found = resources.find((one) => one.metadata.name === resource.name && one.metadata.namespace === namespace);
  return found ? { zoneID, identifier: found.spec.identifier } : { zoneID };
}

function withGateways(observation: Observation, gateways: Counts | undefined): Observation {
  return gateways === undefined ? observation : { ...observation, gateways };
}

function isRevoked(object: AnyObject, kid: string): boolean {
  const { keys } = object.spec as { readonly keys?: { readonly revoke?: readonly string[] } };
  return keys?.revoke?.includes(kid) === true;
}

function shownGateways(object: AnyObject): Counts | undefined {
  return (object.status as { readonly gateways?: Counts } | undefined)?.gateways;
}
