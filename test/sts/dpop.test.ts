/** Mandates that are bound to a key at the token endpoint (RFC 9449): a proof, its nonce, and what it may not be. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resource } from '../compiler/world.ts';
import { makeProof, newProofKey, type ProofKey, type ProofRequest } from '../tokens/dpop.ts';
import { revalidate } from './gateway.ts';
import { BY_SECRET, errorOf, mandateOf, READ, startSTS, type Form, type TestSTS } from './service.ts';
import { ZONE_UID } from './shop.ts';
import { decode, ISSUER } from './tokens.ts';

let sts: TestSTS;
let key: ProofKey;
let nonce: string;
beforeAll(async () => {
  sts = await startSTS();
  key = newProofKey();
  nonce = String((await ask({ nonce: 'none' })).headers['dpop-nonce']);
});
afterAll(() => sts.close());

const proofOf = (request: Partial<ProofRequest> = {}) =>
  makeProof({ method: 'POST', url: `${ISSUER}/oauth/2/token`, nonce, now: sts.seconds() * 1000, ...request }, key);
const ask = (request: Partial<ProofRequest> = {}, form: Form = {}) =>
  sts.token({ ...BY_SECRET, ...READ, ...form }, { headers: { dpop: proofOf(request) } });

describe('a proof', () => {
  it('binds the mandate to its key, and says so', async () => {
    const answer = await ask();
    expect(answer.body['token_type']).toBe('DPoP');
    const mandate = mandateOf(answer);
    expect(decode(mandate).claims['cnf']).toEqual({ jkt: key.jkt });
    expect((await revalidate(sts, [mandate])).body['results']).toEqual([{ valid: true }]);
    const [record] = await sts.store().decisions(ZONE_UID, 1);
    expect(record!.inputs![0]!.principal.key_bound).toBe(true);
  });

  it('without a nonce of this instance is asked for again with one', async () => {
    const answer = await ask({ nonce: 'made-up' });
    expect(errorOf(answer)).toBe('400 use_dpop_nonce');
    expect(answer.headers['dpop-nonce']).toBe(nonce);
  });

  it('is good once, for this request, and for nothing else', async () => {
    const headers = { dpop: proofOf() };
    const twice = [
      await sts.token({ ...BY_SECRET, ...READ }, { headers }),
      await sts.token({ ...BY_SECRET, ...READ }, { headers }),
    ];
    expect(twice.map(({ status }) => status)).toEqual([200, 400]);
    for (const wrong of [{ method: 'GET' }, { url: `${ISSUER}/elsewhere` }, { now: (sts.seconds() - 120) * 1000 }])
      expect(errorOf(await ask(wrong))).toBe('400 invalid_dpop_proof');
    const two = await sts.token({ ...BY_SECRET, ...READ }, { headers: { dpop: [proofOf(), proofOf()] } });
    expect(errorOf(two)).toBe('400 invalid_dpop_proof');
    const elsewhere = await sts.send({ path: '/health', headers: { dpop: proofOf() } });
    expect(errorOf(elsewhere)).toBe('400 invalid_request');
  });

  it('binds no login', async () => {
    const answer = await ask({}, { resource: undefined, scope: 'agent:lifecycle' });
    expect(errorOf(answer)).toBe('400 invalid_request');
  });
});

describe('a Resource that requires a key', () => {
  it('gets bound mandates only, and ends those that are not', async () => {
    const unbound = mandateOf(await sts.token({ ...BY_SECRET, ...READ }));
    const before = sts.world();
    const [first, ...others] = before.resources;
    const strict = resource(
      { ...first!.spec, mandate: { ...first!.spec.mandate, proofOfPossession: 'Required' } },
      first!.metadata,
    );
    await sts.apply((world) => ({ ...world, resources: [strict, ...others] }));
    expect((await sts.token({ ...BY_SECRET, ...READ })).body['reason']).toBe('ProofOfPossessionRequired');
    expect((await ask()).status).toBe(200);
    const ended = { valid: false, reason: 'ProofOfPossessionRequired' };
    expect((await revalidate(sts, [unbound])).body['results']).toEqual([ended]);
    await sts.apply(() => before);
  });
});
