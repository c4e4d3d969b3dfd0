/** Generated requests against a protecting gateway: framing in every disguise, random bytes, random tokens. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toRequest } from './rawHTTP.ts';
import { encode } from './sts.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

const HOST = 'Host: orders.test';
const SMUGGLED = ['GET /orders/smuggled HTTP/1.1', HOST, '', ''].join('\r\n');

const QUIET_MS = 300;

/** Everything that comes back until the connection is over, or quiet: what waits for more of a body is left alone. */
function exchange(bytes: Buffer, quietMs = QUIET_MS): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(world.port, '127.0.0.1', () => socket.write(bytes));
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
    socket.setTimeout(quietMs, () => socket.destroy());
  });
}

async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item);
  };
  await Promise.all(Array.from({ length: 128 }, worker));
}

const statuses = (text: string): readonly string[] =>
  [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => status!);

/** Bytes that some parser somewhere takes for nothing: C0, space, DEL and all above. */
const SEPARATORS = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte <= 0x20 || byte >= 0x7f);

/** One header line in every disguise: a byte before or after its name or value. */
function disguise(name: string, value: string): readonly Buffer[] {
  return SEPARATORS.flatMap((byte) => {
    const extra = String.fromCharCode(byte);
    const lines = [
      `${extra}${name}: ${value}`,
      `${name}${extra}: ${value}`,
      `${name}:${extra}${value}`,
      `${name}: ${value}${extra}`,
    ];
    return lines.map((line) => Buffer.from(line, 'latin1'));
  });
}

describe('H-01 H-02 H-03 H-04 framing in 1,296 disguises', () => {
  const CHUNKED = `0\r\n\r\n${SMUGGLED}`;

  function corpus(): readonly Buffer[] {
    const bearer = `Authorization: Bearer ${world.sts.mint()}`;
    const around = (framing: readonly (string | Buffer)[], body: string) =>
      Buffer.concat([
        toRequest(['POST /orders HTTP/1.1', HOST, bearer]).subarray(0, -2),
        ...framing.map((line) => Buffer.concat([Buffer.from(line), Buffer.from('\r\n')])),
        Buffer.from(`\r\n${body}`),
      ]);
    const withLength = disguise('Transfer-Encoding', 'chunked').map((line) =>
      around([`Content-Length: ${CHUNKED.length}`, line], CHUNKED),
    );
    const alone = disguise('Content-Length', String(SMUGGLED.length)).map((line) => around([line], SMUGGLED));
    return [...withLength, ...alone];
  }

  it('gets nothing upstream that was not judged, and leaves no second reading to it', async () => {
    const before = world.upstream.received.length;
    await inParallel(corpus(), async (bytes) => {
      const [first, ...others] = statuses(await exchange(bytes));
      expect([undefined, '200', '400', '431', '502']).toContain(first);
      expect(others).not.toContain('200');
    });
    const received = world.upstream.received.slice(before);
    expect(received.filter(({ url }) => url !== '/orders')).toEqual([]);
    expect(received.length).toBeGreaterThan(0);
    for (const { rawHeaders, body } of received) {
      const framing = rawHeaders
        .filter((_, index) => index % 2 === 0)
        .map((name) => name.toLowerCase().replaceAll(/[^a-z]/g, ''))
        .filter((name) => name === 'contentlength' || name === 'transferencoding');
      expect(framing.length).toBeLessThanOrEqual(1);
      expect(['', CHUNKED, SMUGGLED]).toContain(body);
    }
  });
});

describe('random bytes', () => {
  it('never pass, never stop the process, and are answered or hung up on', async () => {
    const before = world.upstream.received.length;
    const lines = fc.sample(
      fc.array(
        fc.oneof(fc.string(), fc.constantFrom('GET /orders HTTP/1.1', HOST, 'Authorization: Bearer e30.e30.e30')),
        {
          maxLength: 12,
        },
      ),
      300,
    );
    const bytes = lines.map((some) => Buffer.from(`${some.join('\r\n')}\r\n\r\n`, 'latin1'));
    const noise = Array.from({ length: 200 }, () => randomBytes(600));
    await inParallel([...bytes, ...noise], async (one) => {
      expect(statuses(await exchange(one))).not.toContain('200');
    });
    expect(world.upstream.received.length).toBe(before);
    expect((await world.send('GET /orders')).status).toBe(200);
  });

  it('J-20 J-40 in place of a mandate are refused with 401 or 400', async () => {
    const before = world.upstream.received.length;
    const part = fc.oneof(
      fc.json().map((text) => encode(text)),
      fc.base64String(),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => encode(bytes)),
    );
    const tokens = fc.sample(fc.array(part, { minLength: 1, maxLength: 4 }), 300).map((parts) => parts.join('.'));
    const good = world.sts.mint();
    const flipped = Array.from({ length: 200 }, () => {
      const at = Math.floor(Math.random() * good.length);
      const other = good[at] === 'A' ? 'B' : 'A';
      return `${good.slice(0, at)}${other}${good.slice(at + 1)}`;
    });
    await inParallel([...tokens, ...flipped], async (token) => {
      const request = toRequest(['GET /orders HTTP/1.1', HOST, 'Connection: close', `Authorization: Bearer ${token}`]);
      const found = statuses(await exchange(request, 10_000));
      expect(['400', '401', '429', '431']).toContain(found[0]);
    });
    expect(world.upstream.received.length).toBe(before);
  });
});
