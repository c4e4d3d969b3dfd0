/** The finest change between two snapshots of a zone, so that only mandates it can touch are asked about again. */
import type { AuthorityChange } from './feed.ts';
import { mergeRevocations } from './revocation.ts';
import type { ActivePolicy, PolicyModule, ResourceEntry, ZoneSnapshot } from './snapshot.ts';

const EVERYTHING: AuthorityChange = { all: true, applications: [], resources: [] };

/**
 * What changed, or undefined where no issued mandate can be touched. A mandate can be touched exactly if `all`; or
 * `applications` has its `client_id` or another application of its chain, since it rests on the Grants of the root and on
 * the delegation rules of all; or one of its targets is in `resources`; or an agent session or edge of its chain is in
 * `sessions` or `edges`.
 *
 * A changed or removed Grant names its application only (the smaller set); a Resource is named when what a decision
 * reads of it changed, not for operations or upstream, which gateways get as configuration. An added Grant counts as a
 * change where its Application had one on its Resource before, since policies see all that match. A first Grant, a new
 * Application, Resource or subject issuer, keys, limits, step-up settings and staleness touch nothing.
 * An added Revocation names its Application, Resource, agent session or edge; of any other target, and for
 * a first or vanished zone, another UID, freeze, lifetimes, subject issuers and a policy that cannot be narrowed: all.
 */
export function diffZones(
  before: ZoneSnapshot | undefined,
  after: ZoneSnapshot | undefined,
): AuthorityChange | undefined {
  if (before === after || (before && after && before.digest === after.digest)) return undefined;
  if (!before || !after || touchesAll(before, after)) return EVERYTHING;
  const touched: Touched = { applications: new Set(), resources: new Set(), sessions: new Set(), edges: new Set() };
  if (!diffPolicies(before.policy, after.policy, touched)) return EVERYTHING;
  diffApplications(before, after, touched.applications);
  diffResources(before, after, touched.resources);
  diffGrants(before, after, touched.applications);
  if (!diffRevocations(before, after, touched)) return EVERYTHING;
  return toChange(touched);
}

/** By what an `AuthorityChange` names. */
type Touched = Readonly<Record<'applications' | 'resources' | 'sessions' | 'edges', Set<string>>>;

function toChange({ applications, resources, sessions, edges }: Touched): AuthorityChange | undefined {
  if (applications.size + resources.size + sessions.size + edges.size === 0) return undefined;
  return {
    all: false,
    applications: [...applications].sort(),
    resources: [...resources].sort(),
    ...(sessions.size > 0 && { sessions: [...sessions].sort() }),
    ...(edges.size > 0 && { edges: [...edges].sort() }),
  };
}

function touchesAll(before: ZoneSnapshot, after: ZoneSnapshot): boolean {
  if (before.uid !== after.uid || before.id !== after.id) return true;
  if ((before.frozen === undefined) !== (after.frozen === undefined)) return true;
  if (before.mandateTTL !== after.mandateTTL || before.sessionTTL !== after.sessionTTL) return true;
  for (const [name, issuer] of before.subjectIssuers) {
    if (!isSame(issuer, after.subjectIssuers.get(name))) return true;
  }
  return false;
}

function diffApplications(before: ZoneSnapshot, after: ZoneSnapshot, touched: Set<string>): void {
  for (const [id, entry] of before.applications) {
    if (!isSame(entry, after.applications.get(id))) touched.add(id);
  }
}

function diffResources(before: ZoneSnapshot, after: ZoneSnapshot, touched: Set<string>): void {
  for (const [identifier, entry] of before.resources) {
    const next = after.resources.get(identifier);
    if (entry !== next && !isSame(toDecided(entry), next && toDecided(next))) touched.add(identifier);
  }
}

/** The members of a Resource that checks and policy inputs read: which mandates there may be, and of what form. */
function toDecided(entry: ResourceEntry) {
  const { uid, namespace, name, type, scopes, mandateTTL, singleUse, proofOfPossession } = entry;
  return { uid, namespace, name, type, scopes, mandateTTL, singleUse, proofOfPossession };
}

function diffGrants(before: ZoneSnapshot, after: ZoneSnapshot, touched: Set<string>): void {
  for (const [key, entries] of before.grants) {
    if (isSame(entries, after.grants.get(key))) continue;
    for (const { applicationID } of entries) touched.add(applicationID);
  }
}

/** One that went away gives nothing back. False where an added one reaches beyond what a change can name. */
function diffRevocations(before: ZoneSnapshot, after: ZoneSnapshot, touched: Touched): boolean {
  for (const { target } of mergeRevocations(before.revocations, after.revocations).added) {
    if (target.type === 'application') touched.applications.add(target.id);
    else if (target.type === 'resource') touched.resources.add(target.identifier);
    else if (target.type === 'agentSession') touched.sessions.add(target.id);
    else if (target.type === 'delegationEdge') touched.edges.add(target.id);
    else return false;
  }
  return true;
}

/** False where the change cannot be narrowed to Applications or Resources. */
function diffPolicies(
  before: ActivePolicy | undefined,
  after: ActivePolicy | undefined,
  { applications, resources }: Touched,
): boolean {
  if (before?.digest === after?.digest) return true;
  if (!before || !after) return false;
  for (const module of changedModules(before.modules, after.modules)) {
    if (!isNarrow(module)) return false;
    if (module.appliesTo?.applications) module.appliesTo.applications.forEach((id) => applications.add(id));
    else module.appliesTo?.resources?.forEach((identifier) => resources.add(identifier));
  }
  return true;
}

/** Both readings of every module that is not the same in both sets. */
function changedModules(before: readonly PolicyModule[], after: readonly PolicyModule[]): readonly PolicyModule[] {
  const absent = (modules: readonly PolicyModule[], others: readonly PolicyModule[]) =>
    modules.filter((module) => !others.some((other) => isSame(module, other)));
  return [...absent(before, after), ...absent(after, before)];
}

/** Only a module of its own under `caracal.policy.` speaks within its appliesTo; constants are read by others too. */
function isNarrow(module: PolicyModule): boolean {
  if (!module.appliesTo?.applications && !module.appliesTo?.resources) return false;
  const statement = module.rego.split('\n').find((line) => line.trim() !== '' && !line.trim().startsWith('#'));
  return statement !== undefined && /^\s*package\s+caracal\.policy\./.test(statement);
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || (b !== undefined && JSON.stringify(a) === JSON.stringify(b));
}
