/** The front's parts: who asks by headers and certificate, what is asked of the authorizer again, and which replica. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuthorizer } from '../../src/front/authorize.ts';
import { createReplicas } from '../../src/front/replicas.ts';
import { parseRules, readUser } from '../../src/front/requestHeader.ts';
import { ANSWER_HEADER } from '../../src/runtimeapi/forwarding.ts';

const DATA = {
  'requestheader-client-ca-file': 'PEM',
  'requestheader-allowed-names': '["front-proxy-client"]',
  'requestheader-username-headers': '["X-Remote-User"]',
  'requestheader-uid-headers': '["X-Remote-Uid"]',
  'requestheader-group-headers': '["X-Remote-Group"]',
  'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
};
const PEER = { isVerified: true, commonName: 'front-proxy-client' };

describe('who asks', () => {
  const rules = parseRules(DATA);
  const headers = [
    ...['X-Remote-User', 'alice', 'X-Remote-Group', 'a', 'x-remote-group', 'b', 'X-Remote-Uid', '7'],
    ...['X-Remote-Extra-Scopes', 'x', 'X-Remote-Extra-example.com%2Fteam', 'y'],
  ];

  it('is what the headers say, every group and every extra', () => {
    expect(readUser(headers, PEER, rules)).toEqual({
      name: 'alice',
      uid: '7',
      groups: ['a', 'b'],
      extra: { scopes: ['x'], 'example.com/team': ['y'] },
    });
  });

  it.each([
    ['a certificate that was not verified', headers, { ...PEER, isVerified: false }],
    ['a certificate of another name', headers, { ...PEER, commonName: 'somebody' }],
    ['no certificate', headers, { isVerified: true, commonName: undefined }],
    ['no user', ['X-Remote-Group', 'system:masters'], PEER],
    ['an empty user', ['X-Remote-User', ''], PEER],
  ])('is nobody with %s', (_what, sent, peer) => {
    expect(readUser(sent, peer, rules)).toBeUndefined();
  });

  it('cannot be known where the API server has no aggregation layer', () => {
    expect(() => parseRules({})).toThrow('--requestheader-');
    expect(() => parseRules({ ...DATA, 'requestheader-group-headers': '{}' })).toThrow('no list of names');
  });
});

describe('the authorizer', () => {
  const alice = { name: 'alice', groups: ['a'] };
  function counting(status: object) {
    const asked: unknown[] = [];
    let now = 0;
    const client = { request: async ({ body }: { body?: unknown }) => (asked.push(body), { status }) };
    const authorize = createAuthorizer(client, { monotonic: () => now });
    return { authorize, asked, advance: (ms: number) => void (now += ms) };
  }

  it('is asked once in ten seconds for what only shows, and each time for what acts', async () => {
    const { authorize, asked, advance } = counting({ allowed: true });
    const list = { verb: 'list', resource: 'agentsessions', namespace: 'shop' };
    for (let count = 0; count < 3; count += 1) await authorize(alice, list);
    expect(asked).toHaveLength(1);
    await authorize({ ...alice, groups: ['b'] }, list);
    await authorize(alice, { ...list, namespace: 'bank' });
    expect(asked).toHaveLength(3);
    advance(10_000);
    await authorize(alice, list);
    expect(asked).toHaveLength(4);
    for (const verb of ['approve', 'delete', 'create'])
      for (let count = 0; count < 2; count += 1) await authorize(alice, { ...list, verb });
    expect(asked).toHaveLength(10);
  });

  it.each([[{ allowed: true, denied: true }], [{ allowed: 'true' }], [{}]])('allows nothing by %s', async (status) => {
    const { authorize } = counting(status);
    expect((await authorize(alice, { verb: 'get', resource: 'agentsessions' })).allowed).toBe(false);
  });
});

describe('replicas', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function replica(isAnswer: boolean) {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization ?? '');
      response.writeHead(isAnswer ? 200 : 401, isAnswer ? { [ANSWER_HEADER]: '1' } : {});
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, server };
  }

  const forwarded = (method: string) => ({ user: { name: 'alice', groups: [] }, method, url: '/apis' });
  function asking(origins: readonly string[]) {
    const failures: string[] = [];
    const ports = {
      origins: () => origins,
      authorization: () => Promise.resolve('Bearer own'),
      onFailure: (_origin: string, why: string) => void failures.push(why),
    };
    const replicas = createReplicas({}, ports);
    const ask = async (method: string) => {
      const answer = await replicas.ask(forwarded(method), new AbortController().signal);
      await answer?.body.dump();
      return answer?.statusCode;
    };
    return { ask, failures, close: () => replicas.close() };
  }

  it('are asked one after the other until one answers, and that one first from then on', async () => {
    const [stranger, good] = [await replica(false), await replica(true)];
    const { ask, failures, close } = asking(['http://127.0.0.1:1', stranger.origin, good.origin]);
    expect([await ask('GET'), await ask('GET')]).toEqual([200, 200]);
    expect(failures).toEqual(['ECONNREFUSED', 'status 401']);
    expect(good.seen).toEqual(['Bearer own', 'Bearer own']);
    await close();
  });

  it('are not asked a second time to act where the first may have acted', async () => {
    const [broken, good] = [await replica(true), await replica(true)];
    broken.server.removeAllListeners('request');
    broken.server.on('request', (request) => request.socket.destroy());
    const { ask, close } = asking([broken.origin, good.origin]);
    expect(await ask('DELETE')).toBeUndefined();
    expect(good.seen).toEqual([]);
    expect(await ask('GET')).toBe(200);
    await close();
  });
});
