/** Records of gateways at the STS: strict in form, stored once in the zone's chain, and nothing is acknowledged that is not durable. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AuditBatch } from '../../src/authority/gatewayRecords.ts';
import { openSQLiteReader } from '../../src/store/reader.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { bearer, gatewayOf, gatewayToken, postJSON } from './gateway.ts';
import { errorOf, startSTS, type TestSTS } from './service.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const PATH = '/v1/audit?zone_id=shop.main';
const SPOOL = '0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31';
const allowed = { at: 1, request_id: 'one', decision: 'allow', method: 'GET', resource: 'r', jti: 'j' } as const;
const batch = (sequence: number, members: object = {}): AuditBatch => ({
  ...{ spool: SPOOL, sequence, requests: [allowed] },
  ...members,
});

function recorded() {
  const reader = openSQLiteReader({ path: sts.storePath });
  const found = [...reader.logged()].map(({ record }) => record).filter(({ kind }) => kind === 'gateway');
  reader.close();
  return found.toReversed();
}

describe('a batch of a gateway', () => {
  it('is a record of the zone’s chain, with the authenticated gateway that told it', async () => {
    const answer = await postJSON(sts, PATH, batch(1));
    expect([answer.status, answer.text]).toEqual([204, '']);
    const [record] = recorded();
    expect(record).toMatchObject({ zoneID: 'shop.main', kind: 'gateway', outcome: 'done' });
    expect(record!.gateway).toEqual({
      by: expect.objectContaining({ namespace: 'shop', serviceAccount: 'gateway', pod: expect.any(String) }),
      ...batch(1),
    });
  });

  it('is stored once, however often it comes and from whichever pod, and acknowledged each time', async () => {
    const before = recorded().length;
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        postJSON(sts, PATH, batch(2), gatewayOf(sts, 'shop', 'gateway', `pod-${index % 4}`)),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    await sts.restart();
    expect((await postJSON(sts, PATH, batch(2))).status).toBe(204);
    expect(recorded().length).toBe(before + 1);
  });

  it('of another ServiceAccount, spool or sequence is another one', async () => {
    const before = recorded().length;
    await postJSON(sts, PATH, batch(3));
    await postJSON(sts, PATH, batch(3), gatewayOf(sts, 'shop', 'other'));
    await postJSON(sts, PATH, batch(3, { spool: SPOOL.replace('0192', '0193') }));
    await postJSON(sts, PATH, batch(4));
    expect(recorded().length).toBe(before + 4);
  });

  it('A-07 that cannot be stored is not acknowledged', async () => {
    const committing = vi.spyOn(sts.store(), 'commit').mockRejectedValue(new StoreUnavailable('the disk is full'));
    expect(errorOf(await postJSON(sts, PATH, batch(5)))).toBe('503 sts_unavailable');
    committing.mockRestore();
    expect((await postJSON(sts, PATH, batch(5))).status).toBe(204);
  });

  const wrong: Readonly<Record<string, unknown>> = {
    'no JSON': 'x',
    'another member': batch(9, { more: 1 }),
    'a request with another member': batch(9, { requests: [{ ...allowed, path: '/secret' }] }),
    'a method that is none': batch(9, { requests: [{ ...allowed, method: 'GET /secret' }] }),
    'an error that is no code': batch(9, { requests: [{ ...allowed, error: 'Bearer eyJ' }] }),
    'no sequence': batch(0),
    'a spool that is no id': batch(9, { spool: '../x' }),
    'too many requests': batch(9, { requests: Array.from({ length: 10_001 }, () => ({ at: 1 })) }),
  };
  it.each(Object.keys(wrong))('with %s is refused', async (name) => {
    const before = recorded().length;
    expect(errorOf(await postJSON(sts, PATH, wrong[name]))).toBe('400 invalid_request');
    expect(recorded().length).toBe(before);
  });

  it('of nobody, and of a gateway of another zone, is refused before it is read', async () => {
    const headers = { 'content-type': 'application/json' };
    expect((await sts.send({ method: 'POST', path: PATH, headers, body: 'x' })).status).toBe(401);
    const elsewhere = { ...headers, ...bearer(gatewayToken(sts)) };
    const other = await sts.send({
      method: 'POST',
      path: '/v1/audit?zone_id=bank.main',
      headers: elsewhere,
      body: 'x',
    });
    expect(other.status).toBe(401);
  });
});
