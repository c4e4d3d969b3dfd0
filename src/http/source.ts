/** Whom a limit on callers that nobody knows is for: an address, or the whole network that one IPv6 host is given. */
import { isIPv6 } from 'node:net';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** Groups of 16 bits in a /64. */
const PREFIX_GROUPS = 4;

/** IPv4 as it is, also where it is mapped; IPv6 as its /64, since a host picks addresses in it at will. */
export function toSource(address = ''): string {
  if (!address.includes(':')) return address;
  const [, mapped] = MAPPED.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return address;
  return `${toGroups(plain).slice(0, PREFIX_GROUPS).join(':')}::/64`;
}

function toGroups(address: string): readonly string[] {
  const [head = '', tail] = address.split('::');
  const before = split(head);
  if (tail === undefined) return before;
  const after = split(tail);
  // A dotted end stands for two groups, of which the first half of an address never holds any.
  const zeros = Math.max(0, 8 - before.length - after.length - (tail.includes('.') ? 1 : 0));
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
}

function split(text: string): readonly string[] {
  return text === '' ? [] : text.split(':').map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''));
}
