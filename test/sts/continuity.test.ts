/** Authority that is taken away is gone within a second and for good, whatever else is slow, broken or created anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { StoreUnavailable } from '../../src/store/store.ts';
import { policySet, revision, zone } from '../compiler/world.ts';
import { acknowledge, openFeed, revalidate, type Feed } from './gateway.ts';
import { BANK_SECRET, BANK_UID, POLICY, ZONE_UID } from './shop.ts';
import { BY_SECRET, errorOf, mandateOf, READ, startSTS, WAIT, type TestSTS } from './service.ts';
import { decode } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterEach(() => void (sts.meanwhile.preparing = undefined));
afterAll(() => sts.close());

const ask = () => sts.token({ ...BY_SECRET, ...READ });

/** A second revision of the shop's set, stricter by one rule. */
function stricter() {
  const rego = `${POLICY.rego}\ndeny contains "closed" if input.scope == "read"\n`;
  return revision(2, { policies: [{ name: 'shop', rego }] }, policySet({ policies: [{ name: 'shop' }] }));
}

async function ackOf(feed: Feed, nonce: string) {
  const [hello, config] = await Promise.all([feed.wait('hello'), feed.wait('config')]);
  return { stream_id: hello.data['stream_id'], cursor: config.id, digest: config.data['digest'], nonce };
}

describe('while a policy set is being compiled', () => {
  /** Holds the compiler for the shop until it is let go. */
  function hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    sts.meanwhile.preparing = (uid) => (uid === ZONE_UID ? promise : undefined);
    return resolve;
  }

  it('R-01 a Grant that is deleted with it or after it is gone at once, and the last set decides on', async () => {
    const before = sts.world();
    const feed = await openFeed(sts);
    await feed.wait('config');
    const release = hold();
    const policySetRevisions = [...before.policySetRevisions, stricter()];
    const applied = sts.apply((world) => ({ ...world, policySetRevisions, grants: world.grants.slice(1) }));
    const started = performance.now();
    expect((await feed.wait('epoch')).data['change']).toMatchObject({ applications: ['shop.cart'] });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(errorOf(await ask())).toBe('403 scope_insufficient');
    release();
    await applied;
    await feed.wait('epoch', ({ change }) => (change as { readonly all: boolean }).all);
    await sts.apply(() => before);
    expect((await ask()).status).toBe(200);
  });

  it('R-01 another zone’s Grant that is deleted is gone within a second', async () => {
    const before = sts.world();
    const release = hold();
    const policySetRevisions = [...before.policySetRevisions, stricter()];
    const form = { zone_id: 'bank.main', application_id: 'bank.teller', client_secret: BANK_SECRET };
    const teller = () => sts.token({ ...form, resource: 'resource://payments.bank', scope: 'read' });
    expect((await teller()).status).toBe(200);
    void sts.apply((world) => ({ ...world, policySetRevisions })).catch(() => undefined);
    const started = performance.now();
    const dropped = sts.apply((world) => ({ ...world, grants: world.grants.slice(0, -1) }));
    await vi.waitFor(async () => expect(errorOf(await teller())).toBe('403 scope_insufficient'), WAIT);
    expect(performance.now() - started).toBeLessThan(1000);
    release();
    await dropped;
    await sts.apply(() => before);
  });
});

describe('a change whose epoch is not durable', () => {
  it('gets nobody a proof of freshness until it is, so that gateways deny', async () => {
    const before = sts.world();
    const feed = await openFeed(sts);
    await acknowledge(sts, await ackOf(feed, 'before'));
    await feed.wait('heartbeat', ({ nonce }) => nonce === 'before');
    const writing = vi.spyOn(sts.store(), 'raiseEpoch').mockRejectedValue(new StoreUnavailable('the disk is full'));
    const applied = sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    await vi.waitFor(async () => expect(errorOf(await ask())).toBe('403 scope_insufficient'), WAIT);
    const from = feed.events.length;
    expect((await acknowledge(sts, await ackOf(feed, 'unproved'))).status).toBe(204);
    await sts.send({ path: '/health' });
    expect(feed.events.slice(from).map(({ event }) => event)).not.toContain('heartbeat');
    writing.mockRestore();
    await applied;
    await feed.wait('epoch');
    await feed.wait('heartbeat', ({ nonce }) => nonce === 'unproved');
    await sts.apply(() => before);
  });
});

describe('a Zone that is created anew under its name', () => {
  it('ends the streams of the one before with a config in which nothing passes, and revives no mandate', async () => {
    const before = sts.world();
    const mandate = mandateOf(await ask());
    const feed = await openFeed(sts);
    await feed.wait('heartbeat');
    const spec = before.zones[0]!.spec;
    const anew = zone(spec, { uid: 'uid-shop-main-anew' });
    const keySets = new Map([...before.keySets, ['uid-shop-main-anew', before.keySets.get(BANK_UID)!]]);
    await sts.apply((world) => ({ ...world, zones: [anew, world.zones[1]!], keySets }));
    expect((await feed.wait('config', ({ frozen }) => frozen === true)).data['resources']).toEqual([]);
    await vi.waitFor(() => expect(feed.isOver()).toBe(true), WAIT);
    expect((await revalidate(sts, [mandate])).body['results']).toEqual([{ valid: false, reason: 'unknown_key' }]);
    await sts.apply(() => before);
  });
});

describe('R-20 a backup that is written over the store', () => {
  it('revives nothing: mandates whose decisions it lost are below every epoch and are no longer valid', async () => {
    let backup = Buffer.alloc(0);
    await sts.restart(() => void (backup = readFileSync(sts.storePath)));
    const before = sts.world();
    await sts.apply((world) => ({
      ...world,
      grants: world.grants.filter(({ metadata }) => metadata.name !== 'alice'),
    }));
    await sts.apply(() => before);
    const lost = mandateOf(await ask());
    sts.advance(60);
    await sts.restart(() => writeFileSync(sts.storePath, backup));
    const { body } = await revalidate(sts, [lost]);
    expect(body['results']).toEqual([{ valid: false, reason: 'unknown_decision' }]);
    expect(body['epoch']).toBeGreaterThan(decode(lost).claims['epoch'] as number);
    expect((await ask()).status).toBe(200);
  });
});

describe('R-13 R-17 a Grant whose end is acknowledged', () => {
  it('stays gone when the process ends at once: no restart gives its mandates back', async () => {
    const before = sts.world();
    const mandate = mandateOf(await ask());
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    const { epoch } = (await sts.store().zoneEpoch(ZONE_UID))!;
    for (let round = 0; round < 3; round += 1) {
      await sts.restart();
      const { body } = await revalidate(sts, [mandate], epoch);
      expect(body['results']).toEqual([{ valid: false, reason: 'ScopeNotGranted' }]);
      expect(body['epoch']).toBeGreaterThanOrEqual(epoch);
    }
    await sts.apply(() => before);
  });
});

describe('R-21 answers about authority', () => {
  it('are never kept by a cache: neither a mandate, nor a revalidation, nor the feed, nor a refusal', async () => {
    const answers = [await ask(), await revalidate(sts, ['x']), await sts.send({ path: '/v1/feed?zone_id=shop.main' })];
    const feed = await openFeed(sts);
    const caching = [...answers.map(({ headers }) => headers['cache-control']), feed.headers['cache-control']];
    expect(caching).toEqual(['no-store', 'no-store', 'no-store', 'no-store']);
  });
});

describe('R-02 revocation beside exchanges', () => {
  it('leaves no mandate valid that was asked for before the Grant went, over 40 interleavings', async () => {
    const before = sts.world();
    const without = { ...before, grants: before.grants.slice(1) };
    for (let round = 0; round < 40; round += 1) {
      const asked = Array.from({ length: 6 }, () => ask());
      const dropped = sts.apply(() => without);
      asked.push(ask(), ask());
      const answers = await Promise.all(asked);
      await dropped;
      const mandates = answers.filter(({ status }) => status === 200).map(mandateOf);
      const late = await ask();
      expect(errorOf(late)).toBe('403 scope_insufficient');
      const { epoch } = (await sts.store().zoneEpoch(ZONE_UID))!;
      for (const mandate of mandates) expect(decode(mandate).claims['epoch']).toBeLessThan(epoch);
      if (mandates.length > 0) {
        const results = (await revalidate(sts, mandates)).body['results'] as readonly { readonly valid: boolean }[];
        expect(results.filter(({ valid }) => valid)).toEqual([]);
      }
      await sts.apply(() => before);
    }
  });
});
