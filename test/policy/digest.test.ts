/** Digests cover text only and are the same everywhere. */
import { expect, it } from 'vitest';
import { policyDigest, policySetDigest, toCanonical } from '../../src/policy/digest.ts';

const a = { name: 'a', rego: 'package caracal.policy.a\n\nallow := true\n' };
const b = { name: 'b', rego: 'package caracal.policy.b\n', appliesTo: { resources: ['y', 'x'] } };

it('the digest of known text does not change between releases', () => {
  expect(policySetDigest([a])).toBe('sha256:a658809a5d1782948ea00acaf82d6637676d990841e339fc74e51d674fd12628');
  expect(policyDigest({ rego: a.rego, tests: [] })).toBe(
    '5ab4a30eed5d2f2ece893ff707e9f69f13e6f730e2af8d03a14ac3679d1633ad',
  );
});

it('order of modules and of names in appliesTo has no meaning', () => {
  const other = { ...b, appliesTo: { resources: ['x', 'y'] } };
  expect(policySetDigest([b, a])).toBe(policySetDigest([a, other]));
});

it('every part of the text counts', () => {
  const digests = [
    [a],
    [{ ...a, name: 'c' }],
    [{ ...a, rego: `${a.rego}\n` }],
    [{ ...a, appliesTo: { resources: [] } }],
    [{ ...a, appliesTo: { applications: [] } }],
    [{ ...a, appliesTo: { resources: ['a'] } }],
    [{ ...a, appliesTo: { applications: ['a'] } }],
    [a, b],
    [],
  ].map(policySetDigest);
  expect(new Set(digests).size).toBe(digests.length);
  expect(digests.every((digest) => /^sha256:[0-9a-f]{64}$/.test(digest))).toBe(true);
});

it('a test counts for the digest of a policy, the order of its members does not', () => {
  const one = { name: 't', expect: { allow: true }, input: { scope: 'x', zone: { id: 'z' } } };
  const same = { input: { zone: { id: 'z' }, scope: 'x' }, expect: { allow: true }, name: 't' };
  const { rego } = a;
  expect(policyDigest({ rego, tests: [one] })).toBe(policyDigest({ rego, tests: [same] }));
  expect(policyDigest({ rego, tests: [one] })).not.toBe(policyDigest({ rego, tests: [] }));
  expect(policyDigest({ rego, tests: [one] })).not.toBe(
    policyDigest({ rego, tests: [{ ...one, expect: { allow: false } }] }),
  );
});

it('canonical JSON sorts members at every depth and leaves lists alone', () => {
  expect(toCanonical({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
});
