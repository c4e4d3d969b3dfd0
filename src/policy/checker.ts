/** Checks Policies and PolicySets by the pinned opa and by their own tests, before compile looks the results up. */
import type { Clock } from '../authority/clock.ts';
import type { PolicyModule } from '../authority/snapshot.ts';
import { findMissingConstant } from './constants.ts';
import { policyDigest, policySetDigest } from './digest.ts';
import type { PolicyEngine } from './engine.ts';
import type { OPA } from './opa.ts';
import type { PolicyReport, PolicyResults, PolicySetReport, PolicyTest } from './results.ts';
import { runTests } from './testRun.ts';
import { createPolicyEngine } from './workers.ts';

/** What is read of a Policy and a PolicySet. */
interface PolicyObject {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: {
    readonly rego: string;
    readonly appliesTo?:
      Partial<Readonly<Record<'resources' | 'applications', readonly string[] | undefined>>> | undefined;
    readonly tests?: readonly unknown[] | undefined;
  };
}

interface PolicySetObject {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: { readonly policies: readonly { readonly name: string }[] };
}

export interface PolicyObjects {
  readonly policies: readonly PolicyObject[];
  readonly policySets: readonly PolicySetObject[];
}

export interface PolicyChecker {
  /**
   * Fills `results` for every object given, doing only what is not known yet. Rejects where opa cannot be run: what is
   * wrong with a policy is a result.
   */
  gather(objects: PolicyObjects): Promise<void>;
  readonly results: PolicyResults;
  /** Ends the threads that run tests. They do not keep the process alive. */
  close(): Promise<void>;
}

/** Results of objects that are gone are kept up to this many, since edits are often undone. */
const KEPT_RESULTS = 1024;

/** How many policies are checked at once; opa itself is bounded further. */
const LANES = 4;

/** A test may take longer than an exchange, since the machine may be busy with compiling. */
const TEST_DEADLINE_MS = 1000;

export function createPolicyChecker(
  opa: Pick<OPA, 'check' | 'compile'>,
  clock: Pick<Clock, 'monotonic'>,
): PolicyChecker {
  const engine = createPolicyEngine({ opa, clock, deadlineMs: TEST_DEADLINE_MS });
  const policies = new Map<string, PolicyReport>();
  const policySets = new Map<string, PolicySetReport>();
  let last = Promise.resolve();
  async function gather(objects: PolicyObjects): Promise<void> {
    const texts = new Map(objects.policies.map((policy) => [digestOf(policy), policy]));
    await fill(policies, texts, (policy, lane) => checkPolicy(policy, lane, opa, engine));
    const sets = new Map(findSets(objects, policies).map((modules) => [policySetDigest(modules), modules]));
    await fill(policySets, sets, (modules) => checkSet(modules, opa));
  }
  return {
    results: {
      policy: (digest) => policies.get(digest),
      policySet: (digest) => policySets.get(digest),
    },
    gather(objects) {
      // One after the other: each lane has room for one policy.
      const gathered = last.then(() => gather(objects));
      last = gathered.catch(() => undefined);
      return gathered;
    },
    close: () => engine.close(),
  };
}

function testsOf({ spec }: PolicyObject): readonly PolicyTest[] {
  return (spec.tests ?? []) as readonly PolicyTest[];
}

function digestOf(policy: PolicyObject): string {
  return policyDigest({ rego: policy.spec.rego, tests: testsOf(policy) });
}

/** Adds what is missing, a few at a time, then forgets the oldest results that nobody needs. */
async function fill<T, R>(
  results: Map<string, R>,
  wanted: ReadonlyMap<string, T>,
  make: (one: T, lane: string) => Promise<R>,
): Promise<void> {
  const missing = wanted.entries().filter(([digest]) => !results.has(digest));
  const work = async (lane: string) => {
    for (const [digest, one] of missing) results.set(digest, await make(one, lane));
  };
  await Promise.all(Array.from({ length: LANES }, (_, lane) => work(`lane ${lane}`)));
  const unused = [...results.keys()].filter((digest) => !wanted.has(digest));
  for (const digest of unused.slice(0, Math.max(0, unused.length - KEPT_RESULTS))) results.delete(digest);
}

/** The lane stands in for a zone: tests of one policy after the other. */
async function checkPolicy(
  policy: PolicyObject,
  lane: string,
  opa: Pick<OPA, 'check'>,
  engine: PolicyEngine,
): Promise<PolicyReport> {
  const tests = testsOf(policy);
  const counts = { testsPassed: 0, testsTotal: tests.length };
  const check = await opa.check(policy.spec.rego);
  if (!check.ok) return { ok: false, reason: check.reason, message: check.message, ...counts };
  const module: PolicyModule = { name: policy.metadata.name, rego: policy.spec.rego };
  const digest = policySetDigest([module]);
  const prepared = await engine.prepare(lane, digest, [module]);
  if (!prepared.ok) return { ok: false, reason: 'CompileFailed', message: prepared.message, ...counts };
  const ran = await runTests(tests, (inputs) => engine.evaluate(lane, digest, inputs));
  if (ran.failures.length > 0) {
    const message = ran.failures.slice(0, 3).join('; ').slice(0, 1000);
    return { ok: false, reason: 'TestsFailed', message, testsPassed: ran.passed, testsTotal: tests.length };
  }
  return { ok: true, package: check.facts.package.join('.'), testsPassed: ran.passed, testsTotal: tests.length };
}

/** The modules of every set whose Policies all exist and passed: of any other compile says what is missing. */
function findSets(
  { policies, policySets }: PolicyObjects,
  reports: ReadonlyMap<string, PolicyReport>,
): readonly (readonly PolicyModule[])[] {
  const passed = new Map(
    policies
      .filter((policy) => reports.get(digestOf(policy))?.ok === true)
      .map((policy) => [toPath(policy.metadata.namespace, policy.metadata.name), policy]),
  );
  return policySets.flatMap(({ metadata, spec }) => {
    const members = spec.policies.flatMap(({ name }) => passed.get(toPath(metadata.namespace, name)) ?? []);
    return members.length === spec.policies.length ? [members.map(toModule)] : [];
  });
}

const toPath = (namespace: string, name: string) => `${namespace}/${name}`;

function toModule({ metadata, spec: { rego, appliesTo } }: PolicyObject): PolicyModule {
  if (!appliesTo) return { name: metadata.name, rego };
  const { resources, applications } = appliesTo;
  const bounds = { ...(resources && { resources }), ...(applications && { applications }) };
  return { name: metadata.name, rego, appliesTo: bounds };
}

async function checkSet(
  modules: readonly PolicyModule[],
  opa: Pick<OPA, 'check' | 'compile'>,
): Promise<PolicySetReport> {
  const compiled = await opa.compile(modules);
  if (!compiled.ok) return { ok: false, reason: compiled.reason, message: compiled.message };
  const checks = await Promise.all(modules.map(async (module) => ({ module, check: await opa.check(module.rego) })));
  const checked = checks.flatMap(({ module, check }) => (check.ok ? [{ module, facts: check.facts }] : []));
  const missing = findMissingConstant(checked);
  if (missing !== undefined) return { ok: false, reason: 'CompileFailed', message: missing };
  return { ok: true, digest: compiled.digest };
}
