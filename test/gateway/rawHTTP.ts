/** HTTP/1.1 over a bare socket: exactly these bytes go out, and what comes back is read as it is. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The server ended the connection after it. */
  readonly closed: boolean;
}

export function header(answer: RawAnswer, name: string): string | undefined {
  return answer.headers.find(([one]) => one === name)?.[1];
}

export function errorOf(answer: RawAnswer): string | undefined {
  return (JSON.parse(answer.body) as { error?: string }).error;
}

/** `lines` of a request head, then the body. */
export function toRequest(lines: readonly string[], body: string | Buffer = ''): Buffer {
  return Buffer.concat([
    Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
    typeof body === 'string' ? Buffer.from(body) : body,
  ]);
}

export interface RawConnection {
  readonly socket: Socket;
  write(bytes: string | Buffer): void;
  /** The next whole answer; rejects where the connection ends before it. */
  answer(method?: string): Promise<RawAnswer>;
  /** All bytes so far that no answer took. */
  pending(): string;
  closed(): Promise<void>;
  destroy(): void;
}

export function openRaw(port: number): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received: Buffer = Buffer.alloc(0);
    let isOver = false;
    const wakers = new Set<() => void>();
    const wake = () => {
      for (const waker of [...wakers]) waker();
    };
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      wake();
    });
    socket.on('close', () => {
      isOver = true;
      wake();
    });
    socket.once('error', reject);
    socket.on('error', () => undefined);
    const answer = (method = 'GET'): Promise<RawAnswer> =>
      new Promise((done, fail) => {
        const look = () => {
          const parsed = parseAnswer(received, isOver, method);
          if (parsed) {
            received = received.subarray(parsed.length);
            wakers.delete(look);
            done(parsed.answer);
          } else if (isOver) {
            wakers.delete(look);
            fail(
              new Error(
                `the connection ended after ${received.length} bytes of an answer: ${received.toString('latin1', 0, 200)}`,
              ),
            );
          }
        };
        wakers.add(look);
        look();
      });
    const closed = (): Promise<void> =>
      new Promise((done) => {
        const look = () => isOver && (wakers.delete(look), done());
        wakers.add(look);
        look();
      });
    socket.once('connect', () =>
      resolve({
        socket,
        write: (bytes) => void socket.write(bytes),
        answer,
        closed,
        pending: () => received.toString('latin1'),
        destroy: () => socket.destroy(),
      }),
    );
  });
}

/** Sends the bytes on a connection of its own and reads one answer; `closed` is looked at before the client ends it. */
export async function sendRaw(port: number, bytes: string | Buffer, method = 'GET'): Promise<RawAnswer> {
  const connection = await openRaw(port);
  try {
    connection.write(bytes);
    const answer = await connection.answer(method);
    if (header(answer, 'connection') === 'close') {
      await connection.closed();
      return { ...answer, closed: true };
    }
    return answer;
  } finally {
    connection.destroy();
  }
}

function parseAnswer(
  bytes: Buffer,
  isOver: boolean,
  method: string,
): { readonly answer: RawAnswer; readonly length: number } | undefined {
  const at = bytes.indexOf('\r\n\r\n');
  if (at < 0) return undefined;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, at).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const value = (name: string) => headers.find(([one]) => one === name)?.[1];
  const start = at + 4;
  const whole = (end: number, body: string) => ({ answer: { status, headers, body, closed: isOver }, length: end });
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return whole(start, '');
  if (value('transfer-encoding') === 'chunked') {
    const chunks = readChunks(bytes, start);
    return chunks && whole(chunks.end, chunks.body);
  }
  const length = value('content-length');
  if (length === undefined) return isOver ? whole(bytes.length, bytes.toString('utf8', start)) : undefined;
  const end = start + Number(length);
  return bytes.length >= end ? whole(end, bytes.toString('utf8', start, end)) : undefined;
}

function readChunks(bytes: Buffer, start: number): { readonly end: number; readonly body: string } | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    const next = line + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { end: next, body: Buffer.concat(parts).toString('utf8') };
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = next;
  }
}
