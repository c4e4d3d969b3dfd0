/** What the processes of the fault tests serve: `caracal up` over a folder, with two applications, users and an approver. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { issueServiceAccountToken, openWorkloadIssuer } from '../../src/up/workloads.ts';
import { startCaracal, watch, type RunningProcess } from '../../scripts/demo/processes.ts';
import { isOK } from '../../scripts/demo/embedded.ts';
import { createIdentityProvider, type IdentityProvider } from '../../scripts/demo/identityProvider.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/processes.ts';

export const ZONE = 'shop.main';
export const PAYMENTS = 'resource://payments.shop';
export const STALE_AFTER_MS = 5000;

const secretOf = (name: string) => `${name}-secret-0000000000000000000000000000000000000`;
const IDP = 'https://idp.example';

/** What an application sends to say who it is. */
export const by = (name: string) =>
  ({ zone_id: ZONE, application_id: `shop.${name}`, client_secret: secretOf(name) }) as const;
export const READ = { resource: PAYMENTS, scope: 'read' } as const;

/** `write` waits for the user in person. */
const REGO = `package caracal.policy.shop

allow if true

step_up contains {"tier": "money", "approver": "subject"} if input.scope == "write"
`;

function manifests(idp: IdentityProvider): readonly object[] {
  const zoneRef = { name: 'main' };
  const one = (kind: string, name: string, spec: object) => ({
    apiVersion: 'caracal.run/v1alpha1',
    ...{
      kind,
      metadata: { namespace: 'shop', name },
      spec: kind === 'Policy' || kind === 'PolicySet' ? spec : { zoneRef, ...spec },
    },
  });
  const application = (name: string, spec: object = {}) => {
    const sha256 = [createHash('sha256').update(secretOf(name)).digest('hex')];
    return one('Application', name, { identities: [{ clientSecret: { sha256 } }], ...spec });
  };
  const own = { applicationRef: { name: 'cart' }, resourceRef: { name: 'payments' } };
  return [
    {
      ...one('Zone', 'main', {}),
      spec: {
        policySetRef: { name: 'shop' },
        enforcement: { staleAfter: `${STALE_AFTER_MS / 1000}s` },
        limits: { agentSessions: 100_000, agentSessionsPerApplication: 100_000 },
        subjectIssuers: [{ name: 'corp', issuer: IDP, jwks: { keys: [idp.publicKey] } }],
        stepUp: { approverApplications: [{ name: 'desk' }] },
      },
    },
    application('cart', { subjectAudiences: ['cart-web'], delegation: { receivers: 'Zone' } }),
    application('till'),
    application('desk', { subjectAudiences: ['desk-web'] }),
    one('Resource', 'payments', {
      identifier: PAYMENTS,
      type: 'HTTP',
      scopes: [{ name: 'read' }, { name: 'write' }],
      operations: [{ methods: ['GET'], path: '/**', scopes: ['read'] }],
    }),
    one('Grant', 'cart', { ...own, scopes: ['read'], delegation: 'Zone' }),
    one('Grant', 'alice', {
      ...own,
      scopes: ['read', 'write'],
      subjects: [{ user: { issuer: 'corp', sub: 'alice' } }],
    }),
    one('Policy', 'shop', { rego: REGO }),
    one('PolicySet', 'shop', { policies: [{ name: 'shop' }] }),
  ];
}

export interface Place {
  /** Folder of the manifests. */
  readonly manifests: string;
  readonly data: string;
  readonly issuer: string;
  /** The file of the store. */
  readonly store: string;
  readonly idp: IdentityProvider;
  /** `caracal up` at this place; resolves when it is ready. */
  start(options?: { readonly survivesFullDisk: boolean }): Promise<RunningProcess>;
  /** Of the gateway of `payments`. */
  gatewayToken(): Promise<string>;
}

/** A place of its own, removed when the test ends. */
export async function makePlace(data?: string): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-faults-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const idp = await createIdentityProvider(IDP);
  const files = join(folder, 'manifests');
  await mkdir(files);
  const documents = manifests(idp).map((document) => stringify(document, { version: '1.1' }));
  await writeFile(join(files, 'all.yaml'), documents.join('---\n'));
  const at = data ?? join(folder, 'data');
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  return {
    ...{ manifests: files, data: at, issuer, store: join(at, 'store.db'), idp },
    async start({ survivesFullDisk } = { survivesFullDisk: false }) {
      const args = [...['up', '--manifests', files, '--data', at], ...['--port', `${port}`, '--output', 'json']];
      const up = survivesFullDisk ? startIgnoringXFSZ(args) : startCaracal(args);
      onTestFinished(() => up.stop());
      await up.line((line) => line.includes('"event":"ready"'));
      await until(
        () => isOK(`${issuer}/ready`),
        () => 'the STS is not ready',
      );
      return up;
    },
    async gatewayToken() {
      const audience = `${issuer}/zones/${ZONE}/gateways`;
      const request = { namespace: 'shop', serviceAccount: 'payments-gateway', audience };
      return issueServiceAccountToken(await openWorkloadIssuer(at, randomBytes), request, { clock: Date, randomBytes });
    },
  };
}

const MAIN = join(import.meta.dirname, '../../src/main.ts');

/** Writes beyond a limit on the size of files fail, instead of ending the process. */
function startIgnoringXFSZ(args: readonly string[]): RunningProcess {
  const command = ['-c', 'trap "" XFSZ; exec "$0" "$@"', process.execPath, '--disable-warning=ExperimentalWarning'];
  return watch(spawn('bash', [...command, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }), 'caracal up');
}

/** As a machine that dies. Resolves when it has. */
export async function kill(running: RunningProcess): Promise<void> {
  const ended = running.line(() => false).catch(() => undefined);
  process.kill(running.pid, 'SIGKILL');
  await ended;
}
