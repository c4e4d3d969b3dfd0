/** What a protecting gateway lets through and what it sends on, over bare sockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, header, openRaw } from './rawHTTP.ts';
import { startWorld, toBytes, valuesOf, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

const last = () => world.upstream.received.at(-1);

describe('a request with a good mandate', () => {
  it('reaches the upstream once, with who it is for', async () => {
    const before = world.upstream.received.length;
    const claims = world.sts.claims();
    const answer = await world.send('GET /orders/42?full=1', { token: world.sts.mint({ jti: claims.jti }) });
    expect(answer).toMatchObject({ status: 200, body: '{"ok":true}' });
    expect(world.upstream.received.length).toBe(before + 1);
    expect(last()).toMatchObject({ method: 'GET', url: '/orders/42?full=1' });
    expect(valuesOf(last(), 'x-caracal-subject')).toEqual(['team.agent']);
    expect(valuesOf(last(), 'x-caracal-client')).toEqual(['team.agent']);
    expect(valuesOf(last(), 'x-caracal-scope')).toEqual(['orders:read orders:write']);
    expect(valuesOf(last(), 'x-caracal-decision')).toEqual([claims.jti]);
    expect(valuesOf(last(), 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(last(), 'x-forwarded-proto')).toEqual(['http']);
    expect(valuesOf(last(), 'x-forwarded-host')).toEqual(['orders.test']);
    expect(valuesOf(last(), 'host')).toEqual(['orders.test']);
    expect(valuesOf(last(), 'x-request-id')).toEqual([header(answer, 'x-request-id')]);
    expect(valuesOf(last(), 'traceparent')[0]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
    expect(valuesOf(last(), 'authorization')).toEqual([]);
  });

  it('of a user names the user and their issuer, in ASCII whatever they are called', async () => {
    const user = {
      sub_type: 'user',
      sub_iss: 'corp',
      sub_id: 'zoë 100%',
      sub: 'corp:zoë 100%',
      act: { sub: 'team.agent' },
    };
    expect((await world.send('GET /orders', { token: world.sts.mint(user) })).status).toBe(200);
    expect(valuesOf(last(), 'x-caracal-subject')).toEqual(['corp:zo%C3%AB%20100%25']);
    expect(valuesOf(last(), 'x-caracal-subject-issuer')).toEqual(['corp']);
  });

  it('keeps a valid trace and drops our members of its baggage', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const headers = [`traceparent: ${traceparent}`, 'tracestate: v=1', 'baggage: a=1, caracal.session=x ,b=2;p'];
    await world.send('GET /orders', { headers });
    expect(valuesOf(last(), 'traceparent')).toEqual([traceparent]);
    expect(valuesOf(last(), 'tracestate')).toEqual(['v=1']);
    expect(valuesOf(last(), 'baggage')).toEqual(['a=1,b=2;p', 'caracal.session=sid-1']);
    await world.send('GET /orders', { headers: ['traceparent: 00-zz', 'tracestate: v=1'] });
    expect(valuesOf(last(), 'traceparent')[0]).toMatch(/^00-[0-9a-f]{32}-/);
    expect(valuesOf(last(), 'tracestate')).toEqual([]);
  });

  it('tells of its session and its edges, and no client can say so itself', async () => {
    const spoofed = [
      'baggage: caracal.hop=9,a=1',
      'Baggage: caracal.agent_session=spoofed',
      'BAGGAGE:  CARACAL.parent_edge=spoofed;p=1, b=2',
    ];
    await world.send('GET /orders', { token: world.sts.mint(CHAIN), headers: spoofed });
    expect(valuesOf(last(), 'baggage')).toEqual([
      'a=1',
      'b=2',
      'caracal.session=sid-1,caracal.agent_session=session%203,caracal.delegation_edge=edge-2,caracal.parent_edge=edge-1,caracal.hop=2',
    ]);
    await world.send('GET /orders', { token: world.sts.mint({ agent_session_id: 'session-1' }), headers: spoofed });
    expect(valuesOf(last(), 'baggage').at(-1)).toBe('caracal.session=sid-1,caracal.agent_session=session-1');
  });

  it('takes its body along, with the length it had', async () => {
    const body = JSON.stringify({ item: 'ü' });
    const headers = [`Content-Length: ${Buffer.byteLength(body)}`, 'Content-Type: application/json'];
    expect((await world.send('POST /orders', { headers, body })).status).toBe(200);
    expect(last()?.body).toBe(body);
    expect(valuesOf(last(), 'content-length')).toEqual([String(Buffer.byteLength(body))]);
    expect(valuesOf(last(), 'transfer-encoding')).toEqual([]);
  });

  it('is answered 100 Continue only once it is admitted', async () => {
    const headers = ['Expect: 100-continue', 'Content-Length: 2'];
    const refused = await world.send('POST /orders', { headers, token: null });
    expect(refused.status).toBe(401);
    const connection = await openRaw(world.port);
    connection.write(toBytes('POST /orders', { headers }, world.sts));
    expect((await connection.answer()).status).toBe(100);
    connection.write('{}');
    expect((await connection.answer()).status).toBe(200);
    connection.destroy();
  });
});

const CHAIN = {
  ...{ agent_session_id: 'session 3', source_session_id: 'session-2', target_session_id: 'session 3' },
  ...{ delegation_edge_id: 'edge-2', delegation_path: ['edge-1', 'edge-2'], hop_count: 2 },
  delegation_chain: ['root', 'worker', 'agent'].map((name) => ({ application_id: `team.${name}` })),
};

interface Refusal {
  readonly line: string;
  readonly token?: () => string | null;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly status: number;
  readonly error: string;
  readonly challenge?: string;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'no mandate': { line: 'GET /orders', token: () => null, status: 401, error: 'missing_token', challenge: 'Bearer' },
  'a scope that the mandate lacks': {
    ...{ line: 'GET /orders/all', status: 403, error: 'insufficient_scope' },
    challenge: 'Bearer error="insufficient_scope", scope="orders:admin"',
  },
  'a mandate without scopes': {
    ...{
      line: 'GET /orders',
      token: () => world.sts.mint({ scope: undefined }),
      status: 403,
      error: 'insufficient_scope',
    },
    challenge: 'Bearer error="insufficient_scope", scope="orders:read"',
  },
  'an operation that is not declared': { line: 'DELETE /orders/42', status: 403, error: 'operation_not_permitted' },
  'a path longer than the template': { line: 'GET /orders/42/items', status: 403, error: 'operation_not_permitted' },
  'HEAD where only GET is declared': { line: 'HEAD /orders/42', status: 403, error: 'operation_not_permitted' },
  'a trailing slash that the template has not': { line: 'GET /orders/', status: 403, error: 'operation_not_permitted' },
  'another zone’s mandate': {
    line: 'GET /orders',
    token: () => world.sts.mint({ zone_id: 'team.other' }),
    status: 401,
    error: 'invalid_zone',
  },
};

describe('refused, with nothing sent on', () => {
  it.each(Object.entries(REFUSALS))('%s', async (_name, { line, token, headers, body, status, error, challenge }) => {
    const before = world.upstream.received.length;
    const given = token?.();
    const answer = await world.send(line, {
      ...(given !== undefined && { token: given }),
      ...(headers && { headers }),
      ...(body !== undefined && { body }),
    });
    expect(answer.status).toBe(status);
    if (!line.startsWith('HEAD')) {
      expect(errorOf(answer)).toBe(error);
      const { error_description: description, requestId } = JSON.parse(answer.body) as Record<string, string>;
      expect(description).toMatch(/./);
      expect(requestId).toBe(header(answer, 'x-request-id'));
    }
    expect(header(answer, 'cache-control')).toBe('no-store');
    if (challenge !== undefined) expect(header(answer, 'www-authenticate')).toBe(challenge);
    expect(world.upstream.received.length).toBe(before);
  });
});

describe('operations', () => {
  it('prefer the literal over {name}, and read a needless difference of encoding as one path', async () => {
    expect((await world.send('GET /orders/all')).status).toBe(403);
    expect((await world.send('GET /orders/al%6C')).status).toBe(400);
    expect((await world.send('GET /orders/a%20b')).status).toBe(200);
  });

  it('of Uniform take any scope of the Resource, and none else', async () => {
    const { state } = world.sts;
    const declared = state.resources;
    state.resources = declared.map((resource) => ({ ...resource, operation_enforcement: 'Uniform' as const }));
    world.sts.publish();
    expect((await world.send('GET /anything/else')).status).toBe(200);
    expect((await world.send('GET /anything/else', { token: world.sts.mint({ scope: 'foreign:read' }) })).status).toBe(
      403,
    );
    expect((await world.send('GET /orders/all')).status).toBe(403);
    state.resources = declared;
    world.sts.publish();
    expect((await world.send('GET /anything/else')).status).toBe(403);
  });
});
