/** Would this be allowed, and why: every check, the rules of policy and the Grants, as an exchange now would meet them. */
import { explainChecks } from '../../authority/checks.ts';
import type { Clock } from '../../authority/clock.ts';
import type { ExchangeRequest, Principal } from '../../authority/decision.ts';
import { createOperationIndex } from '../../authority/operations.ts';
import type { PolicyInput, PolicySubject } from '../../authority/policyInput.ts';
import type { ApplicationEntry, PolicyModule, ResourceEntry, ZoneSnapshot } from '../../authority/snapshot.ts';
import { revisionProblem, toActivePolicy } from '../../compiler/policySetRevision.ts';
import type { WorldSource } from '../../compiler/world.ts';
import { isProblem, parseRequest } from '../../http/canonical.ts';
import type { PolicyEngine } from '../../policy/engine.ts';
import { toSaidRules } from '../../policy/ruleText.ts';
import type { ReviewSpec } from '../../runtimeapi/bodies.ts';
import { APIError, notFound } from '../../runtimeapi/errors.ts';
import { instant } from '../../runtimeapi/objects.ts';
import type { Configuration, ServedZone } from '../configuration.ts';
import { decide, type Decided } from '../decisions.ts';
import type { STSPorts } from '../ports.ts';

export interface ReviewPorts {
  readonly configuration: Pick<Configuration, 'zone'>;
  readonly source: Pick<WorldSource, 'world'>;
  readonly policies: Pick<PolicyEngine, 'prepare' | 'evaluate'>;
  readonly explain: STSPorts['explain'];
  readonly clock: Clock;
}

type Status = Readonly<Record<string, unknown>>;

/** Throws APIError. Nothing is written and nothing is minted. */
export async function reviewAuthority(namespace: string, spec: ReviewSpec, ports: ReviewPorts): Promise<Status> {
  const zone = ports.configuration.zone(`${namespace}.${spec.zone}`);
  if (!zone) throw notFound('zones', spec.zone);
  const present = await reviewIn(zone, spec, ports);
  if (spec.policySetRevision === undefined) return present;
  const candidate = await withRevision(zone, namespace, spec.policySetRevision, ports);
  return { ...present, candidate: await reviewIn(candidate, spec, ports) };
}

async function reviewIn(zone: ServedZone, spec: ReviewSpec, ports: ReviewPorts): Promise<Status> {
  const now = ports.clock.now();
  const { snapshot } = zone;
  const resource = spec.resource === undefined ? undefined : snapshot.resources.get(spec.resource);
  const operation = toOperation(spec, resource);
  const request = toRequest(spec, snapshot, operation?.scopes ?? []);
  const decided = await decide(zone, request, now, ports.policies);
  const checks = explainChecks(snapshot, request, now).map(({ name, result, denial }) => ({
    ...{ name, result },
    ...(denial && { reason: denial.reason, message: denial.message, ...toNearest(denial.nearestGrant) }),
  }));
  const { policy } = snapshot;
  return {
    ...toOutcome(decided, operation?.isKnown ?? true),
    ...(operation && { operation: { allowed: operation.isKnown, scopes: operation.scopes } }),
    checks,
    ...(policy && { policySet: { set: policy.set, revision: policy.revision, digest: policy.digest } }),
    policies: await explainInputs(policy?.modules ?? [], decided.inputs, ports.explain),
  };
}

function toNearest(nearest: { readonly grant: string; readonly missing: readonly string[] } | undefined): Status {
  return nearest ? { nearestGrant: nearest } : {};
}

/** `allowed` at once: what waits for a person is not. */
function toOutcome({ result }: Decided, isKnown: boolean): Status {
  if (!isKnown)
    return {
      allowed: false,
      reason: 'OperationNotPermitted',
      message: 'no operation of the Resource matches the request',
    };
  switch (result.type) {
    case 'permit':
      return { allowed: true, grants: result.grants, expiresAt: instant(result.expiresAt * 1000) };
    case 'hold': {
      const [first] = result.requirements;
      const message = `a person has to approve (tier ${first?.tier ?? ''})`;
      return { allowed: false, reason: 'StepUpRequired', message, grants: result.grants };
    }
    case 'denial':
      return { allowed: false, reason: result.reason, message: result.message };
  }
}

async function explainInputs(
  modules: readonly PolicyModule[],
  inputs: readonly PolicyInput[],
  explain: STSPorts['explain'],
): Promise<readonly Status[]> {
  if (!explain) return [];
  const said = await Promise.all(
    inputs.map(async (input) =>
      (await explain(modules, input)).map((module) => ({
        ...{ policy: module.policy, scope: input.scope, outcome: module.outcome, rules: toSaidRules(module) },
      })),
    ),
  );
  return said.flat();
}

/** The zone as it would be with that revision active; never one whose text is not what its digest says. */
async function withRevision(
  zone: ServedZone,
  namespace: string,
  name: string,
  { source, policies }: ReviewPorts,
): Promise<ServedZone> {
  const revision = source
    .world()
    .policySetRevisions.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  if (!revision) throw new APIError(422, 'Invalid', `spec.policySetRevision: the namespace has no revision ${name}`);
  const problem = revisionProblem(revision);
  if (problem !== undefined) throw new APIError(422, 'Invalid', `spec.policySetRevision: ${name}: ${problem}`);
  const policy = toActivePolicy(revision);
  // Loaded beside the zone's own sets, so that no question takes the place of what is in force.
  const uid = `review ${zone.snapshot.uid}`;
  const prepared = await policies.prepare(uid, policy.digest, policy.modules);
  if (!prepared.ok) throw new APIError(422, 'Invalid', `spec.policySetRevision: ${name}: ${prepared.message}`);
  return { ...zone, snapshot: { ...zone.snapshot, uid, policy } };
}

interface ReviewedOperation {
  /** The Resource lets such a request through at all. */
  readonly isKnown: boolean;
  readonly scopes: readonly string[];
}

function toOperation({ operation }: ReviewSpec, resource: ResourceEntry | undefined): ReviewedOperation | undefined {
  if (!operation || !resource) return undefined;
  const rawHeaders = ['Host', 'review'];
  const request = parseRequest({ method: operation.method, target: operation.path, httpVersion: '1.1', rawHeaders });
  if (isProblem(request)) throw new APIError(422, 'Invalid', `spec.operation: ${request.message}`);
  if (resource.operationEnforcement === 'Uniform') return { isKnown: true, scopes: [] };
  const scopes = createOperationIndex(resource.operations).find(request.method, request.segments);
  return { isKnown: scopes !== undefined, scopes: scopes ?? [] };
}

export function toRequest(spec: ReviewSpec, zone: ZoneSnapshot, needed: readonly string[]): ExchangeRequest {
  const application = zone.applications.get(spec.application);
  return {
    zoneID: zone.id,
    principal: toPrincipal(spec.application, application),
    subject: toSubject(spec),
    use: spec.resource === undefined ? 'session' : 'resource',
    resource: spec.resource,
    scopes: [...new Set([...spec.scopes, ...needed])],
    ttlSeconds: spec.ttlSeconds,
    sid: 'review',
    rootSid: 'review',
    notAfter: undefined,
  };
}

/** As its first identity would authenticate it. */
function toPrincipal(id: string, application: ApplicationEntry | undefined): Principal {
  const identity = application?.identities[0];
  const workload =
    identity?.type === 'serviceAccount'
      ? {
          namespace: identity.namespace,
          service_account: identity.name,
          service_account_uid: 'review',
          pod: `${identity.name}-0`,
        }
      : null;
  return {
    applicationID: id,
    applicationUID: application?.uid ?? '',
    credential: identity?.type ?? 'serviceAccount',
    instance: 'review',
    workload,
  };
}

function toSubject({ application, user }: ReviewSpec): PolicySubject {
  const nothing = { groups: [], claims: {}, auth_time: null, acr: null, amr: [] };
  if (!user) return { ...nothing, type: 'application', issuer: '', sub: application };
  return { ...nothing, type: 'user', ...user };
}
