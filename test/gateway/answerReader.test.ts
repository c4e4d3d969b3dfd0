/** Answers of an app have one reading, however their bytes arrive; what has two is refused. */
import { describe, expect, it } from 'vitest';
import { createAnswerReader, MalformedAnswer } from '../../src/gateway/answerReader.ts';

interface Answer {
  readonly heads: readonly (readonly [number, readonly string[]])[];
  readonly body: string;
  readonly isDone: boolean;
  readonly restMs: number;
  readonly endsWithConnection: boolean;
}

/** The bytes in pieces of `size`. */
function readAnswer(text: string, size = text.length, isToHead = false): Answer {
  const heads: [number, readonly string[]][] = [];
  let body = '';
  const reader = createAnswerReader({
    head: (status, rawHeaders) => void heads.push([status, rawHeaders]),
    data: (bytes) => void (body += bytes.toString('latin1')),
  });
  reader.start(isToHead);
  let isDone = false;
  for (let at = 0; at < text.length; at += size) isDone = reader.read(Buffer.from(text.slice(at, at + size), 'latin1'));
  return { heads, body, isDone, restMs: reader.restMs(), endsWithConnection: reader.endsWithConnection() };
}

const lines = (...parts: readonly string[]) => parts.join('\r\n');

const GOOD: Readonly<Record<string, readonly [string, Partial<Answer>]>> = {
  'by length': [
    lines('HTTP/1.1 200 OK', 'Content-Length: 3', 'X-A:  b\t ', '', 'abc'),
    { heads: [[200, ['Content-Length', '3', 'X-A', 'b']]], body: 'abc', isDone: true, restMs: 30_000 },
  ],
  'in chunks, with extensions and a trailer': [
    lines('HTTP/1.1 200 OK', 'transfer-encoding: Chunked', '', '3;a=b', 'abc', 'A', '0123456789', '0', 'X: y', '', ''),
    { body: 'abc0123456789', isDone: true, restMs: 30_000 },
  ],
  'until the connection ends': [
    lines('HTTP/1.1 200 OK', '', 'abc'),
    { body: 'abc', isDone: false, restMs: 0, endsWithConnection: true },
  ],
  'after interim answers': [
    lines('HTTP/1.1 100 Continue', '', 'HTTP/1.1 103 Early Hints', 'Link: x', '', 'HTTP/1.1 204 No Content', '', ''),
    { heads: [[204, []]], body: '', isDone: true },
  ],
  'that close': [
    lines('HTTP/1.1 200', 'Connection: x, Close', 'Content-Length: 0', '', ''),
    { isDone: true, restMs: 0 },
  ],
  'of HTTP/1.0': [lines('HTTP/1.0 200 OK', 'Content-Length: 1', '', 'a'), { isDone: true, body: 'a', restMs: 0 }],
  'that say how long they rest': [
    lines('HTTP/1.1 200 OK', 'Keep-Alive: timeout=5', 'Content-Length: 0', '', ''),
    { isDone: true, restMs: 3000 },
  ],
  'with bytes after their end': [
    lines('HTTP/1.1 200 OK', 'Content-Length: 1', '', 'aHTTP/1.1 200 OK', '', ''),
    { body: 'a', isDone: true, restMs: 0 },
  ],
};

const BAD: Readonly<Record<string, string>> = {
  'another protocol': lines('ICY 200 OK', '', ''),
  'a protocol that was not asked for': lines('HTTP/1.1 101 Switching Protocols', '', ''),
  'a status of four digits': lines('HTTP/1.1 2000 OK', '', ''),
  'two lengths': lines('HTTP/1.1 200 OK', 'Content-Length: 1', 'Content-Length: 1', '', 'a'),
  'a list of lengths': lines('HTTP/1.1 200 OK', 'Content-Length: 1, 1', '', 'a'),
  'a negative length': lines('HTTP/1.1 200 OK', 'Content-Length: -1', '', 'a'),
  'a length and chunks': lines('HTTP/1.1 200 OK', 'Content-Length: 1', 'Transfer-Encoding: chunked', '', '0', '', ''),
  'an encoding that is not known': lines('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked', '', ''),
  'chunks of HTTP/1.0': lines('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked', '', '0', '', ''),
  'a folded field': lines('HTTP/1.1 200 OK', 'A: b', ' c', '', ''),
  'a field without a name': lines('HTTP/1.1 200 OK', ': b', '', ''),
  'a space before the colon': lines('HTTP/1.1 200 OK', 'A : b', '', ''),
  'a bare line feed': lines('HTTP/1.1 200 OK', 'A: b\nC: d', '', ''),
  'a NUL': lines('HTTP/1.1 200 OK', 'A: b\0', '', ''),
  'a chunk without size': lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', 'x', ''),
  'a chunk longer than it says': lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '1', 'abc', ''),
  'a chunk size that ends in a bare line feed': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na',
  'a head without end': `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(6000)}`,
};

describe('answers', () => {
  it.each(Object.entries(GOOD))('%s are read the same in pieces of any size', (_name, [text, wanted]) => {
    for (let size = 1; size <= text.length; size += 1) expect(readAnswer(text, size)).toMatchObject(wanted);
  });

  it.each(Object.entries(BAD))('with %s are refused, in pieces of any size', (_name, text) => {
    for (const size of [1, 2, 7, text.length]) expect(() => readAnswer(text, size)).toThrow(MalformedAnswer);
  });

  it('to HEAD have no body, whatever their length', () => {
    const answer = readAnswer(lines('HTTP/1.1 200 OK', 'Content-Length: 9', '', ''), 5, true);
    expect(answer).toMatchObject({ body: '', isDone: true, restMs: 30_000 });
  });
});
