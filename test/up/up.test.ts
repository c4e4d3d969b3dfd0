/** `caracal up` as a person runs it: tokens, calls through the edge, edits that take effect, and an end in time. */
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, ROOT } from '../cli/run.ts';
import { until } from '../support/processes.ts';
import { startUp, type UpEvent, type UpProcess } from './upProcess.ts';

const ZONE = 'quickstart.shop';
const ORDERS = 'resource://orders';

let folder: string;
let service: Server;
let up: UpProcess;
let issuer: string;
let edge: string;

const file = (name: string) => join(folder, 'manifests', name);
const data = () => join(folder, 'data');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caracal-up-'));
  await cp(join(ROOT, 'examples/quickstart'), join(folder, 'manifests'), { recursive: true });
  service = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ path: request.url }));
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const upstream = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  const resource = await readFile(file('resource.yaml'), 'utf8');
  await writeFile(
    file('resource.yaml'),
    resource.replace('  type: HTTP\n', `  type: HTTP\n  upstream: {url: "${upstream}"}\n`),
  );
  up = await startUp(['--manifests', join(folder, 'manifests'), '--data', data()]);
  const ready = await up.event(({ event }) => event === 'ready');
  issuer = String(ready['issuer']);
  edge = String(ready['gateway']);
});

afterAll(async () => {
  await up?.stop();
  service?.close();
  await rm(folder, { recursive: true, force: true });
});

const exchange = (scope: string) =>
  run([
    ...['token', '--issuer', issuer, '--zone', ZONE, '--service-account', 'quickstart/assistant', '--data', data()],
    ...['--resource', ORDERS, '--scope', scope, '--output', 'json'],
  ]);

async function mandate(scope = 'orders:read'): Promise<string> {
  const { exit, out, err } = await exchange(scope);
  expect([exit, err]).toEqual([0, '']);
  return (JSON.parse(out) as { access_token: string }).access_token;
}

async function call(path: string, token?: string, method = 'GET'): Promise<{ status: number; body: unknown }> {
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`${edge}${path}`, {
    method,
    headers: { ...authorization, 'x-caracal-resource': ORDERS },
  });
  return { status: response.status, body: await response.json() };
}

const state = (kind: string, name: string, status: string, reason: string) => (event: UpEvent) =>
  event.event === 'state' &&
  [event['kind'], event['name'], event['status'], event['reason']].join() === [kind, name, status, reason].join();

describe('caracal up', () => {
  it('says what it serves in one line of JSON, first of all', () => {
    expect(up.events()[0]).toEqual({
      event: 'ready',
      issuer: `http://127.0.0.1:${up.port}`,
      gateway: `http://127.0.0.1:${up.port + 1}`,
      zones: [ZONE],
    });
  });

  it('lets exactly the approved request through the edge', async () => {
    const token = await mandate();
    expect(await call('/orders', token)).toEqual({ status: 200, body: { path: '/orders' } });
    expect((await call('/orders')).status).toBe(401);
    expect(await call('/orders', token, 'POST')).toMatchObject({ status: 403, body: { error: 'insufficient_scope' } });
    expect((await call('/nowhere', token)).status).toBe(403);
  });

  it('refuses what policy denies, and tells why from its records while it runs', async () => {
    const { exit, out } = await exchange('orders:write');
    const body = JSON.parse(out) as { reason: string; decision_id: string };
    expect([exit, body.reason]).toEqual([1, 'PolicyDenied']);
    const explained = await run(['explain', '--decision', body.decision_id, '--data', data()]);
    expect(explained.exit).toBe(1);
    expect(explained.out).toContain('writes-need-a-user denies: placing orders needs a signed-in user');
    expect(explained.out).toContain(`${file('policies.yaml')}:35: deny "placing orders needs a signed-in user"`);
  });

  it('says where it runs what an answer keeps to itself', async () => {
    const { exit, err } = await run([
      ...['token', '--issuer', issuer, '--zone', ZONE, '--service-account', 'quickstart/asistant', '--data', data()],
      ...['--resource', ORDERS, '--scope', 'orders:read'],
    ]);
    const requestID = /why: the log of the STS, request_id (\S+)\n$/.exec(err)?.[1];
    expect([exit, err]).toEqual([1, expect.stringContaining('refused: 401 invalid_client\n')]);
    await until(
      () => up.stderr().includes('"evidence":"no Application of the zone has ServiceAccount quickstart/asistant"'),
      () => `nothing of it in: ${up.stderr()}`,
      5000,
    );
    expect(up.stderr()).toContain(`"request_id":"${requestID}"`);
  });

  it('names the decision, and the data folder to explain it from', async () => {
    const { err } = await run([
      ...['token', '--issuer', issuer, '--zone', ZONE, '--service-account', 'quickstart/assistant', '--data', data()],
      ...['--resource', ORDERS, '--scope', 'orders:write'],
    ]);
    expect(err).toMatch(/\nwhy: caracal explain --decision [0-9a-f-]{36} --data /);
    expect(err).toContain(` --data ${data()}\n`);
  });

  it('records what the edge allows, and traces it back to the exchange that its mandate came from', async () => {
    const response = await fetch(`${edge}/orders/7`, {
      headers: { authorization: `Bearer ${await mandate()}`, 'x-caracal-resource': ORDERS },
    });
    const id = response.headers.get('x-request-id')!;
    const trace = () => run(['audit', 'trace', id, '--data', data()]);
    await until(
      async () => (await trace()).exit === 0,
      () => 'the request is not in the log',
    );
    const { out } = await trace();
    expect(out).toMatch(/permit +quickstart\.assistant .*asked for orders:read on resource:\/\/orders: mandate/);
    expect(out).toMatch(/allowed +GET resource:\/\/orders \/orders/);
    expect(out).not.toContain('/orders/7');
  });

  it('reports a file that cannot be used with line, field and object while the last good state stays, and when it is mended', async () => {
    const text = await readFile(file('application.yaml'), 'utf8');
    await writeFile(file('application.yaml'), text.replace('displayName', 'displayname'));
    const refused = await up.event(({ event }) => event === 'refused');
    expect(refused).toMatchObject({
      file: file('application.yaml'),
      line: text.split('\n').findIndex((line) => line.includes('displayName')) + 1,
      path: 'spec.displayname',
      object: 'Application quickstart/assistant',
    });
    expect((await call('/orders', await mandate())).status).toBe(200);
    await writeFile(file('application.yaml'), text);
    await up.event(({ event, path }) => event === 'mended' && path === 'spec.displayname');
  });

  it('a deleted Grant refuses the mandate that rests on it, and new ones', async () => {
    const token = await mandate();
    const grants = await readFile(file('grants.yaml'), 'utf8');
    expect((await call('/orders', token)).status).toBe(200);
    const began = performance.now();
    await writeFile(file('grants.yaml'), grants.slice(grants.indexOf('---\n')));
    await until(
      async () => (await call('/orders', token)).status === 401,
      () => 'the mandate stays in force',
      10_000,
      5,
    );
    const took = performance.now() - began;
    expect(took).toBeGreaterThan(0);
    console.log(`a deleted Grant refused its mandate after ${took.toFixed(0)} ms`);
    await up.event(({ event, name }) => event === 'gone' && name === 'assistant-orders');
    expect(JSON.parse((await exchange('orders:read')).out)).toMatchObject({ reason: 'ScopeNotGranted' });
    await writeFile(file('grants.yaml'), grants);
    await until(
      async () => (await exchange('orders:read')).exit === 0,
      () => 'the Grant does not come back',
      10_000,
    );
  });

  it('tells transitions of Ready, with what the fix is', async () => {
    const grants = await readFile(file('grants.yaml'), 'utf8');
    await writeFile(file('grants.yaml'), grants.replace('orders:read, orders:refund', 'orders:read, orders:fly'));
    const told = await up.event(state('Grant', 'support-refunds', 'False', 'ScopeNotDeclared'));
    expect(told['message']).toContain('orders:fly');
    await writeFile(file('grants.yaml'), grants);
    await up.event(state('Grant', 'support-refunds', 'True', 'Ready'));
  });

  it('serves a zone that is added while it runs, at the edge too', async () => {
    const zone = `apiVersion: caracal.run/v1alpha1
kind: Zone
metadata: {name: late, namespace: quickstart}
spec: {policySetRef: {name: shop}}
`;
    await writeFile(file('late.yaml'), zone);
    await up.event(state('Zone', 'late', 'True', 'Ready'));
    const jwks = await fetch(`${issuer}/.well-known/jwks.json?zone_id=quickstart.late`);
    expect(jwks.status).toBe(200);
    const token = await mandate();
    await until(
      async () => (await call('/orders', token).catch(() => ({ status: 0 }))).status === 200,
      () => 'the edge does not come back',
      10_000,
    );
    await rm(file('late.yaml'));
    await up.event(({ event, name }) => event === 'gone' && name === 'late');
  });

  it('refuses a data folder that another one works with', async () => {
    const { exit, err } = await run([
      ...['up', '--manifests', join(folder, 'manifests'), '--data', data(), '--port', '1'],
    ]);
    expect([exit, err]).toEqual([1, expect.stringContaining('in use by process')]);
  });

  it('refuses a port that something listens on, naming the flag', async () => {
    const { exit, err } = await run([
      ...['up', '--manifests', join(folder, 'manifests'), '--data', join(folder, 'other'), '--port', `${up.port}`],
    ]);
    expect([exit, err]).toEqual([1, expect.stringContaining('choose another --port')]);
  });

  it('ends by itself at SIGTERM, and keeps its keys for the next time', async () => {
    const before = await (await fetch(`${issuer}/.well-known/jwks.json?zone_id=${ZONE}`)).text();
    const ended = await up.stop();
    expect(ended.code).toBe(0);
    up = await startUp(['--manifests', join(folder, 'manifests'), '--data', data()]);
    const ready = await up.event(({ event }) => event === 'ready');
    issuer = String(ready['issuer']);
    expect(await (await fetch(`${issuer}/.well-known/jwks.json?zone_id=${ZONE}`)).text()).toBe(before);
    expect(up.stderr()).toBe('');
  });
});

describe('the flags of caracal up', () => {
  const wrong: Readonly<Record<string, readonly [args: readonly string[], message: string]>> = {
    'no manifests': [[], '--manifests <path...> is required'],
    'a port without a next one': [['--manifests', '.', '--port', '65535'], 'from 1 to 65534'],
  };
  for (const [name, [args, message]] of Object.entries(wrong)) {
    it(`refuse ${name}`, async () => {
      const { exit, err } = await run(['up', ...args]);
      expect([exit, err]).toEqual([2, expect.stringContaining(message)]);
    });
  }
});
