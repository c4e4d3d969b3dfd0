/** Turns the flags of `caracal explain` into an exchange request against the compiled manifests. */
import type { ExchangeRequest } from '../authority/decision.ts';
import { matchesSubject } from '../authority/grants.ts';
import type { PolicySubject } from '../authority/policyInput.ts';
import type { ApplicationEntry, GrantEntry, ZoneSnapshot } from '../authority/snapshot.ts';
import { grantKey } from '../authority/snapshot.ts';
import { compile } from '../compiler/compile.ts';
import type { CompileResult } from '../compiler/compile.ts';
import { objectKey } from '../compiler/verdict.ts';
import type { OfflineWorld } from '../up/offline.ts';
import type { ExplainOptions } from './explain.ts';
import { CommandError } from './runtime.ts';
import { parseSeconds } from './serviceAccountToken.ts';

/** A Grant that speaks of the application and the resource, and what it is short of. */
export interface ConsideredGrant {
  readonly grant: string;
  readonly file: string;
  readonly line: number;
  readonly scopes: readonly string[];
  /** Empty: it covers what is asked, where it is in force. */
  readonly lacks: readonly string[];
  /** Why it is not accepted. */
  readonly notInForce?: string;
}

export interface Question {
  readonly zone: ZoneSnapshot;
  readonly request: ExchangeRequest;
  readonly grants: readonly ConsideredGrant[];
}

/** Throws a CommandError that says why the application is nobody, with the verdict of its manifest. */
export function toQuestion(offline: OfflineWorld, options: ExplainOptions, now: number): Question {
  const { application: id, resource, scope } = options;
  if (id === undefined) throw new CommandError('--application NAMESPACE.NAME is required: who asks?', 2);
  if (resource !== undefined && scope.length === 0) throw new CommandError('--scope is required with --resource', 2);
  const compiled = compile(offline.world, now, offline.results);
  const { zone, application } = findApplication(compiled, offline, id, options.zone);
  const subject = toSubject(application, options);
  const request: ExchangeRequest = {
    zoneID: zone.id,
    principal: toPrincipal(application),
    subject,
    use: resource === undefined ? 'session' : 'resource',
    resource,
    scopes: scope,
    ttlSeconds: options.ttl === undefined ? undefined : parseSeconds(options.ttl, '--ttl'),
    sid: 'explain',
    rootSid: 'explain',
    notAfter: undefined,
  };
  return { zone, request, grants: considerGrants(compiled, offline, zone, request) };
}

function findApplication(
  { snapshot, verdicts }: CompileResult,
  { entries }: OfflineWorld,
  id: string,
  zoneID?: string,
) {
  const found = [...snapshot.zones.values()].flatMap((zone) => {
    const application = zone.applications.get(id);
    return application && (zoneID === undefined || zone.id === zoneID) ? [{ zone, application }] : [];
  });
  const [only] = found;
  if (only) return only;
  const entry = entries.find(({ kind, namespace, name }) => kind === 'Application' && `${namespace}.${name}` === id);
  if (!entry)
    throw new CommandError(
      `the manifests have no Application ${id}${zoneID === undefined ? '' : ` of zone ${zoneID}`}`,
    );
  const place = `${entry.file}:${entry.line}: Application ${id}`;
  const [refusal] = entry.refused;
  if (refusal) throw new CommandError(`${place} is refused: ${refusal.path}: ${refusal.message}`);
  const verdict = verdicts.get(objectKey('Application', entry.namespace, entry.name));
  const accepted = verdict?.conditions.find(({ type }) => type === 'Accepted');
  if (accepted?.status === 'False') {
    throw new CommandError(`${place} is not accepted, so nobody is it: ${accepted.reason}: ${accepted.message}`);
  }
  throw new CommandError(`${place} belongs to another zone than ${zoneID}`);
}

/** The first identity of the Application stands for all of them. */
function toPrincipal(application: ApplicationEntry): ExchangeRequest['principal'] {
  const identity = application.identities[0];
  const workload =
    identity?.type === 'serviceAccount'
      ? {
          namespace: identity.namespace,
          service_account: identity.name,
          service_account_uid: 'explain',
          pod: `${identity.name}-0`,
        }
      : null;
  return {
    applicationID: application.id,
    applicationUID: application.uid,
    credential: identity?.type ?? 'serviceAccount',
    instance: 'explain',
    workload,
  };
}

function toSubject(application: ApplicationEntry, { user, group, claim }: ExplainOptions): PolicySubject {
  const nothing = { groups: [], claims: {}, auth_time: null, acr: null, amr: [] };
  if (user === undefined) {
    if (group.length + claim.length > 0) throw new CommandError('--group and --claim need --user ISSUER:SUB', 2);
    return { type: 'application', issuer: '', sub: application.id, ...nothing };
  }
  const separator = user.indexOf(':');
  if (separator < 1) throw new CommandError(`--user "${user}" is no user: write ISSUER:SUB, for example corp:alice`, 2);
  const [issuer, sub] = [user.slice(0, separator), user.slice(separator + 1)];
  return { ...nothing, type: 'user', issuer, sub, groups: group, claims: Object.fromEntries(claim.map(toClaim)) };
}

function toClaim(text: string): readonly [string, string] {
  const separator = text.indexOf('=');
  if (separator < 1) throw new CommandError(`--claim "${text}" is no claim: write NAME=VALUE`, 2);
  return [text.slice(0, separator), text.slice(separator + 1)];
}

/** Every Grant object for this application and resource, the ones that are not accepted too. */
function considerGrants(
  { verdicts }: CompileResult,
  { entries, world }: OfflineWorld,
  zone: ZoneSnapshot,
  { principal, resource, subject, scopes }: ExchangeRequest,
): readonly ConsideredGrant[] {
  const target = resource === undefined ? undefined : zone.resources.get(resource);
  if (!target) return [];
  const live = zone.grants.get(grantKey(principal.applicationID, target.identifier)) ?? [];
  const objects = world.grants.filter(({ spec, metadata }) => {
    const application = `${spec.applicationRef.namespace ?? metadata.namespace}.${spec.applicationRef.name}`;
    return (
      application === principal.applicationID &&
      metadata.namespace === target.namespace &&
      spec.resourceRef.name === target.name
    );
  });
  return objects.map(({ metadata: { namespace, name }, spec }) => {
    const entry = entries.find((one) => one.kind === 'Grant' && one.namespace === namespace && one.name === name);
    const accepted = verdicts
      .get(objectKey('Grant', namespace, name))
      ?.conditions.find(({ type }) => type === 'Accepted');
    const grant = live.find((one) => one.namespace === namespace && one.name === name);
    return {
      grant: `${namespace}/${name}`,
      file: entry?.file ?? '',
      line: entry?.line ?? 0,
      scopes: spec.scopes,
      ...(grant
        ? { lacks: toLacks(grant, subject, scopes) }
        : { lacks: [], notInForce: `${accepted?.reason}: ${accepted?.message}` }),
    };
  });
}

function toLacks(grant: GrantEntry, subject: PolicySubject, scopes: readonly string[]): readonly string[] {
  const missing = scopes.filter((scope) => !grant.scopes.includes(scope)).map((scope) => `scope ${scope}`);
  const isFor = grant.subjects.some((entry) => matchesSubject(entry, subject));
  const who = subject.type === 'application' ? 'the application itself' : `user ${subject.issuer}:${subject.sub}`;
  return isFor ? missing : [...missing, `${who} as subject`];
}
