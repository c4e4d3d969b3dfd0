/** Which header fields pass, in any spelling, and that no two identities become one value. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toClientHeaders, toHeaderValue, toUpstreamHeaders, type ForwardedValues } from '../../src/http/headers.ts';

const VALUES: ForwardedValues = {
  ...{ requestID: 'id', host: 'a.test', proto: 'https', clientAddress: '192.0.2.1', upstreamHost: 'up.test' },
  ...{ newTraceparent: () => 'new', owned: ['X-Caracal-Subject', 'me'] },
};
const SET = [
  ...['traceparent', 'new', 'X-Request-Id', 'id', 'X-Forwarded-For', '192.0.2.1'],
  ...['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'a.test', 'X-Caracal-Subject', 'me'],
];

describe('upstream', () => {
  it('what is the client’s passes in order and as it is spelt, duplicates too', () => {
    const own = ['Accept', 'a', 'cookie', 'b', 'COOKIE', 'c', 'Content-Length', '3', 'X-Custom_Name', 'd'];
    expect(toUpstreamHeaders(['Host', 'x', ...own], VALUES)).toEqual(['Host', 'up.test', ...own, ...SET]);
  });

  it('what is ours, the hop’s or a credential does not, whatever its case and however its dashes are written', () => {
    const names = [
      'x-caracal-subject',
      'x-caracal-anything',
      'x-forwarded-for',
      'forwarded',
      'x-real-ip',
      'authorization',
      'proxy-authorization',
      'dpop',
      'connection',
      'te',
      'transfer-encoding',
      'upgrade',
      'expect',
      'host',
      'x-request-id',
      'x-original-url',
    ];
    const disguise = fc.tuple(
      fc.constantFrom(...names),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      fc.constantFrom('-', '_', '.', '!'),
    );
    fc.assert(
      fc.property(disguise, ([name, upper, dash]) => {
        const cased = Array.from(name, (letter, index) => (upper[index] ? letter.toUpperCase() : letter)).join('');
        const spelt = cased.replaceAll('-', dash);
        expect(toUpstreamHeaders([spelt, 'evil'], VALUES)).toEqual(['Host', 'up.test', ...SET]);
      }),
    );
  });

  it('Connection takes away what it names, but not the length of the body nor what we set', () => {
    const raw = [
      'Connection',
      'Keep-Alive, X-A, content-length, content_length, x-forwarded-for',
      'X-A',
      '1',
      'Content-Length',
      '3',
      'X-B',
      '2',
    ];
    expect(toUpstreamHeaders(raw, VALUES)).toEqual(['Host', 'up.test', 'Content-Length', '3', 'X-B', '2', ...SET]);
  });

  it('two traceparents are none', () => {
    const trace = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`;
    const raw = ['traceparent', trace, 'Traceparent', trace, 'tracestate', 'a=1'];
    expect(toUpstreamHeaders(raw, VALUES)).toEqual(['Host', 'up.test', ...SET]);
  });

  it('names that nobody has seen before do not pile up without bound', () => {
    for (let index = 0; index < 5000; index += 1)
      toUpstreamHeaders([`X-${index}`, 'a', `X-Caracal-${index}`, 'b'], VALUES);
    expect(toUpstreamHeaders(['X-4999', 'a', 'X-Caracal-4999', 'b'], VALUES)).toEqual([
      'Host',
      'up.test',
      'X-4999',
      'a',
      ...SET,
    ]);
  });
});

describe('to the client', () => {
  it('the upstream’s fields pass but the hop’s and ours', () => {
    const raw = [
      'Set-Cookie',
      'a',
      'Set-Cookie',
      'b',
      'Connection',
      'X-Hop',
      'X-Hop',
      '1',
      'X-Caracal-Scope',
      'c',
      'Keep-Alive',
      'd',
      'X-Request-Id',
      'e',
      'Location',
      'f',
    ];
    expect(toClientHeaders(raw, 'id')).toEqual([
      'X-Request-Id',
      'id',
      'Set-Cookie',
      'a',
      'Set-Cookie',
      'b',
      'Location',
      'f',
    ]);
  });
});

describe('values', () => {
  it('are visible ASCII, and different texts stay different', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(toHeaderValue(a)).toMatch(/^[!-~]*$/);
        expect(decodeURIComponent(toHeaderValue(a))).toBe(a);
        expect(toHeaderValue(a) === toHeaderValue(b)).toBe(a === b);
      }),
    );
    expect(toHeaderValue('corp:ann@example.com')).toBe('corp:ann@example.com');
  });
});
