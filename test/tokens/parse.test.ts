/** Every byte of a compact JWT has one reading. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJSON } from '../../src/tokens/json.ts';
import { parseCompactJWT } from '../../src/tokens/parse.ts';
import { encode } from './signing.ts';

const LIMITS = { maxBytes: 8192 };
const token = (header: string | Uint8Array, payload: string | Uint8Array, signature = 'AAAA') =>
  `${encode(header)}.${encode(payload)}.${signature}`;
const good = token('{"alg":"ES256"}', '{"sub":"a","n":[1,{"b":null}]}');
const problemOf = (text: string) => {
  const parsed = parseCompactJWT(text, LIMITS);
  return parsed.ok ? 'accepted' : parsed.problem;
};

describe('parseCompactJWT', () => {
  it('reads header, payload, what is signed and the signature', () => {
    expect(parseCompactJWT(good, LIMITS)).toEqual({
      ok: true,
      header: { alg: 'ES256' },
      payload: { sub: 'a', n: [1, { b: null }] },
      signingInput: good.slice(0, good.lastIndexOf('.')),
      signature: Buffer.from([0, 0, 0]),
    });
  });

  const shapes: Readonly<Record<string, string>> = {
    'J-14 no segment': '',
    'J-14 one segment': 'e30',
    'J-14 two segments': 'e30.e30',
    'J-14 four segments': `${good}.AAAA`,
    'J-14 five segments as in JWE': 'e30.e30.e30.e30.e30',
    'J-14 an empty header': '.e30.AAAA',
    'J-14 an empty payload, as a detached one (J-10)': 'e30..AAAA',
    'J-14 an empty signature': 'e30.e30.',
    'J-14 a leading dot': `.${good}`,
    'J-14 a trailing dot': `${good}.`,
    'J-14 the scheme as part of the token': `Bearer ${good}`,
    'J-14 two tokens joined by a comma': `${good},${good}`,
    'J-13 JWS JSON serialisation': '{"payload":"e30","protected":"e30","signature":"AAAA"}',
    'J-13 general JWS JSON serialisation': '{"payload":"e30","signatures":[{"protected":"e30","signature":"AAAA"}]}',
    'J-34 8,193 bytes': good.padEnd(8193, 'A'),
    'J-35 invalid UTF-8': token('{}', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
    'J-35 overlong UTF-8': token('{}', Uint8Array.of(0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d)),
    'J-35 a surrogate in UTF-8': token('{}', Uint8Array.of(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d)),
    'J-35 a lone surrogate by escape': token('{}', '{"sub":"\\ud800"}'),
    'J-35 a lone surrogate as a name': token('{}', '{"\\udc00":1}'),
    'J-35 a byte order mark': token('{}', '\ufeff{"sub":"a"}'),
    'J-35 a byte order mark in the header': token('\ufeff{}', '{}'),
    'J-35 UTF-16': token('{}', Buffer.from('{"sub":"a"}', 'utf16le')),
    'J-04 alg twice, none first': token('{"alg":"none","alg":"ES256"}', '{}'),
    'J-04 alg twice, none last': token('{"alg":"ES256","alg":"none"}', '{}'),
    'J-21 sub twice': token('{}', '{"sub":"a","sub":"b"}'),
    'J-21 scope twice by Unicode escape': token('{}', '{"scope":"a","s\\u0063ope":"b"}'),
    'J-21 the empty name twice': token('{}', '{"":1,"":2}'),
    'J-21 a member twice in a nested object': token('{}', '{"act":{"sub":"a","sub":"b"}}'),
    'J-21 a member twice in an object of an array': token('{}', '{"list":[{},{"a":1,"b":[],"a":2}]}'),
    'J-23 __proto__': token('{}', '{"__proto__":{"admin":true}}'),
    'J-23 __proto__ nested and escaped': token('{}', '{"act":{"\\u005f_proto__":{"admin":true}}}'),
    'a payload that is an array': token('{}', '[]'),
    'a payload that is null': token('{}', 'null'),
    'a payload that is a text': token('{}', '"{}"'),
    'a payload of two documents': token('{}', '{}{}'),
    'a payload with a comment': token('{}', '{}//'),
    'a payload with a trailing comma': token('{}', '{"a":1,}'),
    'a payload with a lone quote': token('{}', '{"a'),
    'a payload with a backslash at the end': token('{}', '{"a\\'),
    'a number out of range': token('{}', '{"exp":1e999}'),
    NaN: token('{}', '{"exp":NaN}'),
    'a number with a leading zero': token('{}', '{"exp":01}'),
    'nesting deeper than 32': token('{}', `{"a":${'['.repeat(40)}${']'.repeat(40)}}`),
  };
  it.each(Object.entries(shapes))('%s is refused', (_, text) => {
    expect(problemOf(text)).not.toBe('accepted');
  });

  const [head = '', body = '', signature = ''] = good.split('.');
  const forms: Readonly<Record<string, string>> = {
    padding: `${head}.${body}.${signature}=`,
    'padding inside': `${head}=.${body}.${signature}`,
    'a leading space': ` ${good}`,
    'a trailing space': `${good} `,
    'a space inside': `${head}.${body.slice(0, 4)} ${body.slice(4)}.${signature}`,
    LF: `${good}\n`,
    CR: `${good}\r`,
    tab: `${head}.\t${body}.${signature}`,
    'an exclamation mark': `${good}!`,
    'the alphabet with + and /': `${head}.${body}.+/+/`,
    'changed unused bits (two spare)': `${head}.${body}.AAB`,
    'changed unused bits (four spare)': `${head}.${body}.AB`,
    'a single character over': `${head}.${body}.AAAAA`,
    'percent-encoding': `${head}%2E${body}.${signature}`,
    'a null character': `${good}\0`,
    'a character that is no byte': `${good}\u{1f600}`,
    'a full-width letter': `${head}.${body}.AAA\uff21`,
  };
  it.each(Object.entries(forms))('J-19 %s is refused as not canonical', (_, text) => {
    expect(problemOf(text)).not.toBe('accepted');
  });

  it('J-15 five million dots are refused by their length, before any split', () => {
    const dots = '.'.repeat(5_000_000);
    expect(problemOf(dots)).toBe('the token is longer than 8192 bytes');
  });

  it('never throws, whatever the text', () => {
    const segment = fc.oneof(fc.string({ unit: 'binary' }), fc.json().map(encode), fc.uint8Array().map(encode));
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(segment, { maxLength: 5 }).map((all) => all.join('.')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parseCompactJWT(text, LIMITS);
        expect(parsed.ok || parsed.problem.length > 0).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('accepts only the one encoding of what it read', () => {
    const alphabet = 'ABab01-_.=+/ \n';
    fc.assert(
      fc.property(fc.nat(good.length), fc.constantFrom(...alphabet), (index, character) => {
        const altered = good.slice(0, index) + character + good.slice(index + 1);
        const parsed = parseCompactJWT(altered, LIMITS);
        if (!parsed.ok) return;
        const read = parsed.signingInput.split('.').map((part) => Buffer.from(part, 'base64url').toString('base64url'));
        expect(altered).toBe([...read, Buffer.from(parsed.signature).toString('base64url')].join('.'));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('parseStrictJSON', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        fc.pre(!text.includes('__proto__') && text.isWellFormed());
        const parsed = parseStrictJSON(text, 32);
        expect(parsed).toEqual({ ok: true, value: JSON.parse(text) });
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a member that is there twice, wherever it is put', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.nat(), (object, choice) => {
        const names = Object.keys(object);
        const twice = JSON.stringify(names[choice % names.length]);
        const text = `[{"outer":${JSON.stringify(object).slice(0, -1)},${twice}:0}}]`;
        expect(parseStrictJSON(text, 32).ok).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  it('never throws on broken JSON', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '"a"',
      '1',
      '-',
      '1e',
      'true',
      ' ',
      '\\u00',
      '\\ud800',
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('');
        const parsed = parseStrictJSON(text, 4);
        if (parsed.ok) expect(parsed.value).toEqual(JSON.parse(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes same names in different objects', () => {
    expect(parseStrictJSON('[{"a":{"a":1}},{"a":-0.5e2}]', 32)).toEqual({
      ok: true,
      value: [{ a: { a: 1 } }, { a: -50 }],
    });
  });
});
