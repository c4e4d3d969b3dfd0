/** compile: the world at an instant → what every verifier serves, what every object is told, and when to look again. */
import type { Application } from '../api/application.ts';
import type { Grant } from '../api/grant.ts';
import type { Policy } from '../api/policy.ts';
import type { PolicySet } from '../api/policySet.ts';
import type { PolicySetRevision } from '../api/policySetRevision.ts';
import type { Resource } from '../api/resource.ts';
import type { Zone } from '../api/zone.ts';
import { grantKey, type ApplicationEntry, type GrantEntry, type ResourceEntry, type Snapshot, type ZoneSnapshot } from '../authority/snapshot.ts';
import type { PolicyResults } from '../policy/results.ts';
import * as application from './application.ts';
import { resolveConflicts } from './conflicts.ts';
import { createZoneDirectory, resolveZone, type ZoneDirectory } from './consent.ts';
import * as grant from './grant.ts';
import { createNextChange, type NextChange } from './instants.ts';
import { checkName, isPresent, path, toAccepted, toVerdict, verdictKey, type AnyKindObject, type Refusal } from './outcome.ts';
import * as policy from './policy.ts';
import { compilePolicySet, type PolicySetContent } from './policySet.ts';
import * as revision from './policySetRevision.ts';
import * as resource from './resource.ts';
import type { Verdict, VerdictCondition } from './verdict.ts';
import type { World } from './world.ts';
import * as zones from './zone.ts';
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

/** What the passes share and fill. */
interface Pass {
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
  compileGrants(pass, acceptedApplications, acceptedResources);
  const active = compilePolicies(pass);
  return { snapshot: toSnapshot(pass, active, previous), verdicts: pass.verdicts, nextChange: pass.nextChange.earliest() };
}

function toPass(world: World, now: number, results: PolicyResults): Pass {
  const present = indexPresent(world.zones);
  const refused = new Set<Zone>();
  for (const zone of present.values()) if (checkName(zone, world.systemNamespace)) refused.add(zone);
  const directory = createZoneDirectory(present, refused, world.namespaces);
  const accepted = [...present.values()].filter((zone) => !refused.has(zone));
  const parts = new Map(accepted.map((zone) => [zone, { applications: new Map(), resources: new Map(), grants: new Map() }]));
  return { world, now, results, verdicts: new Map(), nextChange: createNextChange(now), directory, parts };
}

function indexPresent<T extends AnyKindObject>(objects: readonly T[]): ReadonlyMap<string, T> {
  const index = new Map<string, T>();
  for (const object of objects) if (isPresent(object)) index.set(path(object), object);
  return index;
}

function settle(pass: Pass, object: AnyKindObject, refusal: Refusal | undefined, fields: Readonly<Record<string, unknown>>) {
  pass.verdicts.set(verdictKey(object), toVerdict(object, [toAccepted(object, refusal)], fields));
}

type Placed<T> = readonly { readonly object: T; readonly zone: Zone }[];

/** Names, zone and content, in this order; candidates for conflicts come back, the others have their verdict. */
function admit<T extends Application | Resource>(
  pass: Pass,
  objects: readonly T[],
  checks: { name(object: T): Refusal | undefined; content(object: T, zone: Zone): Refusal | undefined; fields(object: T): Readonly<Record<string, unknown>> },
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

function compileResources(pass: Pass): ReadonlyMap<Resource, Zone> {
  const candidates = admit(pass, pass.world.resources, {
    name: (object) => resource.checkIdentifierName(object, pass.world.systemNamespace),
    content: resource.checkResourceContent,
    fields: () => ({}),
  });
  const losers = losersOf(candidates, ({ spec }) => [spec.identifier]);
  const accepted = new Map<Resource, Zone>();
  for (const { object, zone } of candidates) {
    const lost = losers.get(object);
    settle(pass, object, lost && resource.identifierConflict(object, lost.winner), {});
    if (lost) continue;
    accepted.set(object, zone);
    pass.parts.get(zone)!.resources.set(object.spec.identifier, resource.toResourceEntry(object));
  }
  return accepted;
}

function compileGrants(pass: Pass, applications: ReadonlyMap<Application, Zone>, resources: ReadonlyMap<Resource, Zone>) {
  const targets: grant.GrantTargets = {
    applications: indexPresent(pass.world.applications),
    resources: indexPresent(pass.world.resources),
    acceptedZone: (object) => (object.kind === 'Application' ? applications.get(object) : resources.get(object)),
  };
  for (const object of pass.world.grants) {
    if (isPresent(object)) settle(pass, object, compileGrant(pass, object, targets), grant.grantFields(object));
  }
  for (const { grants } of pass.parts.values()) {
    for (const list of grants.values()) list.sort((a, b) => (a.name < b.name ? -1 : 1));
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
  if (!time) place(pass.parts.get(placed.zone)!.grants, grant.toGrantEntry(object, references.application, references.resource));
  return time;
}

/** Its start while that is to come, its end while it is in force. */
function addPeriod(nextChange: NextChange, object: Grant, refusal: Refusal | undefined): void {
  const { notBefore, expiresAt } = grant.grantPeriod(object);
  if (refusal?.reason === 'NotYetValid' && notBefore !== undefined && Number.isFinite(notBefore)) nextChange.add(notBefore * 1000);
  if (expiresAt !== undefined) nextChange.add(expiresAt * 1000);
}

function place(grants: Map<string, GrantEntry[]>, entry: GrantEntry): void {
  const key = grantKey(entry.applicationID, entry.resource);
  const list = grants.get(key);
  if (list) list.push(entry);
  else grants.set(key, [entry]);
}

/** Policies, sets, Zones and revisions; the active revision of each accepted Zone comes back. */
function compilePolicies(pass: Pass): ReadonlyMap<Zone, PolicySetRevision> {
  const policies = indexPresent(pass.world.policies);
  for (const object of policies.values()) settlePolicy(pass, object);
  const sets = indexPresent(pass.world.policySets);
  const { systemNamespace } = pass.world;
  const allowed = pass.world.policySetRevisions.filter((object) => !checkName(object, systemNamespace));
  const revisions = revision.groupRevisions(sets, allowed);
  const contents = new Map<string, PolicySetContent>();
  for (const [key, set] of sets) {
    const content = compilePolicySet(set, policies, pass.results, systemNamespace);
    contents.set(key, content);
    settlePolicySet(pass, set, content, revisions.get(key) ?? []);
  }
  const active = settleZones(pass, sets, revisions, contents);
  settleRevisions(pass, active);
  return active;
}

function settlePolicy(pass: Pass, object: Policy): void {
  const report = policy.reportOf(object, pass.results);
  const reserved = checkName(object, pass.world.systemNamespace);
  if (!report && !reserved) return;
  settle(pass, object, reserved ?? (report && policy.checkPolicyReport(object, report)), policy.policyFields(report));
}

function settlePolicySet(pass: Pass, set: PolicySet, content: PolicySetContent, revisions: readonly PolicySetRevision[]): void {
  if (content.type === 'pending') return;
  const latest = revisions.findLast((candidate) => revision.revisionProblem(candidate) === undefined);
  const fields = {
    policies: set.spec.policies.length,
    ...(latest && { revision: latest.spec.number, digest: latest.spec.digest }),
  };
  settle(pass, set, content.type === 'refused' ? content.refusal : undefined, fields);
}

function settleZones(
  pass: Pass,
  sets: ReadonlyMap<string, PolicySet>,
  revisions: ReadonlyMap<string, readonly PolicySetRevision[]>,
  contents: ReadonlyMap<string, PolicySetContent>,
): ReadonlyMap<Zone, PolicySetRevision> {
  const active = new Map<Zone, PolicySetRevision>();
  for (const zone of pass.directory.zones.values()) {
    const key = `${zone.metadata.namespace}/${zone.spec.policySetRef?.name ?? ''}`;
    const choice = zones.choosePolicy(zone, sets.has(key) ? (revisions.get(key) ?? []) : undefined, contents.get(key)?.type === 'refused');
    const refusal = checkName(zone, pass.world.systemNamespace);
    if (choice.active && !refusal) active.set(zone, choice.active);
    settleZone(pass, zone, refusal, choice);
  }
  return active;
}

function settleZone(pass: Pass, zone: Zone, refusal: Refusal | undefined, choice: zones.PolicyChoice): void {
  const state = pass.world.keySets.get(zone.metadata.uid);
  const keys = zones.usableKeys(zone, state);
  for (const { activeAt } of keys) if (activeAt !== undefined) pass.nextChange.add(activeAt);
  const conditions: VerdictCondition[] = [toAccepted(zone, refusal), zones.toKeysReady(zone, state, pass.now), choice.condition];
  const { freeze } = zone.spec;
  if (freeze) conditions.push({ type: 'Frozen', status: 'True', reason: 'Frozen', message: freeze.reason });
  const fields = zones.zoneFields(zone, choice.active, zones.signingKey(keys, pass.now));
  pass.verdicts.set(verdictKey(zone), toVerdict(zone, conditions, fields));
}

function settleRevisions(pass: Pass, active: ReadonlyMap<Zone, PolicySetRevision>): void {
  const users = Map.groupBy(active.keys(), (zone) => active.get(zone)!);
  for (const object of pass.world.policySetRevisions) {
    if (!isPresent(object)) continue;
    const reserved = checkName(object, pass.world.systemNamespace);
    const condition = revision.toActiveCondition(object, users.get(object) ?? []);
    const conditions = reserved ? [toAccepted(object, reserved), condition] : [condition];
    pass.verdicts.set(verdictKey(object), toVerdict(object, conditions, {}));
  }
}

function toSnapshot(
  pass: Pass,
  active: ReadonlyMap<Zone, PolicySetRevision>,
  previous: ReadonlyMap<string, ZoneSnapshot>,
): Snapshot {
  const snapshots = new Map<string, ZoneSnapshot>();
  for (const [zone, parts] of pass.parts) {
    const settings = zones.toZoneSettings(zone);
    const chosen = active.get(zone);
    const content = {
      ...settings,
      ...parts,
      policy: chosen && revision.toActivePolicy(chosen),
      keys: zones.usableKeys(zone, pass.world.keySets.get(zone.metadata.uid)),
    };
    const digest = zoneDigest(content, settings);
    const before = previous.get(settings.id);
    snapshots.set(settings.id, before?.digest === digest ? before : { ...content, digest });
  }
  return { zones: snapshots };
}
