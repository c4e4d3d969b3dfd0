/** What the benches measure: `caracal up` on a zone with one application, one resource and one policy, rate limits raised. */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { caracal, startCaracal } from '../../scripts/demo/processes.ts';
import { freePort } from '../support/ports.ts';

export const ZONE = 'bench.zone';
export const RESOURCE = 'resource://orders';

export const MANIFESTS = `apiVersion: caracal.run/v1alpha1
kind: Zone
metadata: {name: zone, namespace: bench}
spec:
  policySetRef: {name: set}
  tokens: {mandateTTL: 15m}
  limits: {mintsPerMinute: 10000000}
---
apiVersion: caracal.run/v1alpha1
kind: Application
metadata: {name: agent, namespace: bench}
spec:
  zoneRef: {name: zone}
  identities: [{serviceAccount: {name: agent}}]
---
apiVersion: caracal.run/v1alpha1
kind: Resource
metadata: {name: orders, namespace: bench}
spec:
  zoneRef: {name: zone}
  identifier: ${RESOURCE}
  scopes: [{name: "orders:read"}]
  operations: [{methods: [GET], path: "/orders/{id}", scopes: ["orders:read"]}]
---
apiVersion: caracal.run/v1alpha1
kind: Grant
metadata: {name: read, namespace: bench}
spec:
  zoneRef: {name: zone}
  applicationRef: {name: agent}
  resourceRef: {name: orders}
  scopes: ["orders:read"]
---
apiVersion: caracal.run/v1alpha1
kind: Policy
metadata: {name: hours, namespace: bench}
spec:
  rego: |
    package caracal.policy.hours

    allow if {
      input.scope in {"orders:read", "orders:list"}
      input.principal.credential == "serviceAccount"
      input.time.hour >= 0
    }

    deny contains "suspended" if input.principal.id == "bench.suspended"
---
apiVersion: caracal.run/v1alpha1
kind: PolicySet
metadata: {name: set, namespace: bench}
spec:
  policies: [{name: hours}]
`;

export interface BenchWorld {
  readonly folder: string;
  readonly data: string;
  readonly issuer: string;
  readonly pid: number;
  serviceAccountToken(name: string, audience: string): Promise<string>;
  close(): Promise<void>;
}

export async function startWorld(): Promise<BenchWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'caracal-bench-'));
  const manifests = join(folder, 'manifests');
  const data = join(folder, 'data');
  await mkdir(manifests);
  await writeFile(join(manifests, 'bench.yaml'), MANIFESTS);
  const port = `${await freePort()}`;
  const up = startCaracal(['up', '--manifests', manifests, '--data', data, '--port', port, '--output', 'json']);
  const ready = JSON.parse(await up.line((line) => line.includes('"event":"ready"'))) as { issuer: string };
  return {
    folder,
    data,
    issuer: ready.issuer,
    pid: up.pid,
    serviceAccountToken: (name, audience) =>
      caracal(['serviceaccount-token', `bench/${name}`, '--audience', audience, '--data', data]),
    close: async () => {
      await up.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The exchange that every bench mints with. */
export function exchangeForm(assertion: string): string {
  return new URLSearchParams({
    zone_id: ZONE,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    resource: RESOURCE,
    scope: 'orders:read',
  }).toString();
}

export const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
