/** Which mandates a gateway takes: the rows of the catalogue over a real socket, and what a remembered verdict does not cover. */
import { createHmac, sign } from 'node:crypto';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANDATE_TYP } from '../../src/authority/claims.ts';
import { errorOf } from './rawHTTP.ts';
import { encode, newPair, signParts, type FakeSTS } from './sts.ts';
import { startWorld, until, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

const header = (sts: FakeSTS, change: object = {}) => ({
  alg: 'ES256',
  kid: sts.key.kid,
  typ: MANDATE_TYP.resource,
  ...change,
});
const withHeader = (change: object) => (sts: FakeSTS) => signParts(header(sts, change), sts.claims(), sts.key);
const withClaims = (change: Readonly<Record<string, unknown>>) => (sts: FakeSTS) =>
  signParts(header(sts), sts.claims(change), sts.key);
const parts = (token: string) => token.split('.') as [string, string, string];
const seconds = () => Math.floor(world.clock.now() / 1000);
const signText = (head: string, payload: string, sts: FakeSTS) => {
  const input = `${encode(head)}.${encode(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key: sts.key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${encode(signature)}`;
};

type Forge = (sts: FakeSTS) => string;

const FORGED: Readonly<Record<string, Forge>> = {
  'J-01 alg none': (sts) => `${encode(JSON.stringify(header(sts, { alg: 'none' })))}.${parts(sts.mint())[1]}.`,
  'J-01 an empty signature': (sts) => parts(sts.mint()).slice(0, 2).join('.') + '.',
  'J-02 HS256 with the public key': (sts) => {
    const input = `${encode(JSON.stringify(header(sts, { alg: 'HS256' })))}.${parts(sts.mint())[1]}`;
    return `${input}.${encode(
      createHmac('sha256', sts.key.x + sts.key.y)
        .update(input)
        .digest(),
    )}`;
  },
  'J-03 another algorithm with its key in jwk': (sts) => {
    const attacker = newPair('k1');
    const jwk = { kty: 'EC', crv: 'P-256', x: attacker.x, y: attacker.y };
    return signParts(header(sts, { jwk }), sts.claims(), attacker);
  },
  'J-04 alg twice': (sts) =>
    signText(`{"alg":"none","alg":"ES256","kid":"k1","typ":"at+jwt"}`, JSON.stringify(sts.claims()), sts),
  'J-07 the kid of a key that is not this zone’s': (sts) => signParts(header(sts), sts.claims(), newPair('k1')),
  'J-09 crit': withHeader({ crit: ['exp'] }),
  'J-10 b64': withHeader({ b64: false }),
  'J-11 zip': withHeader({ zip: 'DEF' }),
  'J-13 JSON serialisation': (sts) => {
    const [protectedHeader, payload, signature] = parts(sts.mint());
    return encode(JSON.stringify({ protected: protectedHeader, payload, signature }));
  },
  'J-14 two parts': (sts) => parts(sts.mint()).slice(0, 2).join('.'),
  'J-14 four parts': (sts) => `${sts.mint()}.a`,
  'J-14 a leading dot': (sts) => `.${sts.mint()}`,
  'J-16 a signature of zeros': (sts) => `${parts(sts.mint()).slice(0, 2).join('.')}.${encode(Buffer.alloc(64))}`,
  'J-16 a signature of 63 bytes': (sts) => `${parts(sts.mint()).slice(0, 2).join('.')}.${encode(Buffer.alloc(63, 1))}`,
  'J-17 a DER signature': (sts) => {
    const input = parts(sts.mint()).slice(0, 2).join('.');
    return `${input}.${encode(sign('sha256', Buffer.from(input), sts.key.privateKey))}`;
  },
  'J-19 padding': (sts) => `${sts.mint()}=`,
  'J-19 percent-encoded': (sts) => sts.mint().replace('.', '%2E'),
  'J-20 one bit of the signature': (sts) => {
    const [head, payload, signature] = parts(sts.mint());
    const bytes = Buffer.from(signature, 'base64url');
    bytes[10]! ^= 1;
    return `${head}.${payload}.${encode(bytes)}`;
  },
  'J-21 scope twice': (sts) =>
    signText(JSON.stringify(header(sts)), JSON.stringify(sts.claims()).replace('{', '{"scope":"orders:admin",'), sts),
  'J-22 a claim in another case': withClaims({ Scope: 'orders:admin' }),
  'J-25 iat in the future': (sts) =>
    signParts(header(sts), sts.claims({ iat: seconds() + 60, exp: seconds() + 120 }), sts.key),
  'J-25 a life of an hour': (sts) => signParts(header(sts), sts.claims({ exp: seconds() + 3600 }), sts.key),
  'J-26 expired beyond the skew': (sts) =>
    signParts(header(sts), sts.claims({ iat: seconds() - 60, exp: seconds() - 6 }), sts.key),
  'J-27 iss with a trailing slash': (sts) => signParts(header(sts), sts.claims({ iss: `${sts.url}/` }), sts.key),
  'J-27 iss in an array': (sts) => signParts(header(sts), sts.claims({ iss: [sts.url] }), sts.key),
  'J-28 the audience of another Resource': withClaims({ aud: ['resource://others'] }),
  'J-28 two audiences': withClaims({ aud: ['resource://orders', 'resource://others'] }),
  'J-28 a prefix of ours': withClaims({ aud: ['resource://order'] }),
  'J-28 an empty list': withClaims({ aud: [] }),
  'J-29 a session': (sts) =>
    signParts(header(sts, { typ: MANDATE_TYP.session }), sts.claims({ use: 'session', aud: [sts.url] }), sts.key),
  'J-29 a resource mandate with the type of a session': withHeader({ typ: MANDATE_TYP.session }),
  'J-29 an ID token': (sts) =>
    signParts({ alg: 'ES256', kid: 'k1', typ: 'JWT' }, { iss: sts.url, aud: 'a', sub: 'b' }, sts.key),
  'J-35 a byte order mark': (sts) =>
    signText(`\ufeff${JSON.stringify(header(sts))}`, JSON.stringify(sts.claims()), sts),
};

describe('refused with 401, and no upstream contact', () => {
  it.each(Object.entries(FORGED))('%s', async (_name, forge) => {
    const before = world.upstream.received.length;
    const answer = await world.send('GET /orders', { token: forge(world.sts) });
    expect({ status: answer.status, error: errorOf(answer) }).toEqual({ status: 401, error: 'invalid_token' });
    expect(world.upstream.received.length).toBe(before);
  });

  it('J-05 a jku or x5u is not followed', async () => {
    let contacts = 0;
    const listener = createServer((socket) => {
      contacts += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const url = `http://127.0.0.1:${(listener.address() as { port: number }).port}/keys`;
    for (const change of [{ jku: url }, { x5u: url }]) {
      expect((await world.send('GET /orders', { token: withHeader(change)(world.sts) })).status).toBe(401);
    }
    listener.close();
    expect(contacts).toBe(0);
  });

  it('J-15 J-34 more than 8 KiB of dots cost nothing', async () => {
    expect((await world.send('GET /orders', { token: '.'.repeat(9000) })).status).toBe(401);
    expect((await world.send('GET /orders', { token: '.'.repeat(17_000) })).status).toBe(431);
  });

  it('E-11 J-40 no token and no unverified claim is in an answer or in the log', async () => {
    const token = withClaims({ sub: 'canary-subject', client_id: 'canary-client', zone_id: 'canary.zone' })(world.sts);
    const answer = await world.send('GET /orders', { token });
    const said = answer.body + world.log.join('');
    expect(said).not.toContain(token);
    expect(said).not.toContain(parts(token)[2]);
    expect(said).not.toContain('canary');
    expect(said).not.toContain('gateway.projected.token');
  });
});

describe('a mandate that was verified before', () => {
  it('J-38 is judged anew for each operation, and by nothing but the whole token', async () => {
    const token = world.sts.mint();
    expect((await world.send('GET /orders', { token })).status).toBe(200);
    expect((await world.send('GET /orders', { token })).status).toBe(200);
    expect((await world.send('GET /orders/all', { token })).status).toBe(403);
    expect((await world.send('GET /orders', { token: `${token.slice(0, -4)}AAAA` })).status).toBe(401);
  });

  it('J-26 ends at its expiry', async () => {
    const token = signParts(header(world.sts), world.sts.claims({ exp: seconds() + 5 }), world.sts.key);
    expect((await world.send('GET /orders', { token })).status).toBe(200);
    world.clock.advance(11_000);
    world.sts.heartbeat();
    await until(() => world.gateway.ready().ready);
    expect((await world.send('GET /orders', { token })).status).toBe(401);
  });

  it('J-08 J-33 ends with its key, and one of a new key is taken as soon as the key is known', async () => {
    const { sts } = world;
    const next = newPair('k2');
    const token = sts.mint();
    const newer = signParts({ ...header(sts), kid: 'k2' }, sts.claims(), next);
    expect((await world.send('GET /orders', { token })).status).toBe(200);
    expect((await world.send('GET /orders', { token: newer })).status).toBe(401);
    sts.state.keys = [sts.key, next];
    sts.publishKeys();
    await until(async () => (await world.send('GET /orders', { token: newer })).status === 200);
    sts.state.keys = [next];
    sts.publishKeys();
    await until(async () => (await world.send('GET /orders', { token })).status === 401);
    sts.state.keys = [sts.key];
    sts.publishKeys();
    await until(async () => (await world.send('GET /orders', { token })).status === 200);
  });
});

describe('wrong signatures', () => {
  it('are counted per address, and the budget refuses with 429 while good mandates go on', async () => {
    const own = await startWorld();
    const good = own.sts.mint();
    expect((await own.send('GET /orders', { token: good })).status).toBe(200);
    const statuses = new Set<number>();
    for (let index = 0; index < 1500 && !statuses.has(429); index += 1) {
      const forged = signParts(header(own.sts), own.sts.claims(), newPairOnce);
      statuses.add((await own.send('GET /orders', { token: forged })).status);
    }
    expect([...statuses]).toEqual([401, 429]);
    expect((await own.send('GET /orders', { token: good })).status).toBe(200);
    await own.stop();
  });
});

const newPairOnce = newPair('k1');
