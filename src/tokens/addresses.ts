/** Which addresses we connect to when someone else chose the name: public ones, and what the operator allows. */
import { BlockList, isIP } from 'node:net';

/**
 * Link-local, metadata, multicast, broadcast and unspecified addresses: no allowed range opens them.
 * The metadata services are those of Azure, Alibaba, Oracle, AWS and Google; most of the rest is at 169.254.169.254.
 */
const NEVER = toBlockList([
  '0.0.0.0/8',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '192.0.0.192/32',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/128',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  'fe80::/10',
  'ff00::/8',
]);

/** Not publicly routed (IANA special-purpose registries). */
const NOT_PUBLIC = toBlockList([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '240.0.0.0/4',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
]);

/** All of IPv6 that is public is in here; loopback, unique-local, site-local and the like are not. */
const GLOBAL_IPV6 = toBlockList(['2000::/3']);
/** IPv6 that reaches an IPv4 address: mapped, NAT64 (well-known and local), 6to4. */
const EMBEDS_IPV4 = toBlockList(['::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16']);
const SIX_TO_FOUR = toBlockList(['2002::/16']);

const parsed = new WeakMap<readonly string[], BlockList>();

/** Throws TypeError for a range in `allowRanges` that is none. Anything that is no address is forbidden. */
export function isForbiddenAddress(address: string, allowRanges: readonly string[]): boolean {
  const family = familyOf(address);
  if (!family || NEVER.check(address, family)) return true;
  const embedded = family === 'ipv6' && EMBEDS_IPV4.check(address, 'ipv6') ? embeddedIPv4(address) : undefined;
  if (embedded !== undefined && isForbiddenAddress(embedded, allowRanges)) return true;
  return !isPublic(address, family) && !isInRanges(address, allowRanges);
}

/** Throws TypeError for a range that is none. */
export function isInRanges(address: string, ranges: readonly string[]): boolean {
  const family = familyOf(address);
  if (!family) return false;
  let list = parsed.get(ranges);
  if (!list) parsed.set(ranges, (list = toBlockList(ranges)));
  return list.check(address, family);
}

/** Throws TypeError naming the range and the form. */
export function checkRanges(ranges: readonly string[]): void {
  toBlockList(ranges);
}

function isPublic(address: string, family: 'ipv4' | 'ipv6'): boolean {
  if (NOT_PUBLIC.check(address, family)) return false;
  return family === 'ipv4' || GLOBAL_IPV6.check(address, 'ipv6');
}

/** An address with a zone (`fe80::1%eth0`) is never one we dial. */
function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}

function embeddedIPv4(address: string): string {
  const groups = expand(address);
  const [high, low] = SIX_TO_FOUR.check(address, 'ipv6') ? [groups[1]!, groups[2]!] : [groups[6]!, groups[7]!];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The eight groups of an IPv6 address. */
function expand(address: string): readonly number[] {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const left = toGroups(head);
  const right = toGroups(tail ?? '');
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function toGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix = '', ...rest] = range.split('/');
    const family = familyOf(address);
    const isPrefix = /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 'ipv4' ? 32 : 128);
    if (!family || !isPrefix || rest.length > 0) {
      throw new TypeError(`"${range}" is not an address range; write one such as 10.20.0.0/16 or fd12:3456::/48`);
    }
    list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
