/** One reading of a request: what passes, and that nothing passes that could be read in two ways. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isProblem, parseRequest, type RequestLine } from '../../src/http/canonical.ts';

const GET: RequestLine = { method: 'GET', target: '/', httpVersion: '1.1', rawHeaders: ['Host', 'a.test'] };
const parse = (change: Partial<RequestLine>) => parseRequest({ ...GET, ...change });
const segmentsOf = (target: string) => {
  const parsed = parse({ target });
  return isProblem(parsed) ? undefined : parsed.segments;
};

describe('targets', () => {
  it.each([
    ['/', ['']],
    ['/a', ['a']],
    ['/a/', ['a', '']],
    ['/a/b?c=d&e=/../', ['a', 'b']],
    ['/a?b?c', ['a']],
    ["/~a-b_c.d/!$&'()*+,=:@", ['~a-b_c.d', "!$&'()*+,=:@"]],
    ['/a%20b/%C3%A9', ['a b', 'é']],
    ['/a%40b', ['a@b']],
    ['/...', ['...']],
  ])('%s is read as it is sent', (target, segments) => {
    expect(parse({ target })).toEqual({
      ...{ method: 'GET', target, segments, host: 'a.test', hasBody: false, bodyLength: 0 },
      path: target.split('?')[0],
    });
  });

  it.each([
    '',
    'a',
    '*',
    'http://a/',
    '//a',
    '/a//b',
    '/./a',
    '/a/..',
    '/%2e/a',
    '/a%2Fb',
    '/a%5cb',
    '/%00',
    '/%7f',
    '/%25',
    '/%41',
    '/%zz',
    '/%',
    '/%c3',
    '/%c0%ae',
    '/a;b',
    '/a%3bb',
    '/a\\b',
    '/a b',
    '/a#b',
    '/a?b#c',
    '/é',
    '/a?é',
    '/a\n',
  ])('%j is refused', (target) => {
    expect(parse({ target })).toMatchObject({ problem: 'malformed' });
  });

  it('whatever passes reads the same to a URL parser, and decoding once more changes nothing', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2F',
      '%5c',
      '%25',
      '%00',
      '%c3%a9',
      '%c0',
      ';',
      '\\',
      'a',
      'B',
      '?',
      '#',
      '@',
      ':',
      '~',
      ' ',
      'é',
      '%20',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const target = `/${pieces.join('')}`;
        const segments = segmentsOf(target);
        if (!segments) return;
        const url = new URL(`http://a.test${target}`);
        expect(url.host).toBe('a.test');
        expect(url.href).toBe(`http://a.test${target}`);
        for (const segment of segments) expect(segment.includes('%') ? '' : decodeURIComponent(segment)).toBe(segment);
      }),
      { numRuns: 5000 },
    );
  });

  it('P-22 a target of 16 KB that fails at its end fails fast', () => {
    const started = performance.now();
    for (const piece of ['a', '/a', '%20', '*']) segmentsOf(`/${piece.repeat(16_000 / piece.length)}"`);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('framing and routing', () => {
  it.each([
    ['no Host', [], 'malformed'],
    ['two Hosts', ['Host', 'a', 'host', 'a'], 'malformed'],
    ['a Host that is none', ['Host', 'a b'], 'malformed'],
    ['two lengths', ['Host', 'a', 'Content-Length', '1', 'Content-Length', '1'], 'malformed'],
    ['a length with a sign', ['Host', 'a', 'Content-Length', '+1'], 'malformed'],
    ['a length and chunks', ['Host', 'a', 'Content-Length', '1', 'Transfer-Encoding', 'chunked'], 'malformed'],
    ['another coding', ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'], 'malformed'],
    ['101 header fields', Array.from({ length: 202 }, () => 'a'), 'too_many_headers'],
  ] as const)('%s is refused', (_name, rawHeaders, problem) => {
    expect(parse({ method: 'POST', rawHeaders })).toMatchObject({ problem });
  });

  it.each(['0.9', '2.0', '1.2', ''])('version %j is refused', (httpVersion) => {
    expect(parse({ httpVersion })).toMatchObject({ problem: 'version' });
  });

  it.each(['TRACE', 'CONNECT', 'get', 'G T', ''])('method %j is refused', (method) => {
    expect(parse({ method })).toMatchObject({ problem: 'method' });
  });

  it.each(['a', 'a.test', 'a.test:80', '[::1]:8080', '127.0.0.1', 'a-b_c.test'])('Host %s passes', (host) => {
    expect(parse({ rawHeaders: ['Host', host] })).toMatchObject({ host });
  });

  it('a body is known by its length or its chunks', () => {
    const body = (...more: readonly string[]) => parse({ method: 'POST', rawHeaders: ['Host', 'a', ...more] });
    expect(body()).toMatchObject({ hasBody: false, bodyLength: 0 });
    expect(body('Content-Length', '0')).toMatchObject({ hasBody: false, bodyLength: 0 });
    expect(body('Content-Length', '7')).toMatchObject({ hasBody: true, bodyLength: 7 });
    expect(body('Transfer-Encoding', 'chunked')).toMatchObject({ hasBody: true, bodyLength: undefined });
    expect(parse({ rawHeaders: ['Host', 'a', 'Content-Length', '7'] })).toMatchObject({ problem: 'malformed' });
  });
});
