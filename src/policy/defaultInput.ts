/** The complete input that a policy test starts from, and how a test's own input is laid over it. */
import type { PolicyDelegation, PolicyInput, PolicySession } from '../authority/policyInput.ts';

/** An application of its own accord asks for `read` on a Monday noon, under one Grant. */
export const DEFAULT_INPUT: PolicyInput = {
  schema: 'caracal.run/policy-input/v1',
  zone: { id: 'default.zone' },
  scope: 'read',
  action: { name: 'token_exchange' },
  principal: {
    id: 'default.application',
    namespace: 'default',
    name: 'application',
    credential: 'serviceAccount',
    workload: {
      namespace: 'default',
      service_account: 'application',
      service_account_uid: '00000000-0000-4000-8000-000000000000',
      pod: 'application-0',
    },
    key_bound: false,
  },
  root: { id: 'default.application', namespace: 'default', name: 'application' },
  subject: {
    type: 'application',
    issuer: '',
    sub: 'default.application',
    groups: [],
    claims: {},
    auth_time: null,
    acr: null,
    amr: [],
  },
  session: null,
  delegation: null,
  resource: {
    identifier: 'resource://default',
    namespace: 'default',
    name: 'resource',
    type: 'HTTP',
    scopes: ['read', 'write'],
  },
  request: { scopes: ['read'], ttl_seconds: 300, use: 'resource' },
  grants: [
    {
      namespace: 'default',
      name: 'grant',
      scopes: ['read', 'write'],
      subject: { type: 'application', issuer: null, value: null },
    },
  ],
  time: { unix: 1767614400, rfc3339: '2026-01-05T12:00:00Z', weekday: 'Monday', hour: 12, minute: 0 },
};

const SESSION: PolicySession = {
  id: 'session',
  kind: 'task',
  depth: 0,
  parent: null,
  age_seconds: 0,
  claimed: { labels: [], metadata: {} },
};

const DELEGATION: PolicyDelegation = {
  edge_id: 'edge',
  scopes: ['read'],
  resources: ['resource://default'],
  hops_left: 0,
  chain: [],
  expires_at: 1767618000,
};

/** What a test's member of an input that is null by default is laid over. */
const WHOLE: Readonly<Record<string, unknown>> = { session: SESSION, delegation: DELEGATION };

/** The default with `input` laid over it: objects member by member, everything else whole. */
export function toTestInput(input: unknown): PolicyInput {
  const base = { ...DEFAULT_INPUT, ...(isRecord(input) ? pickWhole(input) : {}) };
  return layOver(base, input ?? {}) as PolicyInput;
}

function pickWhole(input: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(WHOLE).filter(([name]) => isRecord(input[name])));
}

function layOver(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over;
  const members = Object.entries(over).map(([name, value]) => [name, layOver(base[name], value)] as const);
  return { ...base, ...Object.fromEntries(members) };
}

/** Every path that `input` writes, for finding those that do not exist. */
export function pathsOf(input: unknown, before: readonly string[] = []): readonly (readonly string[])[] {
  if (Array.isArray(input)) return input.flatMap((item, index) => pathsOf(item, [...before, String(index)]));
  if (!isRecord(input)) return [before];
  const entries = Object.entries(input);
  return entries.length === 0 ? [before] : entries.flatMap(([name, value]) => pathsOf(value, [...before, name]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
