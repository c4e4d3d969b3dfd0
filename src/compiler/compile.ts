/** compile: the world at an instant → what every verifier serves, what every object is told, and when to look again. */
import type { Application } from '../api/application.ts';
import type { Grant } from '../api/grant.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Revocation } from '../api/revocation.ts';
import type { Resource } from '../api/resource.ts';
import type { Zone } from '../api/zone.ts';
import { grantKey, type GrantEntry, type Snapshot, type ZoneSnapshot } from '../authority/snapshot.ts';
import type { PolicyResults } from '../policy/results.ts';
import * as application from './application.ts';
import { resolveConflicts } from './conflicts.ts';
import { resolveZone } from './consent.ts';
import * as grant from './grant.ts';
import type { NextChange } from './instants.ts';
import { checkName, isPresent, toAccepted, toVerdict, verdictKey, type Refusal } from './outcome.ts';
import { indexPresent, settle, toPass, type Pass } from './pass.ts';
import { perObject } from './perObject.ts';
import { compilePolicies } from './policies.ts';
import { toActivePolicy } from './policySetRevision.ts';
import * as resource from './resource.ts';
import * as revocation from './revocation.ts';
import type { Verdict } from './verdict.ts';
import type { World } from './world.ts';
import { toZoneSettings, usableKeys } from './zone.ts';
import { zoneDigest } from './zoneDigest.ts';

export interface CompileResult {
  readonly snapshot: Snapshot;
  /** By `objectKey(kind, namespace, name)`. A Policy or PolicySet whose results were not gathered has none. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Unix milliseconds of the earliest future instant at which a verdict or the snapshot changes by time alone. */
  readonly nextChange: number | undefined;
}

export interface Compiler {
  /**
   * Pure in its result: only work is remembered, by object reference. `now` in Unix milliseconds. The snapshot does
   * not depend on `results`, so a process that never asks OPA serves the same as one that does.
   */
  compile(world: World, now: number, results: PolicyResults): CompileResult;
}

/** A compiler that reuses the previous ZoneSnapshot reference where its digest is unchanged. */
export function createCompiler(): Compiler {
  let previous: ReadonlyMap<string, ZoneSnapshot> = new Map();
  return {
    compile(world, now, results) {
      const result = compileOnce(world, now, results, previous);
      previous = result.snapshot.zones;
      return result;
    },
  };
}

export function compile(world: World, now: number, results: PolicyResults): CompileResult {
  return compileOnce(world, now, results, new Map());
}

function compileOnce(
  world: World,
  now: number,
  results: PolicyResults,
  previous: ReadonlyMap<string, ZoneSnapshot>,
): CompileResult {
  const pass = toPass(world, now, results);
  const acceptedApplications = compileApplications(pass);
  const acceptedResources = compileResources(pass);
  const targets = toTargets(pass, acceptedApplications, acceptedResources);
  compileGrants(pass, targets);
  compileRevocations(pass, targets);
  const active = compilePolicies(pass);
  return {
    snapshot: toSnapshot(pass, active, previous),
    verdicts: pass.verdicts,
    nextChange: pass.nextChange.earliest(),
  };
}

type Placed<T> = readonly { readonly object: T; readonly zone: Zone }[];

/** Names, zone and content, in this order; candidates for conflicts come back, the others have their verdict. */
function admit<T extends Application | Resource>(
  pass: Pass,
  objects: readonly T[],
  checks: {
    name(object: T): Refusal | undefined;
    content(object: T, zone: Zone): Refusal | undefined;
    fields(object: T): Readonly<Record<string, unknown>>;
  },
): Placed<T> {
  const candidates: { object: T; zone: Zone }[] = [];
  for (const object of objects) {
    if (!isPresent(object)) continue;
    const named = checkName(object, pass.world.systemNamespace) ?? checks.name(object);
    const placed = named ? { refusal: named } : resolveZone(object, pass.directory);
    const refusal = 'refusal' in placed ? placed.refusal : checks.content(object, placed.zone);
    if (refusal || 'refusal' in placed) settle(pass, object, refusal, checks.fields(object));
    else candidates.push({ object, zone: placed.zone });
  }
  return candidates;
}

function losersOf<T extends Application | Resource>(candidates: Placed<T>, keysOf: (object: T) => readonly string[]) {
  const losers = new Map<T, { readonly winner: T; readonly key: string }>();
  for (const members of Map.groupBy(candidates, ({ zone }) => zone).values()) {
    const claims = members.map(({ object }) => ({ object, keys: keysOf(object) }));
    for (const [object, lost] of resolveConflicts(claims)) losers.set(object, lost);
  }
  return losers;
}

function compileApplications(pass: Pass): ReadonlyMap<Application, Zone> {
  const fields = application.applicationFields;
  const content = application.checkApplicationContent;
  const candidates = admit(pass, pass.world.applications, { name: () => undefined, content, fields });
  const losers = losersOf(candidates, application.identityKeys);
  const accepted = new Map<Application, Zone>();
  for (const { object, zone } of candidates) {
    const lost = losers.get(object);
    const refusal = lost
      ? application.conflictMessage(object, lost.winner, lost.key)
      : application.checkApplicationTime(object, pass.now);
    settle(pass, object, refusal, fields(object));
    if (refusal) continue;
    const entry = application.toApplicationEntry(object);
    if (entry.expiresAt !== undefined) pass.nextChange.add(entry.expiresAt * 1000);
    accepted.set(object, zone);
    pass.parts.get(zone)!.applications.set(entry.id, entry);
  }
  return accepted;
}

const NO_FIELDS = {};

function compileResources(pass: Pass): ReadonlyMap<Resource, Zone> {
  const candidates = admit(pass, pass.world.resources, {
    name: (object) => resource.checkIdentifierName(object, pass.world.systemNamespace),
    content: resource.checkResourceContent,
    fields: () => NO_FIELDS,
  });
  const losers = losersOf(candidates, ({ spec }) => [spec.identifier]);
  const accepted = new Map<Resource, Zone>();
  for (const { object, zone } of candidates) {
    const lost = losers.get(object);
    settle(pass, object, lost && resource.identifierConflict(object, lost.winner), NO_FIELDS);
    if (lost) continue;
    accepted.set(object, zone);
    pass.parts.get(zone)!.resources.set(object.spec.identifier, resource.toResourceEntry(object));
  }
  return accepted;
}

function toTargets(
  pass: Pass,
  applications: ReadonlyMap<Application, Zone>,
  resources: ReadonlyMap<Resource, Zone>,
): grant.GrantTargets {
  return {
    applications: indexPresent(pass.world.applications),
    resources: indexPresent(pass.world.resources),
    acceptedZone: (object) => (object.kind === 'Application' ? applications.get(object) : resources.get(object)),
  };
}

function compileGrants(pass: Pass, targets: grant.GrantTargets): void {
  for (const object of pass.world.grants) {
    if (isPresent(object)) settle(pass, object, compileGrant(pass, object, targets), grant.grantFields(object));
  }
  for (const { grants } of pass.parts.values()) {
    for (const list of grants.values()) if (list.length > 1) list.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function compileGrant(pass: Pass, object: Grant, targets: grant.GrantTargets): Refusal | undefined {
  const reserved = checkName(object, pass.world.systemNamespace);
  if (reserved) return reserved;
  const placed = resolveZone(object, pass.directory);
  if ('refusal' in placed) return placed.refusal;
  const references = grant.resolveReferences(object, placed.zone, targets);
  if ('refusal' in references) return references.refusal;
  const content = grant.checkGrantContent(object, placed.zone, references.resource);
  if (content) return content;
  const time = grant.checkGrantTime(object, pass.now);
  addPeriod(pass.nextChange, object, time);
  if (!time)
    place(pass.parts.get(placed.zone)!.grants, grant.toGrantEntry(object, references.application, references.resource));
  return time;
}

/** Its start while that is to come, its end while it is in force. */
function addPeriod(nextChange: NextChange, object: Grant, refusal: Refusal | undefined): void {
  const { notBefore, expiresAt } = grant.grantPeriod(object);
  if (refusal?.reason === 'NotYetValid' && notBefore !== undefined && Number.isFinite(notBefore))
    nextChange.add(notBefore * 1000);
  if (expiresAt !== undefined) nextChange.add(expiresAt * 1000);
}

function compileRevocations(pass: Pass, targets: grant.GrantTargets): void {
  for (const object of pass.world.revocations) {
    if (!isPresent(object)) continue;
    const refusal = compileRevocation(pass, object, targets);
    const at = revocation.completeAt(object);
    if (!refusal) pass.nextChange.add(at);
    const isComplete = !refusal && pass.now >= at;
    const conditions = [toAccepted(object, refusal), ...(isComplete ? [revocation.COMPLETE] : [])];
    pass.verdicts.set(verdictKey(object), toVerdict(object, conditions, revocation.revocationFields(object)));
  }
  for (const { revocations } of pass.parts.values()) revocations.sort((a, b) => (a.uid < b.uid ? -1 : 1));
}

function compileRevocation(pass: Pass, object: Revocation, targets: grant.GrantTargets): Refusal | undefined {
  const reserved = checkName(object, pass.world.systemNamespace);
  if (reserved) return reserved;
  const placed = resolveZone(object, pass.directory);
  if ('refusal' in placed) return placed.refusal;
  const resolved = revocation.resolveTarget(object, placed.zone, targets);
  if ('refusal' in resolved) return resolved.refusal;
  pass.parts.get(placed.zone)!.revocations.push(revocation.toRevocationEntry(object, resolved.target));
  return undefined;
}

const keyOf = perObject((entry: GrantEntry) => grantKey(entry.applicationID, entry.resource));

function place(grants: Map<string, GrantEntry[]>, entry: GrantEntry): void {
  const key = keyOf(entry);
  const list = grants.get(key);
  if (list) list.push(entry);
  else grants.set(key, [entry]);
}

function toSnapshot(
  pass: Pass,
  active: ReadonlyMap<Zone, PolicySetRevision>,
  previous: ReadonlyMap<string, ZoneSnapshot>,
): Snapshot {
  const snapshots = new Map<string, ZoneSnapshot>();
  for (const [zone, parts] of pass.parts) {
    const settings = toZoneSettings(zone);
    const chosen = active.get(zone);
    const content = {
      ...settings,
      ...parts,
      policy: chosen && toActivePolicy(chosen),
      keys: usableKeys(zone, pass.world.keySets.get(zone.metadata.uid)),
    };
    const digest = zoneDigest(content, settings);
    const before = previous.get(settings.id);
    snapshots.set(settings.id, before?.digest === digest ? before : { ...content, digest });
  }
  return { zones: snapshots };
}
