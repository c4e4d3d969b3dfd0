/** Mandates that are bound to a key (RFC 9449), over a real socket; and the mandate that goes on to the app. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FeedResource } from '../../src/authority/feed.ts';
import { athOf, makeProof, newProofKey, proofClaims, proofHeader, signProof, type ProofKey } from '../tokens/dpop.ts';
import { errorOf, header, openRaw, sendRaw, toRequest, type RawAnswer } from './rawHTTP.ts';
import { ORDERS, startWorld, until, valuesOf, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world.stop());

const key = newProofKey();
const URL = 'http://orders.test/orders';
const bound = (change: object = {}) => world.sts.mint({ cnf: { jkt: key.jkt }, ...change });
const send = (lines: readonly string[], line = 'GET /orders', host = 'orders.test') =>
  sendRaw(world.port, toRequest([`${line} HTTP/1.1`, `Host: ${host}`, ...lines]));
const outcomeOf = (answer: RawAnswer) => (answer.status === 200 ? '200' : `${answer.status} ${errorOf(answer)}`);

/** Any refusal of a bound mandate tells it. */
async function nonceOf(token = bound()): Promise<string> {
  return header(await send([`Authorization: Bearer ${token}`]), 'dpop-nonce')!;
}

async function proofFor(token: string, change: { readonly url?: string; readonly method?: string } = {}, by = key) {
  const request = { method: 'GET', url: URL, nonce: await nonceOf(), accessToken: token, now: world.clock.now() };
  return makeProof({ ...request, ...change }, by);
}
const withProof = (token: string, proof: string) => [`Authorization: DPoP ${token}`, `DPoP: ${proof}`];

async function serve(change: Partial<FeedResource>): Promise<void> {
  const before = world.sts.acks.at(-1)!.digest;
  world.sts.state.resources = [{ ...ORDERS, ...change }];
  world.sts.publish();
  await until(() => world.sts.acks.at(-1)!.digest !== before);
}

describe('a mandate that is bound to a key', () => {
  it('is taken with a proof of the key, and the proof goes no further', async () => {
    const token = bound();
    const answer = await send(withProof(token, await proofFor(token)));
    expect(outcomeOf(answer)).toBe('200');
    const [received] = world.upstream.received;
    expect([...valuesOf(received, 'dpop'), ...valuesOf(received, 'authorization')]).toEqual([]);
  });

  it('is taken with the scheme in either case, whatever the query', async () => {
    const token = bound();
    const lines = [`authorization: dpop ${token}`, `dpop: ${await proofFor(token)}`];
    expect(outcomeOf(await send(lines, 'GET /orders?a=1'))).toBe('200');
  });

  it('sent as a bearer’s is refused, with what is needed instead', async () => {
    const answer = await send([`Authorization: Bearer ${bound()}`]);
    expect(outcomeOf(answer)).toBe('401 invalid_token');
    expect(header(answer, 'www-authenticate')).toBe('DPoP error="invalid_token", algs="ES256"');
    expect(header(answer, 'dpop-nonce')).toMatch(/^[A-Za-z0-9_-]{24}$/);
    const token = bound();
    const proof = await proofFor(token);
    expect(outcomeOf(await send([`Authorization: Bearer ${token}`, `DPoP: ${proof}`]))).toBe('401 invalid_token');
  });

  it('without a nonce is told one, and taken with it', async () => {
    const token = bound();
    const claims = {
      ...proofClaims({ method: 'GET', url: URL, nonce: '', accessToken: token, now: world.clock.now() }),
    };
    const first = await send(withProof(token, signProof(proofHeader(key), { ...claims, nonce: undefined }, key)));
    expect(outcomeOf(first)).toBe('401 use_dpop_nonce');
    expect(header(first, 'www-authenticate')).toBe('DPoP error="use_dpop_nonce", algs="ES256"');
    const nonce = header(first, 'dpop-nonce');
    const second = await send(withProof(token, signProof(proofHeader(key), { ...claims, nonce }, key)));
    expect(outcomeOf(second)).toBe('200');
  });

  it('with a proof that was used before is refused, also for another request', async () => {
    const token = bound();
    const proof = await proofFor(token);
    expect(outcomeOf(await send(withProof(token, proof)))).toBe('200');
    expect(outcomeOf(await send(withProof(token, proof)))).toBe('401 invalid_dpop_proof');
    expect(world.upstream.received.length).toBe(1);
  });

  it('with one proof 50 times together passes once', async () => {
    const token = bound();
    const bytes = toRequest(['GET /orders HTTP/1.1', 'Host: orders.test', ...withProof(token, await proofFor(token))]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => sendRaw(world.port, bytes)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    expect(world.upstream.received.length).toBe(1);
  });

  const WRONG: Readonly<Record<string, (token: string) => Promise<readonly string[]>>> = {
    'no proof': async (token) => [`Authorization: DPoP ${token}`],
    'two proofs': async (token) => [...withProof(token, await proofFor(token)), `DPoP: ${await proofFor(token)}`],
    'two proofs in one header': async (token) => withProof(token, `${await proofFor(token)}, ${await proofFor(token)}`),
    'a proof under an alias': async (token) => [`Authorization: DPoP ${token}`, `D-PoP: ${await proofFor(token)}`],
    'a proof of another key': async (token) => withProof(token, await proofFor(token, {}, newProofKey())),
    'a proof signed by another key': async (token) => {
      const { privateKey } = newProofKey();
      return withProof(token, await proofFor(token, {}, { ...key, privateKey } as ProofKey));
    },
    'a proof for another method': async (token) => withProof(token, await proofFor(token, { method: 'POST' })),
    'a proof for another path': async (token) => withProof(token, await proofFor(token, { url: `${URL}/1` })),
    'a proof for another host': async (token) =>
      withProof(token, await proofFor(token, { url: 'http://evil.test/orders' })),
    'a proof for https': async (token) =>
      withProof(token, await proofFor(token, { url: URL.replace('http', 'https') })),
    'a proof for another mandate': async (token) => withProof(token, await proofFor(bound())),
  };
  it.each(Object.entries(WRONG))('with %s is refused', async (_name, lines) => {
    const answer = await send(await lines(bound()));
    expect(outcomeOf(answer)).toBe('401 invalid_dpop_proof');
    expect(header(answer, 'www-authenticate')).toBe('DPoP error="invalid_dpop_proof", algs="ES256"');
    expect(header(answer, 'dpop-nonce')).toBeDefined();
    expect(world.upstream.received.length).toBe(0);
  });

  it('is spent only with its proof', async () => {
    const token = bound({ once: true });
    expect(outcomeOf(await send([`Authorization: DPoP ${token}`]))).toBe('401 invalid_dpop_proof');
    expect(world.sts.consumed).toEqual([]);
    expect(outcomeOf(await send(withProof(token, await proofFor(token))))).toBe('200');
    expect(outcomeOf(await send(withProof(token, await proofFor(token))))).toBe('401 invalid_token');
  });

  it('takes no nonce of ten minutes ago', async () => {
    const token = bound();
    const nonce = await nonceOf();
    world.clock.advance(601_000);
    world.sts.heartbeat();
    await until(() => world.gateway.ready().ready);
    const fresh = bound();
    const request = { method: 'GET', url: URL, nonce, accessToken: fresh, now: world.clock.now() };
    expect(outcomeOf(await send(withProof(fresh, makeProof(request, key))))).toBe('401 use_dpop_nonce');
    expect(athOf(token)).not.toBe(athOf(fresh));
  });

  it('E-11 leaves no proof in answers or the log', async () => {
    const token = bound();
    const proof = await proofFor(token, { method: 'POST' });
    const answer = await send(withProof(token, proof));
    expect(answer.body + world.log.join('')).not.toContain(proof.split('.')[2]);
  });

  it('whose wrong proofs are many is refused with 429', async () => {
    const token = bound();
    const forged = await proofFor(token, {}, { ...key, privateKey: newProofKey().privateKey });
    const bytes = toRequest(['GET /orders HTTP/1.1', 'Host: orders.test', ...withProof(token, forged)]);
    const connection = await openRaw(world.port);
    const statuses = new Set<number>();
    for (let round = 0; round < 60 && !statuses.has(429); round += 1) {
      connection.write(Buffer.concat(Array.from({ length: 50 }, () => bytes)));
      for (let index = 0; index < 50; index += 1) statuses.add((await connection.answer()).status);
    }
    connection.destroy();
    expect([...statuses]).toEqual([401, 429]);
  });
});

describe('a mandate that is bound to no key', () => {
  it('sent with DPoP is refused', async () => {
    const token = world.sts.mint();
    expect(outcomeOf(await send(withProof(token, await proofFor(token))))).toBe('401 invalid_token');
  });

  it('is refused by a Resource that requires proof, which asks for it', async () => {
    await serve({ proof_of_possession: 'Required' });
    const none = await send([]);
    expect(outcomeOf(none)).toBe('401 missing_token');
    expect(header(none, 'www-authenticate')).toBe('DPoP algs="ES256"');
    expect(header(none, 'dpop-nonce')).toBeDefined();
    const bearer = await send([`Authorization: Bearer ${world.sts.mint()}`]);
    expect(outcomeOf(bearer)).toBe('401 invalid_token');
    expect(header(bearer, 'www-authenticate')).toContain('DPoP error="invalid_token"');
    const token = bound();
    expect(outcomeOf(await send(withProof(token, await proofFor(token))))).toBe('200');
  });
});

describe('a gateway that knows where it is reached', () => {
  it('takes proofs for that, whatever Host a request names', async () => {
    await world.stop();
    world = await startWorld({
      config: () => ({ publicOrigins: ['https://orders.example', 'http://orders.shop.svc:8080'] }),
    });
    const token = bound();
    for (const url of ['https://orders.example/orders', 'http://orders.shop.svc:8080/orders'])
      expect(outcomeOf(await send(withProof(token, await proofFor(token, { url }))))).toBe('200');
    const relayed = withProof(token, await proofFor(token, { url: 'http://evil.test/orders' }));
    expect(outcomeOf(await send(relayed, 'GET /orders', 'evil.test'))).toBe('401 invalid_dpop_proof');
  });
});

describe('a mandate that is forwarded', () => {
  const forwarded = () => valuesOf(world.upstream.received.at(-1), 'authorization');

  it('goes on as it came, where the Resource says so, and is removed else', async () => {
    const token = world.sts.mint();
    await send([`Authorization: Bearer ${token}`]);
    expect(forwarded()).toEqual([]);
    await serve({ forward_mandate: true });
    await send([`authorization: bearer ${token}`, 'Proxy-Authorization: Basic AAAA']);
    expect(forwarded()).toEqual([`Bearer ${token}`]);
    expect(valuesOf(world.upstream.received.at(-1), 'proxy-authorization')).toEqual([]);
  });

  it('that is bound keeps its scheme, and its proof stays here', async () => {
    await serve({ forward_mandate: true });
    const token = bound();
    await send(withProof(token, await proofFor(token)));
    expect(forwarded()).toEqual([`DPoP ${token}`]);
    expect(valuesOf(world.upstream.received.at(-1), 'dpop')).toEqual([]);
  });
});
