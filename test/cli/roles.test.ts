/** `caracal sts` and `caracal controller` as processes on a real API server, each with the rights of its own ServiceAccount. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { startPostgres } from '../support/postgres.ts';
import { freePorts } from '../support/ports.ts';
import { startProcess, until, type OwnedProcess } from '../support/processes.ts';
import { OPA_PATH as OPA } from '../support/opa.ts';
import { ROOT, run } from './run.ts';

const SYSTEM = 'caracal-system';
const API_SERVER = 'https://kubernetes.default.svc';

let cluster: Cluster;
let issuer: string;
let health: string;
const running: OwnedProcess[] = [];

const place = (name: string) => join(cluster.directory, name);
const quickstart = (name: string) => join(ROOT, 'examples', name);

function start(command: string, args: readonly string[]): OwnedProcess {
  const line = ['--disable-warning=ExperimentalWarning', join(ROOT, 'src/main.ts'), command, '--opa', OPA, ...args];
  const started = startProcess(process.execPath, line, place(`${command}.log`));
  running.push(started);
  return started;
}

async function answers(url: string, of: OwnedProcess): Promise<void> {
  await until(
    async () => {
      if (!of.running()) throw new Error(of.log());
      return fetch(url).then(
        ({ ok }) => ok,
        () => false,
      );
    },
    () => `${url} does not answer: ${of.log()}`,
  );
}

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.installCRDs();
  await cluster.kubectl(['apply', '-f', join(ROOT, 'install/namespace.yaml'), '-f', join(ROOT, 'install/rbac.yaml')]);
  // The STS knows the controller by a token bound to its pod.
  await cluster.kubectl(['apply', '-f', join(ROOT, 'scripts/demo/controllerPod.yaml')]);
  await cluster.kubectl(['apply', '-f', quickstart('quickstart-kubernetes')]);
  const [port, other] = await freePorts(2);
  issuer = `http://127.0.0.1:${port}`;
  health = `127.0.0.1:${other}`;
  const kubeconfig = async (account: string) =>
    cluster.kubeconfigFor(await cluster.serviceAccountToken(SYSTEM, account, API_SERVER));
  const pod = { name: 'caracal-controller' };
  const forSTS = await cluster.serviceAccountToken(SYSTEM, 'caracal-controller', issuer, pod);
  writeFileSync(place('for-sts'), forSTS, { mode: 0o600 });
  const sts = start('sts', [
    ...['--issuer', issuer, '--listen', `127.0.0.1:${port}`, '--data', place('sts')],
    ...['--kubeconfig', await kubeconfig('caracal-sts')],
  ]);
  const controller = start('controller', [
    ...['--issuer', issuer, '--sts', issuer, '--sts-token-file', place('for-sts'), '--listen', health],
    ...['--kubeconfig', await kubeconfig('caracal-controller')],
  ]);
  await answers(`${issuer}/health`, sts);
  await answers(`http://${health}/ready`, controller);
});

afterAll(async () => {
  await Promise.all(running.map((one) => one.stop(5000)));
  await cluster?.stop();
});

describe('the roles on a cluster', () => {
  it('make the quickstart Ready, and a pod’s token into a mandate', async () => {
    await cluster.kubectl(['apply', '-f', quickstart('quickstart')]);
    const kinds = ['zones', 'applications', 'resources', 'grants', 'policies', 'policysets'];
    await cluster.kubectl([
      ...['wait', '--for=condition=Ready', kinds.map((kind) => `${kind}.caracal.run`).join(), '--all'],
      ...['-n', 'quickstart', '--timeout=60s'],
    ]);
    const audience = `${issuer}/zones/quickstart.shop`;
    const token = await cluster.kubectl([
      ...['create', 'token', 'assistant', '-n', 'quickstart', '--audience', audience],
      ...['--bound-object-kind', 'Pod', '--bound-object-name', 'assistant'],
    ]);
    writeFileSync(place('assertion'), token, { mode: 0o600 });
    const { exit, out, err } = await run([
      ...['token', '--issuer', issuer, '--zone', 'quickstart.shop', '--assertion-file', place('assertion')],
      ...['--resource', 'resource://orders', '--scope', 'orders:read', '--output', 'json', '--decode'],
    ]);
    expect([exit, err]).toEqual([0, '']);
    expect(JSON.parse(out)).toMatchObject({
      scope: 'orders:read',
      claims: { iss: issuer, client_id: 'quickstart.assistant', zone_id: 'quickstart.shop' },
    });
    for (const name of ['sts', 'controller']) {
      const log = readFileSync(place(`${name}.log`), 'utf8');
      expect(log).toContain(`"role":"${name}"`);
      expect(log).not.toContain(token.trim());
    }
  });

  it('serve their metrics', async () => {
    const [ofSTS, ofController] = await Promise.all(
      [`${issuer}/metrics`, `http://${health}/metrics`].map(async (url) => (await fetch(url)).text()),
    );
    expect(ofSTS).toMatch(/^caracal_sts_/m);
    expect(ofController).toMatch(/^caracal_controller_leader 1$/m);
  });

  it('keep the store of the STS in PostgreSQL where they are told to, and its password to themselves', async () => {
    const server = await startPostgres();
    const database = await server.createDatabase();
    writeFileSync(place('password'), `${server.password}\n`, { mode: 0o600 });
    const [port] = await freePorts(1);
    const token = await cluster.serviceAccountToken(SYSTEM, 'caracal-sts', API_SERVER);
    const sts = start('sts', [
      ...['--issuer', issuer, '--listen', `127.0.0.1:${port}`, '--kubeconfig', cluster.kubeconfigFor(token)],
      ...['--store', server.url(database), '--store-keys', place('keys'), '--store-password-file', place('password')],
    ]);
    await answers(`http://127.0.0.1:${port}/ready`, sts);
    expect(await server.query(database, 'SELECT zone_uid FROM zone_heads WHERE epoch > 0')).toHaveLength(1);
    expect(readFileSync(place('sts.log'), 'utf8')).not.toContain(server.password);
  });

  it('end when they are asked to', async () => {
    await Promise.all(running.map((one) => one.stop(10_000)));
    expect(running.map((one) => one.running())).toEqual(running.map(() => false));
  });
});
