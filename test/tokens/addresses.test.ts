/** Which addresses are dialled when someone else chose the name. */
import { describe, expect, it } from 'vitest';
import { checkRanges, isForbiddenAddress, isInRanges } from '../../src/tokens/addresses.ts';

describe('isForbiddenAddress', () => {
  const forbidden = {
    private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12:3456::1', 'fec0::1'],
    loopback: ['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1'],
    'link-local': ['169.254.0.1', 'fe80::1', 'febf::1', 'fe80::1%eth0'],
    metadata: ['169.254.169.254', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd20:ce::254'],
    CGNAT: ['100.64.0.1', '100.127.255.255'],
    multicast: ['224.0.0.1', '239.255.255.250', 'ff02::1'],
    unspecified: ['0.0.0.0', '0.1.2.3', '::'],
    broadcast: ['255.255.255.255', '240.0.0.1'],
    documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1', '198.18.0.1'],
    mapped: ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:169.254.169.254', '::ffff:8.8.8.8', '::127.0.0.1'],
    NAT64: ['64:ff9b::a9fe:a9fe', '64:ff9b::10.0.0.1', '64:ff9b::8.8.8.8', '64:ff9b:1::1'],
    '6to4 and Teredo': ['2002:7f00:1::', '2002:0808:0808::1', '2001::1'],
    'no address': ['', 'localhost', '1.2.3', '0x7f000001', '2130706433', '127.0.0.1:80', '[::1]', 'example.com'],
  };
  it.each(Object.entries(forbidden))('%s is forbidden', (_, addresses) => {
    for (const address of addresses) expect([address, isForbiddenAddress(address, [])]).toEqual([address, true]);
  });

  it('public addresses are not', () => {
    for (const address of ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1']) {
      expect([address, isForbiddenAddress(address, [])]).toEqual([address, false]);
    }
  });

  it('an allowed range opens what is private in it and nothing else', () => {
    const ranges = ['10.20.0.0/16', '127.0.0.1/32', 'fd12::/16', '::1/128'];
    for (const address of ['10.20.255.1', '127.0.0.1', 'fd12:1::1', '::1', '0:0:0:0:0:0:0:1']) {
      expect([address, isForbiddenAddress(address, ranges)]).toEqual([address, false]);
    }
    for (const address of ['10.21.0.1', '127.0.0.2', 'fd13::1']) expect(isForbiddenAddress(address, ranges)).toBe(true);
  });

  it('no range opens link-local, metadata, multicast and unspecified addresses, embedded ones too', () => {
    const all = ['0.0.0.0/0', '::/0'];
    const never = [
      '169.254.169.254',
      '169.254.1.1',
      'fe80::1',
      '224.0.0.1',
      '0.0.0.0',
      '::',
      'ff02::1',
      'fd00:ec2::254',
      '64:ff9b::169.254.169.254',
      '::ffff:169.254.169.254',
      '2002:a9fe:a9fe::1',
    ];
    for (const address of never) expect([address, isForbiddenAddress(address, all)]).toEqual([address, true]);
    expect(isForbiddenAddress('10.0.0.1', all)).toBe(false);
  });

  it('NAT64 can be allowed, for public IPv4 addresses', () => {
    const ranges = ['64:ff9b::/96'];
    expect(isForbiddenAddress('64:ff9b::8.8.8.8', ranges)).toBe(false);
    expect(isForbiddenAddress('64:ff9b::10.0.0.1', ranges)).toBe(true);
    expect(isForbiddenAddress('64:ff9b::', ranges)).toBe(true);
  });

  it('a range that is none is named with the form', () => {
    for (const range of [
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0.0/',
      'fd00::/129',
      'example.com/8',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
      '',
    ]) {
      expect(() => checkRanges([range])).toThrow(`"${range}" is not an address range`);
      expect(() => isForbiddenAddress('10.0.0.1', [range])).toThrow('not an address range');
    }
  });
});

describe('isInRanges', () => {
  it('takes addresses only', () => {
    expect(isInRanges('10.0.0.1', ['10.0.0.0/8'])).toBe(true);
    expect(isInRanges('11.0.0.1', ['10.0.0.0/8'])).toBe(false);
    expect(isInRanges('localhost', ['0.0.0.0/0'])).toBe(false);
  });
});
