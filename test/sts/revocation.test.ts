/** Revocation at the STS: every target, remembered over deletion and restart, told to gateways as an epoch. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Revocation } from '../../src/api/revocation.ts';
import { revocation } from '../compiler/world.ts';
import { acknowledge, openFeed, revalidate } from './gateway.ts';
import { LEDGER, PAYMENTS, ZONE_UID } from './shop.ts';
import {
  BY_SECRET,
  byAssertion,
  errorOf,
  mandateOf,
  podToken,
  READ,
  startSTS,
  withSubject,
  type Form,
  type TestSTS,
} from './service.ts';
import { decode, idp, idTokenClaims, podOf } from './tokens.ts';
import { signAs } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

let count = 0;

/** Another object each time, created now. */
function toRevocation(target: Revocation['spec']['target'], spec: object = {}): Revocation {
  count += 1;
  const created = new Date(sts.seconds() * 1000).toISOString();
  return revocation(target, spec, { name: `stop-${count}`, created });
}

async function revoke(target: Revocation['spec']['target'], spec: object = {}): Promise<void> {
  const added = toRevocation(target, spec);
  await sts.apply((world) => ({ ...world, revocations: [...world.revocations, added] }));
}

const mint = async (form: Form = {}) => mandateOf(await sts.token({ ...BY_SECRET, ...READ, ...form }));
const fromPod = (pod: string, form: Form = READ) =>
  sts.token({ ...byAssertion(podToken(sts, { 'kubernetes.io': podOf('shop', 'cart', pod) })), ...form });
const login = async (sub = 'alice') =>
  mandateOf(await sts.token({ ...BY_SECRET, ...withSubject(signAs(idp, idTokenClaims(sts.seconds(), { sub }))) }));
const byLogin = (session: string) => sts.token({ ...BY_SECRET, ...withSubject(session, 'access_token'), ...READ });
const judge = async (...mandates: readonly string[]) =>
  ((await revalidate(sts, mandates)).body['results'] as readonly { valid: boolean; reason?: string }[]).map(
    ({ valid, reason }) => (valid ? 'valid' : reason),
  );
const claimOf = (mandate: string, name: string) => String(decode(mandate).claims[name]);

describe('a revocation', () => {
  it('of an Application ends what was issued to it, in the same second too, and what is issued afterwards is good', async () => {
    const old = await mint();
    await revoke({ application: { name: 'cart' } });
    expect(await judge(old, await mint())).toEqual(['Revoked', 'valid']);
  });

  it('of a Resource ends its mandates and no others', async () => {
    const session = await login();
    const [mine, ledger] = [await mint(), await mint({ resource: PAYMENTS, scope: 'write' })];
    await revoke({ resource: { name: 'ledger' } });
    expect(await judge(mine, ledger)).toEqual(['valid', 'valid']);
    await revoke({ resource: { name: 'payments' } });
    expect(await judge(mine, ledger)).toEqual(['Revoked', 'Revoked']);
    expect((await byLogin(session)).status).toBe(200);
    expect(LEDGER).not.toBe(PAYMENTS);
  });

  it('of a session stops the instance for good, whatever session it names, and no other instance', async () => {
    const [one, two] = [mandateOf(await fromPod('pod-one')), mandateOf(await fromPod('pod-two'))];
    await revoke({ session: claimOf(one, 'sid') });
    expect(await judge(one, two)).toEqual(['Revoked', 'valid']);
    const refused = await fromPod('pod-one');
    expect([errorOf(refused), refused.body['reason']]).toEqual(['403 access_denied', 'Revoked']);
    const evading = await fromPod('pod-one', { ...READ, session_id: claimOf(two, 'sid') });
    expect(evading.body['reason']).toBe('Revoked');
    expect((await fromPod('pod-two')).status).toBe(200);
  });

  it('of a user’s login ends it and what came of it; another login is another', async () => {
    const session = await login();
    const mandate = mandateOf(await byLogin(session));
    await revoke({ rootSession: claimOf(session, 'root_sid') });
    expect((await byLogin(session)).body['reason']).toBe('Revoked');
    expect(await judge(mandate)).toEqual(['Revoked']);
    expect((await byLogin(await login())).status).toBe(200);
  });

  it('of a mandate ends that one; of a session mandate also what was exchanged for it', async () => {
    const [one, two] = [await mint(), await mint()];
    await revoke({ mandate: claimOf(one, 'jti') });
    expect(await judge(one, two)).toEqual(['Revoked', 'valid']);
    const session = await login();
    const mandate = mandateOf(await byLogin(session));
    await revoke({ mandate: claimOf(session, 'jti') });
    expect(await judge(mandate)).toEqual(['Revoked']);
    expect((await byLogin(session)).body['reason']).toBe('Revoked');
  });

  it('of a user ends logins and mandates from before; who signs in anew is let in', async () => {
    const session = await login();
    const mandate = mandateOf(await byLogin(session));
    const own = await mint();
    const early = signAs(idp, idTokenClaims(sts.seconds()));
    sts.advance(2);
    await revoke({ subject: { issuer: 'corp', sub: 'alice' } });
    expect(await judge(mandate, own)).toEqual(['Revoked', 'valid']);
    expect((await byLogin(session)).body['reason']).toBe('Revoked');
    expect((await sts.token({ ...BY_SECRET, ...withSubject(early) })).body['reason']).toBe('Revoked');
    expect((await byLogin(await login())).status).toBe(200);
  });

  it('of everything ends all of the zone and nothing of another', async () => {
    const [session, mandate] = [await login(), await mint()];
    await revoke({ everything: {} });
    expect(await judge(mandate)).toEqual(['Revoked']);
    expect((await byLogin(session)).body['reason']).toBe('Revoked');
    expect(await judge(await mint())).toEqual(['valid']);
  });

  it('with issuedBefore spares what was issued since, and until a later instant lets nothing pass', async () => {
    const old = await mint();
    sts.advance(10);
    const cut = new Date(sts.seconds() * 1000).toISOString();
    sts.advance(10);
    const young = await mint();
    await revoke({ application: { name: 'cart' } }, { issuedBefore: cut });
    expect(await judge(old, young)).toEqual(['Revoked', 'valid']);
    const later = new Date((sts.seconds() + 30) * 1000).toISOString();
    await revoke({ application: { name: 'cart' } }, { issuedBefore: later });
    expect((await sts.token({ ...BY_SECRET, ...READ })).body['reason']).toBe('Revoked');
    sts.advance(31);
    expect(await judge(young, await mint())).toEqual(['Revoked', 'valid']);
  });
});

describe('what was revoked', () => {
  it('stays so when the object is deleted, and when the STS starts anew without it', async () => {
    const pod = mandateOf(await fromPod('pod-gone'));
    const mandate = await mint();
    await revoke({ session: claimOf(pod, 'sid') });
    await revoke({ application: { name: 'cart' } });
    await sts.apply((world) => ({ ...world, revocations: [] }));
    expect(await judge(pod, mandate, await mint())).toEqual(['Revoked', 'Revoked', 'valid']);
    await sts.restart();
    expect(await judge(pod, mandate, await mint())).toEqual(['Revoked', 'Revoked', 'valid']);
    expect((await fromPod('pod-gone')).body['reason']).toBe('Revoked');
  });

  it('is in the store with the epoch that it took effect with, once', async () => {
    const known = (await sts.store().revocations(ZONE_UID)).length;
    await revoke({ everything: {} });
    const epoch = Number(decode(await mint()).claims['epoch']);
    await sts.restart();
    const remembered = await sts.store().revocations(ZONE_UID);
    expect(remembered).toHaveLength(known + 1);
    expect(remembered.at(-1)).toMatchObject({ target: { type: 'everything' }, epoch });
  });

  it('is told to gateways as a change of what it touches, and counted when they acknowledge its epoch', async () => {
    const feed = await openFeed(sts);
    const [hello, config] = await Promise.all([feed.wait('hello'), feed.wait('config')]);
    await revoke({ application: { name: 'cart' } });
    const { id, data } = await feed.wait('epoch');
    expect(data['change']).toEqual({ all: false, applications: ['shop.cart'], resources: [] });
    const ack = { stream_id: hello.data['stream_id'], digest: config.data['digest'], nonce: 'n' };
    expect((await acknowledge(sts, { ...ack, cursor: config.id })).status).toBe(204);
    expect((await acknowledge(sts, { ...ack, cursor: id })).status).toBe(204);
  });
});
