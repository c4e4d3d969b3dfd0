/** Single use: a mandate is spent once, over all gateways and after restarts, and only where it is in force. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatewayOf, postJSON } from './gateway.ts';
import { PAYMENTS, ZONE_UID } from './shop.ts';
import { BY_SECRET, errorOf, mandateOf, READ, startSTS, type Form, type TestSTS } from './service.ts';
import { decode } from './tokens.ts';

let sts: TestSTS;
beforeAll(async () => void (sts = await startSTS()));
afterAll(() => sts.close());

const PATH = '/v1/mandates/consume?zone_id=shop.main';
const mint = async (form: Form = {}) => mandateOf(await sts.token({ ...BY_SECRET, ...READ, ...form }));
const spend = (mandate: string, token?: string, minEpoch = 0) =>
  postJSON(sts, PATH, { mandate, min_epoch: minEpoch }, token);
const outcomeOf = async (mandate: string, token?: string) => {
  const { consumed, reason } = (await spend(mandate, token)).body;
  return consumed === true ? 'consumed' : reason;
};
const recordsOf = async (mandate: string) => {
  const records = await sts.store().decisions(ZONE_UID, 500);
  return records.filter((record) => record.consumed?.jti === decode(mandate).claims['jti']);
};

describe('a mandate', () => {
  it('X-16 is consumed once, and records say which, for what and by whom, and that it came again', async () => {
    const mandate = await mint();
    const first = await spend(mandate);
    const { jti, epoch } = decode(mandate).claims;
    expect(first.body).toEqual({ consumed: true, epoch });
    expect((await spend(mandate)).body).toEqual({ consumed: false, reason: 'used', epoch });
    const records = await recordsOf(mandate);
    const common = { kind: 'consume', zoneID: 'shop.main', epoch };
    const consumed = { jti, resource: PAYMENTS, gateway: 'shop/gateway' };
    expect(records).toMatchObject([
      { ...common, consumed, outcome: 'denial' },
      { ...common, consumed, outcome: 'permit' },
    ]);
    expect(JSON.stringify(records)).not.toContain(mandate.split('.')[2]);
  });

  it('X-16 is consumed once by 50 that ask together, and not again after a restart', async () => {
    const mandate = await mint();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcomeOf(mandate)));
    expect(outcomes.filter((outcome) => outcome === 'consumed').length).toBe(1);
    expect(outcomes.filter((outcome) => outcome === 'used').length).toBe(49);
    await sts.restart();
    expect(await outcomeOf(mandate)).toBe('used');
  });

  it('X-16 with its signature’s twin is one mandate', async () => {
    const mandate = await mint();
    expect(await outcomeOf(mandate)).toBe('consumed');
    expect(await outcomeOf(toTwin(mandate))).toBe('used');
  });

  it('X-17 leaves the single-use ids of other classes alone', async () => {
    const mandate = await mint();
    const { jti, exp } = decode(mandate).claims as { readonly jti: string; readonly exp: number };
    const [record] = await sts.store().decisions(ZONE_UID, 1);
    const use = { class: 'dpop', zoneUID: ZONE_UID, key: jti, expiresAt: exp } as const;
    const { jti: _jti, ...decision } = record!;
    const id = decision.id.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect((await sts.store().commit({ decision: { ...decision, id }, consume: [use] })).ok).toBe(true);
    expect(await outcomeOf(mandate)).toBe('consumed');
  });

  it('that is no longer in force is not spent', async () => {
    const before = sts.world();
    const mandate = await mint();
    await sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    expect(await outcomeOf(mandate)).toBe('ScopeNotGranted');
    expect(await recordsOf(mandate)).toEqual([]);
    await sts.apply(() => before);
    expect(await outcomeOf(mandate)).toBe('consumed');
  });

  it('that is none of ours, of another gateway’s Resource, a session’s or ended, is not spent', async () => {
    const session = mandateOf(await sts.token({ ...BY_SECRET, scope: 'agent:lifecycle' }));
    const good = await mint();
    expect(await outcomeOf('a.b.c')).toBe('audience');
    expect(await outcomeOf(session)).toBe('audience');
    expect(await outcomeOf(`${good.slice(0, -4)}AAAA`)).toBe('signature');
    expect(await outcomeOf(good, gatewayOf(sts, 'bank', 'gateway'))).toBe('audience');
    const ended = await mint({ ttl_seconds: '1' });
    sts.advance(10);
    expect(await outcomeOf(ended)).toBe('expired');
    expect(await outcomeOf(good)).toBe('consumed');
  });

  it('X-19 whose authority is taken away while it is judged does not pass', async () => {
    const before = sts.world();
    const mandate = await mint();
    sts.meanwhile.evaluated = () => {
      sts.meanwhile.evaluated = undefined;
      return sts.apply((world) => ({ ...world, grants: world.grants.slice(1) }));
    };
    expect(await outcomeOf(mandate)).toBe('ScopeNotGranted');
    await sts.apply(() => before);
  });
});

describe('a question', () => {
  it('that is malformed is 400, beyond this replica’s epoch 409, and without a gateway’s token 401', async () => {
    for (const body of [
      '',
      'null',
      {},
      { mandate: 'x' },
      { mandate: 'x', min_epoch: -1 },
      { mandates: ['x'], min_epoch: 0 },
    ])
      expect(errorOf(await postJSON(sts, PATH, body))).toBe('400 invalid_request');
    const mandate = await mint();
    const ahead = (decode(mandate).claims['epoch'] as number) + 1;
    expect(errorOf(await spend(mandate, undefined, ahead))).toBe('409 replica_behind');
    expect(errorOf(await spend(mandate, 'x'))).toBe('401 invalid_token');
    expect(await outcomeOf(mandate)).toBe('consumed');
  });

  it('is 503 while the store cannot be written, and nothing is spent that anyone was told of', async () => {
    const mandate = await mint();
    await sts.store().close();
    expect(errorOf(await spend(mandate))).toBe('503 sts_unavailable');
    await sts.restart();
    expect(await outcomeOf(mandate)).toBe('consumed');
  });
});

/** The other of (r, s) and (r, n − s): both are good. */
function toTwin(token: string): string {
  const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const bytes = Buffer.from(signature, 'base64url');
  const s = ORDER - BigInt(`0x${bytes.toString('hex', 32)}`);
  Buffer.from(s.toString(16).padStart(64, '0'), 'hex').copy(bytes, 32);
  return `${header}.${payload}.${bytes.toString('base64url')}`;
}
