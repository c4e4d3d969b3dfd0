/** Revalidation: would each mandate still be issued? And what the controller is told is programmed. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grant, policySet, revision, zone } from '../compiler/world.ts';
import { acknowledge, bearer, gatewayOf, openFeed, postJSON, revalidate } from './gateway.ts';
import { LEDGER, PAYMENTS, POLICY, ZONE_UID } from './shop.ts';
import {
  BY_SECRET,
  CONTROLLER,
  errorOf,
  mandateOf,
  READ,
  startSTS,
  withSubject,
  type Form,
  type TestSTS,
} from './service.ts';
import {
  cluster,
  decode,
  idp,
  idTokenClaims,
  ISSUER,
  podOf,
  privateKeyOf,
  serviceAccountClaims,
  signAs,
  signToken,
} from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const mint = async (form: Form = {}) => mandateOf(await sts.token({ ...BY_SECRET, ...READ, ...form }));
const results = async (...mandates: readonly string[]) => (await revalidate(sts, mandates)).body['results'];
const epochNow = async () => decode(await mint()).claims['epoch'] as number;

describe('a mandate', () => {
  it('is valid while it would still be issued, also after a restart', async () => {
    const mandates = [await mint(), await mint({ scope: 'read write' })];
    expect(await results(...mandates)).toEqual([{ valid: true }, { valid: true }]);
    await sts.restart();
    const answer = await revalidate(sts, mandates);
    expect(answer.body['results']).toEqual([{ valid: true }, { valid: true }]);
    expect(answer.body['epoch']).toBeGreaterThan(decode(mandates[0]!).claims['epoch'] as number);
  });

  it('ends with its Grant, and only those whose scopes it gave', async () => {
    const before = sts.world();
    const [reading, writing] = [await mint(), await mint({ scope: 'write' })];
    const narrowed = grant({ ...before.grants[0]!.spec, scopes: ['read'] });
    await sts.apply((world) => ({ ...world, grants: [narrowed, ...world.grants.slice(1)] }));
    expect(await results(reading, writing)).toEqual([{ valid: true }, { valid: false, reason: 'ScopeNotGranted' }]);
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    expect(await results(reading)).toEqual([{ valid: false, reason: 'ScopeNotGranted' }]);
    await sts.apply(() => before);
  });

  it('ends with a stricter policy, a freeze, its Application and its Resource', async () => {
    const before = sts.world();
    const mandate = await mint();
    const reasonAfter = async (change: Parameters<TestSTS['apply']>[0]) => {
      await sts.apply(change);
      const [result] = (await results(mandate)) as readonly { readonly reason?: string }[];
      await sts.apply(() => before);
      return result?.reason;
    };
    const rego = `${POLICY.rego}\ndeny contains "closed" if input.scope == "read"\n`;
    const stricter = revision(2, { policies: [{ name: 'shop', rego }] }, policySet({ policies: [{ name: 'shop' }] }));
    const frozen = zone({ ...before.zones[0]!.spec, freeze: { reason: 'incident' } });
    expect(await reasonAfter((world) => ({ ...world, zones: [frozen, world.zones[1]!] }))).toBe('ZoneFrozen');
    expect(await reasonAfter((world) => ({ ...world, applications: world.applications.slice(1) }))).toBe(
      'ApplicationUnknown',
    );
    expect(await reasonAfter((world) => ({ ...world, resources: world.resources.slice(1) }))).toBe('audience');
    const revisions = [...before.policySetRevisions, stricter];
    expect(await reasonAfter((world) => ({ ...world, policySetRevisions: revisions }))).toBe('PolicyDenied');
    expect(await results(mandate)).toEqual([{ valid: true }]);
  });

  it('of an Application that was re-created under its name is not valid', async () => {
    const before = sts.world();
    const mandate = await mint();
    const [cart, ...others] = before.applications;
    const recreated = { ...cart!, metadata: { ...cart!.metadata, uid: 'uid-another' } };
    await sts.apply((world) => ({ ...world, applications: [recreated, ...others] }));
    expect(await results(mandate)).toEqual([{ valid: false, reason: 'ApplicationUnknown' }]);
    await sts.apply(() => before);
  });

  it('of a Resource or a Grant that was re-created under its name is not valid', async () => {
    const before = sts.world();
    const mandate = await mint();
    const another = <T extends { readonly metadata: object }>(object: T): T => ({
      ...object,
      metadata: { ...object.metadata, uid: 'uid-another' },
    });
    await sts.apply((world) => ({ ...world, resources: world.resources.map(another) }));
    expect(await results(mandate)).toEqual([{ valid: false, reason: 'recreated' }]);
    await sts.apply(() => ({ ...before, grants: before.grants.map(another) }));
    expect(await results(mandate)).toEqual([{ valid: false, reason: 'recreated' }]);
    await sts.apply(() => before);
    expect(await results(mandate)).toEqual([{ valid: true }]);
  });

  it('of a user is judged for that user', async () => {
    const before = sts.world();
    const token = signAs(idp, idTokenClaims(sts.seconds()));
    const mandate = mandateOf(await sts.token({ ...BY_SECRET, ...withSubject(token), ...READ }));
    expect(await results(mandate)).toEqual([{ valid: true }]);
    const withoutAlice = before.grants.filter(({ metadata }) => metadata.name !== 'alice');
    await sts.apply((world) => ({ ...world, grants: withoutAlice }));
    expect(await results(mandate)).toEqual([{ valid: false, reason: 'ScopeNotGranted' }]);
    await sts.apply(() => before);
  });

  it('whose decision this store does not have is not valid, however well signed', async () => {
    const [key] = sts.keys.get(ZONE_UID)!;
    const { header, claims } = decode(await mint());
    const jti = '0193a5f0-0000-7000-8000-000000000001';
    const forged = signToken(privateKeyOf(key!), header, { ...claims, jti });
    expect(await results(forged)).toEqual([{ valid: false, reason: 'unknown_decision' }]);
  });

  it('of an earlier store is not valid, and is below the epoch of the new one', async () => {
    const mandate = await mint();
    const incarnation = sts.store().incarnation;
    sts.advance(30);
    await sts.restart(() => {
      for (const end of ['', '-wal', '-shm']) rmSync(sts.storePath + end, { force: true });
    });
    expect(sts.store().incarnation).not.toBe(incarnation);
    expect(await results(mandate)).toEqual([{ valid: false, reason: 'unknown_decision' }]);
    expect(await epochNow()).toBeGreaterThan(decode(mandate).claims['epoch'] as number);
  });

  it('X-27 for a resource that the gateway may not serve tells nothing', async () => {
    const mandate = await mint();
    const answer = await revalidate(sts, [mandate], 0, gatewayOf(sts, 'bank', 'gateway'));
    expect(answer.body['results']).toEqual([{ valid: false, reason: 'audience' }]);
  });

  it('that is none, or has ended, or is a session’s, is not valid', async () => {
    const session = mandateOf(await sts.token({ ...BY_SECRET, scope: 'agent:lifecycle' }));
    const ended = await mint({ ttl_seconds: '1' });
    sts.advance(10);
    const answers = (await results('x', 'a.b.c', session, ended, `${await mint()}=`)) as readonly {
      readonly valid: boolean;
    }[];
    expect(answers.map(({ valid }) => valid)).toEqual([false, false, false, false, false]);
  });
});

describe('a question', () => {
  it('is answered in its own order, up to 256 at once', async () => {
    const good = await mint();
    const mandates = Array.from({ length: 256 }, (_, index) => (index % 2 === 0 ? good : 'x'));
    const answers = (await results(...mandates)) as readonly { readonly valid: boolean }[];
    expect(answers.map(({ valid }) => valid)).toEqual(mandates.map((_, index) => index % 2 === 0));
    expect(errorOf(await revalidate(sts, [...mandates, good]))).toBe('400 invalid_request');
  });

  it('beyond the epoch of this replica is 409', async () => {
    const answer = await revalidate(sts, [await mint()], (await epochNow()) + 1);
    expect(errorOf(answer)).toBe('409 replica_behind');
  });

  it('that is malformed is 400, and one without a gateway’s token is 401', async () => {
    const path = '/v1/mandates/revalidate?zone_id=shop.main';
    for (const body of [
      '',
      'null',
      {},
      { mandates: [], min_epoch: 0 },
      { mandates: ['x'], min_epoch: -1 },
      { mandates: ['x'], min_epoch: 0, more: 1 },
    ])
      expect(errorOf(await postJSON(sts, path, body))).toBe('400 invalid_request');
    expect(errorOf(await postJSON(sts, path, { mandates: ['x'], min_epoch: 0 }, 'x'))).toBe('401 invalid_token');
  });
});

describe('what is programmed', () => {
  const asController = (claims: object = {}) => {
    const { namespace, name } = CONTROLLER;
    const sub = `system:serviceaccount:${namespace}:${name}`;
    const token = serviceAccountClaims(sts.seconds(), {
      aud: [ISSUER],
      sub,
      'kubernetes.io': podOf(namespace, name),
      ...claims,
    });
    return sts.send({ path: '/v1/programmed', headers: bearer(signAs(cluster, token)) });
  };

  it('is told to the controller only', async () => {
    expect((await asController()).status).toBe(200);
    expect((await sts.send({ path: '/v1/programmed' })).status).toBe(401);
    const cart = { sub: 'system:serviceaccount:shop:cart', 'kubernetes.io': podOf('shop', 'cart') };
    const namesake = {
      sub: `system:serviceaccount:shop:${CONTROLLER.name}`,
      'kubernetes.io': podOf('shop', CONTROLLER.name),
    };
    for (const claims of [cart, namesake, { aud: [`${ISSUER}/zones/shop.main`] }, { aud: [ISSUER, 'x'] }])
      expect(errorOf(await asController(claims))).toBe('401 invalid_token');
  });

  it('names the version served, each zone’s keys, and the gateways that are current', async () => {
    const feed = await openFeed(sts);
    const [hello, config] = await Promise.all([feed.wait('hello'), feed.wait('config')]);
    const zoneOf = async () =>
      ((await asController()).body['zones'] as Record<string, Record<string, unknown>>)['shop.main']!;
    const kids = sts.keys.get(ZONE_UID)!.map(({ kid }) => kid);
    const count = (connected: number, current: number, informed = current) => ({ connected, current, informed });
    expect(await zoneOf()).toEqual({
      kids,
      gateways: count(1, 0),
      resources: { [PAYMENTS]: count(1, 0), [LEDGER]: count(1, 0) },
    });
    const ack = { stream_id: hello.data['stream_id'], cursor: config.id, digest: config.data['digest'], nonce: 'n' };
    await acknowledge(sts, ack);
    expect(await zoneOf()).toMatchObject({ gateways: count(1, 1), resources: { [PAYMENTS]: count(1, 1) } });
    await sts.apply((world) => ({ ...world, resources: world.resources.slice(1) }));
    expect(await zoneOf()).toMatchObject({ gateways: count(1, 0) });
    expect((await asController()).body['versions']).toEqual({ Zone: expect.stringMatching(/^\d+$/) as string });
  });
});
