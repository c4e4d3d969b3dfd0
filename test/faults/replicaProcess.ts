/** One replica of an STS over PostgreSQL, as a process of its own: the manifests and keys of a data folder, and no controller. */
import { randomBytes } from 'node:crypto';
import { createOPA } from '../../src/policy/opa.ts';
import { createPolicyEngine } from '../../src/policy/workers.ts';
import { parsePostgresAddress } from '../../src/store/postgres/address.ts';
import { openPostgresStore } from '../../src/store/postgres/postgres.ts';
import { createSTS } from '../../src/sts/sts.ts';
import { createFolderSource } from '../../src/up/source.ts';
import { createWorkloadDirectory, openWorkloadIssuer } from '../../src/up/workloads.ts';
import { OPA_PATH } from '../support/opa.ts';

const [manifests, data, database, keys, issuer, port] = process.argv.slice(2) as [
  ...[string, string, string, string, string, string],
];
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const onError = (error: Error): void => void process.stderr.write(`${error.message}\n`);
const source = createFolderSource(
  { paths: [manifests], data, systemNamespace: 'caracal-system' },
  { clock, randomBytes, onError },
);
const address = parsePostgresAddress(database);
const store = await openPostgresStore({ address, password: process.env['PGPASSWORD'], keys, clock, randomBytes });
const policies = createPolicyEngine({ opa: createOPA({ path: OPA_PATH, cacheDir: `${data}/opa` }), clock });
const workloads = createWorkloadDirectory(await openWorkloadIssuer(data, randomBytes));
await source.start();
const sts = createSTS(
  { issuer, listen: { host: '127.0.0.1', port: Number(port) }, allowJWKSRanges: [] },
  { source, signingKeys: source, workloads, policies, store, clock, randomBytes, log: silent },
);
await sts.start();
process.stdout.write('started\n');
