/** What a gateway decides is recorded: durably within a bound, delivered at least once, repetitions counted, and nothing secret in it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { GatewayRecord } from '../../src/authority/gatewayRecords.ts';
import { openFileSegments } from '../../src/gateway/audit/fileSegments.ts';
import { createRecorder } from '../../src/gateway/audit/recorder.ts';
import { createRepetitions } from '../../src/gateway/audit/repetitions.ts';
import { createWriter } from '../../src/gateway/audit/writer.ts';
import { createMemorySegments } from '../../src/gateway/audit/segments.ts';
import { errorOf, header } from './rawHTTP.ts';
import { ZONE } from './sts.ts';
import { createMovableClock, startWorld, until, type World } from './world.ts';

function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'caracal-spool-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function start(spool?: string): Promise<World> {
  const world = await startWorld({ config: () => (spool === undefined ? {} : { spool }) });
  onTestFinished(() => world.stop().catch(() => undefined));
  return world;
}

const delivered = ({ sts }: World) => sts.batches.flatMap(({ requests }) => requests);
const idsOf = (records: readonly GatewayRecord[]) => records.map(({ request_id }) => request_id);

describe('a record', () => {
  it('names the mandate, the Resource and the operation, and holds no value of the request', async () => {
    const world = await start();
    const [jti, other] = ['0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d31', '0192c3f0-7f6e-7b52-8a4e-1f7e0a9c2d32'];
    const allowed = await world.send('GET /orders/canary-path?canary-query=1', {
      token: world.sts.mint({ jti }),
      headers: ['X-Canary: canary-header'],
    });
    const refused = await world.send('POST /orders', { token: world.sts.mint({ jti: other, scope: 'orders:read' }) });
    await world.send('GET /orders', { token: 'canary-token' });
    await world.send('GET /a/../canary-form');
    await until(() => delivered(world).length === 4);
    const [first, second, third, fourth] = delivered(world);
    const about = { at: expect.any(Number), source: '127.0.0.1', resource: 'resource://orders' };
    expect(first).toEqual({
      ...{ ...about, request_id: header(allowed, 'x-request-id'), decision: 'allow', method: 'GET' },
      ...{ operation: '/orders/{id}', jti },
    });
    expect(second).toEqual({
      ...{ ...about, request_id: header(refused, 'x-request-id'), decision: 'refuse', method: 'POST' },
      ...{ operation: '/orders', jti: other, error: 'insufficient_scope', status: 403 },
    });
    expect(third).toMatchObject({ decision: 'refuse', error: 'invalid_token', status: 401 });
    expect(third).not.toHaveProperty('jti');
    expect(fourth).toMatchObject({ decision: 'refuse', error: 'invalid_request', status: 400 });
    expect(JSON.stringify(world.sts.batches)).not.toMatch(/canary-|eyJ/);
  });

  it('A-23 A-07 of a flood is one, and the others are counted', async () => {
    const world = await start();
    await Promise.all(Array.from({ length: 200 }, () => world.send('GET /orders', { token: null })));
    await world.gateway.close();
    const records = delivered(world);
    expect(records.map(({ count }) => count)).toEqual([undefined, 199]);
    expect(records[1]).toMatchObject({ error: 'missing_token', status: 401 });
  });
});

describe('repetitions', () => {
  const refusal = (source: string): GatewayRecord => ({
    ...{ at: 1, request_id: source, decision: 'refuse', error: 'missing_token', status: 401, source },
  });

  it('of more kinds than are kept apart are counted by their code', () => {
    const repetitions = createRepetitions();
    const firsts = Array.from({ length: 10_000 }, (_, n) => repetitions.isFirst(refusal(`a-${n}`), true));
    expect(firsts.filter(Boolean).length).toBe(128);
    expect(repetitions.take().map(({ count, source }) => [count, source])).toEqual([[10_000 - 128, undefined]]);
    expect(repetitions.isFirst(refusal('a-1'), true)).toBe(true);
  });

  it('include the first where there was no room for it', () => {
    const repetitions = createRepetitions();
    expect([1, 2, 3].map(() => repetitions.isFirst(refusal('a'), false))).toEqual([false, false, false]);
    expect(repetitions.take()).toEqual([{ ...refusal('a'), until: 1, count: 3 }]);
  });
});

describe('the writer', () => {
  const record = (id: number): GatewayRecord => ({ at: 1, request_id: `${id}`, decision: 'allow' });

  it('writes what comes while it writes, and what comes after that', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const [written, finish] = [[] as string[], [] as (() => void)[]];
    const append = (lines: string) => {
      written.push(lines);
      return new Promise<void>((resolve) => void finish.push(resolve));
    };
    const writer = createWriter(append, () => undefined);
    for (const id of [1, 2]) {
      writer.add(record(id));
      // The timer of the second comes while the first is being written.
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(written.length).toBe(1);
    finish[0]!();
    await vi.advanceTimersByTimeAsync(0);
    finish[1]!();
    await vi.advanceTimersByTimeAsync(0);
    writer.add(record(3));
    await vi.advanceTimersByTimeAsync(1000);
    expect(written.map((lines) => (JSON.parse(lines) as GatewayRecord).request_id)).toEqual(['1', '2', '3']);
  });

  it('makes groups that the STS takes, however many wait and however long they are', async () => {
    const sizes: number[] = [];
    const writer = createWriter(
      async (lines) => void sizes.push(lines.length),
      () => undefined,
    );
    for (let id = 0; id < 3000; id += 1) writer.add({ ...record(id), resource: 'r'.repeat(2048) });
    await writer.flush();
    expect([sizes.length > 10, Math.max(...sizes) < 300_000]).toEqual([true, true]);
  });
});

describe('the bound', () => {
  it('A-08 is reached by what the STS does not take, and left when it takes it again', async () => {
    const clock = createMovableClock();
    const [sent, ports] = [[] as number[], { clock, randomBytes: (size: number) => new Uint8Array(size) }];
    let takes = false;
    const recorder = createRecorder({
      ...{ clock, zoneID: ZONE, maxBytes: 2000 },
      openSegments: async () => createMemorySegments(ports),
      send: async ({ sequence }) =>
        takes ? void sent.push(sequence) : Promise.reject(new Error('the STS answered 503')),
      onDelivered: () => undefined,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    await recorder.open();
    let taken = 0;
    for (; recorder.hasRoom(); taken += 1) recorder.allowed({ at: 1, request_id: `${taken}`, decision: 'allow' });
    expect(taken).toBe(4);
    await vi.waitFor(() => expect(recorder.hasRoom()).toBe(true));
    takes = true;
    await recorder.close(1000);
    expect([sent, recorder.bytes()]).toEqual([[1], 0]);
  });

  it('leaves nothing behind when the gateway stops, however much waits', async () => {
    const clock = createMovableClock();
    let sent = 0;
    const recorder = createRecorder({
      ...{ clock, zoneID: ZONE, maxBytes: 64 * 1024 * 1024 },
      openSegments: () => openFileSegments(tempFolder(), { clock, randomBytes: (size) => randomBytes(size) }),
      send: async ({ requests }) => void (sent += requests.length),
      onDelivered: () => undefined,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    await recorder.open();
    for (let id = 0; id < 5000; id += 1) recorder.allowed({ at: 1, request_id: 'x'.repeat(100), decision: 'allow' });
    await recorder.close(5000);
    expect([sent, recorder.bytes()]).toEqual([5000, 0]);
  });
});

describe('with a spool', () => {
  it('records wait while the STS is down, and are delivered by the next process', async () => {
    const spool = tempFolder();
    const first = await start(spool);
    first.sts.state.auditStatus = 503;
    const answers = await Promise.all(Array.from({ length: 20 }, () => first.send('GET /orders')));
    await first.gateway.close();
    expect(delivered(first)).toEqual([]);
    const second = await start(spool);
    await until(() => delivered(second).length === 20);
    expect(idsOf(delivered(second)).sort()).toEqual(answers.map((answer) => header(answer, 'x-request-id')).sort());
    await until(() => readdirSync(join(spool, ZONE)).every((name) => !name.endsWith('.jsonl')));
  });

  it('A-07 a folder that cannot be written denies, says so, and heals', async () => {
    const spool = tempFolder();
    const world = await start(spool);
    rmSync(join(spool, ZONE), { recursive: true });
    const before = await world.send('GET /orders');
    await vi.waitFor(async () => {
      const answer = await world.send('GET /orders');
      expect([answer.status, errorOf(answer), header(answer, 'retry-after')]).toEqual([503, 'audit_unavailable', '1']);
    });
    const forwarded = world.upstream.received.length;
    expect((await world.send('GET /orders')).status).toBe(503);
    expect(world.upstream.received.length).toBe(forwarded);
    mkdirSync(join(spool, ZONE));
    await vi.waitFor(async () => expect((await world.send('GET /orders')).status).toBe(200), 5000);
    await until(() => idsOf(delivered(world)).includes(header(before, 'x-request-id')!));
    expect(world.log.join('')).toContain('requests cannot be recorded: they are denied');
  });

  it.each([
    ['short', ''],
    ['long', 'x'.repeat(120)],
  ])('of another gateway that lives is not shared, at a %s path', async (_name, below) => {
    const spool = join(tempFolder(), below);
    await start(spool);
    await expect(startWorld({ config: () => ({ spool }) })).rejects.toThrow('is in use by another gateway');
  });
});
