/** E-11 over all that comes out: what was sent as a proof, and what was issued, is in no log, record, event, status, metric or error. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts';
import { createGatewayLog } from '../../src/gateway/log.ts';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { policy, policySet, revision } from '../compiler/world.ts';
import { sendRaw, toRequest } from '../gateway/rawHTTP.ts';
import { startUpstream, until, type Upstream } from '../gateway/world.ts';
import { call, lifecycleOf, startAgent } from './agentCalls.ts';
import { bearer, gatewayToken } from './gateway.ts';
import {
  BY_SECRET,
  byAssertion,
  CONTROLLER,
  mandateOf,
  podToken,
  READ,
  startSTS,
  withSubject,
  type TestSTS,
} from './service.ts';
import { PAYMENTS, SECRET, ZONE } from './shop.ts';
import { cluster, idp, idTokenClaims, ISSUER, podOf, serviceAccountClaims, signAs } from './tokens.ts';

const HELD = `package caracal.policy.shop

allow if true

step_up contains {"tier": "money", "approver": "operator"} if input.scope == "write"
`;

let sts: TestSTS;
let upstream: Upstream;
let gateway: Gateway;
const gatewayLog: string[] = [];

/** Everything that was secret, and everything that came out. */
const secrets: string[] = [];
const outputs: Record<string, string> = {};

/** A token, and each part of it that is worth stealing or could be put together again. */
function keep(token: string): string {
  secrets.push(token, ...token.split('.').slice(1));
  return token;
}
const keepText = (text: string): string => {
  secrets.push(text);
  return text;
};

beforeAll(async () => {
  [sts, upstream] = [await startSTS(), await startUpstream()];
  const set = policySet({ policies: [{ name: 'shop' }] });
  await sts.apply((world) => ({
    ...world,
    policies: [policy({ rego: HELD }, { name: 'shop' }), ...world.policies.slice(1)],
    policySetRevisions: [...world.policySetRevisions, revision(2, { policies: [{ name: 'shop', rego: HELD }] }, set)],
  }));
  const feed = await followFeed();
  await exchanges();
  await sessions();
  await stepUp();
  await requests();
  outputs['feed'] = feed();
  outputs['status'] = (await sts.send({ path: '/v1/programmed', headers: bearer(controllerToken()) })).text;
  outputs['metrics'] = (await sts.send({ path: '/metrics' })).text;
  outputs['log of the STS'] = JSON.stringify(sts.log);
  const reader = openSQLiteReader({ path: sts.storePath });
  outputs['audit'] = [...reader.logLines()].join('\n');
  reader.close();
  outputs['the store’s file'] = readFileSync(sts.storePath, 'latin1') + readFileSync(`${sts.storePath}-wal`, 'latin1');
}, 30_000);
afterAll(() => Promise.all([sts.close(), upstream.close()]));

const controllerToken = () => {
  const { namespace, name } = CONTROLLER;
  const claims = {
    aud: [ISSUER],
    sub: `system:serviceaccount:${namespace}:${name}`,
    'kubernetes.io': podOf(namespace, name),
  };
  return keep(signAs(cluster, serviceAccountClaims(sts.seconds(), claims)));
};
const errors = (text: string) => void (outputs['errors'] = `${outputs['errors'] ?? ''}\n${text}`);

/** All events until it is asked for them. */
async function followFeed(): Promise<() => string> {
  const stop = new AbortController();
  const headers = bearer(keep(gatewayToken(sts)));
  const response = await fetch(`${sts.url()}/v1/feed?zone_id=${ZONE}`, { headers, signal: stop.signal });
  let text = '';
  const read = async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) text += chunk;
  };
  read().catch(() => undefined);
  return () => {
    stop.abort();
    return text;
  };
}

async function exchanges(): Promise<void> {
  keepText(SECRET);
  const idToken = keep(signAs(idp, idTokenClaims(sts.seconds(), { salary: keepText('canary-claim-91ac') })));
  keep(mandateOf(await sts.token({ ...byAssertion(keep(podToken(sts))), ...READ })));
  const login = keep(mandateOf(await sts.token({ ...BY_SECRET, ...withSubject(idToken) })));
  const denied = [
    { ...BY_SECRET, ...withSubject(idToken), ...READ },
    { ...BY_SECRET, ...READ, scope: 'sealed' },
    { ...BY_SECRET, ...READ, client_secret: keepText('canary-secret-0000000000000000000000000000000') },
    { ...BY_SECRET, ...withSubject(`${login}x`, 'access_token'), ...READ },
    { ...byAssertion(`${podToken(sts)}x`), ...READ },
  ];
  for (const form of denied) errors((await sts.token(form)).text);
}

async function sessions(): Promise<void> {
  const lifecycle = keep(await lifecycleOf(sts));
  const own = await startAgent(sts, lifecycle, 'shop.cart', { labels: ['nightly'] });
  keep(mandateOf(await sts.token({ ...BY_SECRET, ...READ, agent_session_id: own, use: 'resource' })));
  const user = keep(signAs(idp, idTokenClaims(sts.seconds(), { jti: 'another' })));
  const body = { application_id: 'shop.cart', subject_session_id: 'x', subject_token: user };
  errors((await call(sts, lifecycle, 'POST', '/agents', { body })).text);
  errors((await call(sts, `${lifecycle}x`, 'GET', '/agents')).text);
  await call(sts, lifecycle, 'DELETE', `/agents/${own}`);
}

async function stepUp(): Promise<void> {
  const ask = { ...BY_SECRET, resource: PAYMENTS, scope: 'write' };
  const held = await sts.token(ask);
  errors(held.text);
  const id = String(held.body['challenge_id']);
  const found = sts.challenges().find(id)!;
  const who = { type: 'operator', name: 'ops', groups: [], applications: [] } as const;
  await sts.challenges().decide(found, { approved: true, binding: found.challenge.binding }, who, 'decision');
  keep(mandateOf(await sts.token({ ...ask, challenge_id: id })));
  errors((await sts.token({ ...ask, challenge_id: `${id}0` })).text);
}

/** Through a real gateway, whose records are then in the STS' log. */
async function requests(): Promise<void> {
  const mandate = keep(mandateOf(await sts.token({ ...BY_SECRET, ...READ })));
  const listen = { host: '127.0.0.1', port: 0 };
  const token = async () => keep(gatewayToken(sts));
  gateway = createGateway(
    {
      zones: [{ issuer: ISSUER, url: sts.url(), zoneID: ZONE, token }],
      protect: [{ zoneID: ZONE, resource: 'shop/payments', listen, target: `127.0.0.1:${upstream.port}` }],
      ...{ admin: listen, allowUpstreamRanges: [], drainMs: 1000 },
    },
    {
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      randomBytes: (size) => randomBytes(size),
      log: createGatewayLog('debug', Date.now, (line) => void gatewayLog.push(line)),
    },
  );
  const { protect, admin } = await gateway.start();
  await until(() => gateway.ready().ready);
  const send = async (path: string, ...headers: readonly string[]) => {
    const answer = await sendRaw(protect[0]!, toRequest([`GET ${path} HTTP/1.1`, 'Host: a', ...headers]));
    if (answer.status >= 400) errors(JSON.stringify(answer));
    return answer.status;
  };
  const path = `/${keepText('canary-path')}?q=${keepText('canary-query')}`;
  const cookie = `Cookie: ${keepText('canary-cookie')}`;
  await send(path, `Authorization: Bearer ${mandate}`, cookie);
  await send(path, cookie);
  await send(path, `Authorization: Bearer ${mandate}x`);
  await send(`/a/../${path}`);
  const at = `http://127.0.0.1:${admin}`;
  outputs['metrics of the gateway'] = await (await fetch(`${at}/metrics`)).text();
  outputs['status of the gateway'] = await (await fetch(`${at}/ready`)).text();
  await gateway.close();
  outputs['log of the gateway'] = gatewayLog.join('');
}

describe('E-11 A-10 what was secret', () => {
  it('was sent and issued in every way there is, and all that comes out was looked at', () => {
    expect(secrets.length).toBeGreaterThan(30);
    for (const kind of ['exchange', 'act', 'configuration', 'gateway'])
      expect(outputs['audit']).toContain(`"kind":"${kind}"`);
    expect(Object.values(outputs).every((text) => text.length > 20)).toBe(true);
  });

  it.each([
    ...['audit', 'errors', 'feed', 'status', 'metrics', 'log of the STS', 'the store’s file'],
    ...['log of the gateway', 'metrics of the gateway', 'status of the gateway'],
  ])('is not in %s', (name) => {
    expect(secrets.filter((secret) => outputs[name]!.includes(secret))).toEqual([]);
  });
});
