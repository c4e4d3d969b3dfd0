/** What counts as one caller. */
import { isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toSource } from '../../src/http/source.ts';

describe('X-35 a caller', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:ffff::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ])('%s is %s', (address, source) => {
    expect(toSource(address)).toBe(source);
  });

  it('is the same for every address of a /64, in every spelling, and never of two', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const groups = fc.tuple(group, group, group, group);
    fc.assert(
      fc.property(groups, groups, groups, fc.boolean(), (network, host, other, isUpper) => {
        const spell = (parts: readonly number[]) => {
          const long = parts.map((part) => part.toString(16).padStart(4, '0')).join(':');
          return isUpper ? long.toUpperCase() : long;
        };
        const [a, b] = [spell([...network, ...host]), spell([...network, ...other])];
        expect([isIPv6(a), toSource(a)]).toEqual([true, toSource(b)]);
        expect(toSource(new URL(`http://[${a}]`).hostname.slice(1, -1))).toBe(toSource(a));
        expect(toSource(spell([...network.map((part) => part ^ 1), ...host]))).not.toBe(toSource(a));
      }),
    );
  });
});
