/** Inputs by chance, the same in every run: ordinary ones, with claims of any type. */
import type { PolicyInput } from '../../src/authority/policyInput.ts';
import { DEFAULT_INPUT } from '../../src/policy/defaultInput.ts';

/** A whole number below `bound`. */
export type Random = (bound: number) => number;

/** Marsaglia's xorshift32. */
export function createRandom(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)]!;
const some = <T>(random: Random, list: readonly T[]): readonly T[] => list.filter(() => random(2) === 0);

const TEXTS = [
  [
    '',
    'a',
    'A b',
    'read',
    'orders:read',
    'orders:write',
    'x:y:z',
    ' pad\t',
    'aaa',
    'banana',
    'na',
    'Grüße',
    '日本語',
    '😀 ok',
  ],
  [
    '10.0.0.1',
    '10.1.2.3/16',
    '10.0.0.0/8',
    '192.168.0.1',
    '::1',
    'fe80::/10',
    '2026-01-05T12:00:00Z',
    '1999-12-31T23:59:59.5+02:00',
  ],
  [
    '42',
    '-7',
    '0.5',
    '1e3',
    '0x10',
    '^a+$',
    '[',
    'b(an)*a',
    '*.example.com',
    'www.example.com',
    '%d',
    '"quoted"',
    'back\\slash',
    '\n',
  ],
].flat();

/** Products and sums of a few of them stay exact in a double, which is as far as arithmetic is held equal. */
const NUMBERS = [0, 1, -1, 2, 3, 7, 10, 60, 100, -42, 0.5, -2.5, 3.75, 123456.5, 1000000, 4294967296];
/** Whole numbers up to 64 bits. */
const NANOSECONDS = [0, 1767614400000000000, 1767657599999999744, -86400000000000, 946684799500000000, 59000000000, -1];

const GROUPS = ['staff', 'orders-desk', 'barred', 'builders', 'a'];

function toValue(random: Random, depth: number): unknown {
  switch (random(depth > 0 ? 9 : 6)) {
    case 0:
      return pick(random, [null, true, false]);
    case 1:
    case 2:
      return pick(random, NUMBERS);
    case 3:
    case 4:
    case 5:
      return pick(random, TEXTS);
    case 6:
      return some(random, TEXTS).slice(0, 4);
    case 7:
      return Array.from({ length: random(4) }, () => toValue(random, depth - 1));
    default:
      return Object.fromEntries(some(random, ['a', 'b', 'c', 'x y']).map((name) => [name, toValue(random, depth - 1)]));
  }
}

/** Names say what they mostly are: a, b anything; i, j numbers; k nanoseconds; l lists; m objects; s, t, u text. One in eight is not. */
function toClaims(random: Random): Readonly<Record<string, unknown>> {
  const any = () => toValue(random, 2);
  const mostly = (value: () => unknown) => (random(8) === 0 ? any() : value());
  const number = () => mostly(() => pick(random, NUMBERS));
  const text = () => mostly(() => pick(random, TEXTS));
  const list = mostly(() => (random(2) === 0 ? some(random, TEXTS).slice(0, 5) : some(random, NUMBERS).slice(0, 4)));
  const object = mostly(() => ({ a: any(), b: any(), ...(random(2) === 0 && { c: { d: any() } }) }));
  const claims = {
    a: any(),
    b: any(),
    i: number(),
    j: number(),
    k: mostly(() => pick(random, NANOSECONDS)),
    l: list,
    m: object,
    s: text(),
    t: text(),
  };
  return { ...claims, u: pick(random, TEXTS) };
}

export function toRandomInput(random: Random): PolicyInput {
  const application = pick(random, ['shop.agent', 'shop.importer', 'examples.old-importer', 'shop-prod.agent']);
  const [namespace, name] = application.split('.') as [string, string];
  const isLogin = random(6) === 0;
  const target = pick(random, ['orders', 'payroll']);
  const scope = isLogin
    ? ''
    : pick(random, ['read', 'write', 'orders:read', 'orders:write', 'orders:refund', 'x:delete']);
  const weekday = pick(random, ['Monday', 'Friday', 'Saturday', 'Sunday'] as const);
  return {
    ...DEFAULT_INPUT,
    scope,
    action: { name: isLogin ? 'session' : 'token_exchange' },
    principal: {
      ...DEFAULT_INPUT.principal,
      id: application,
      namespace,
      name,
      ...(random(3) === 0 && { credential: 'clientSecret', workload: null }),
    },
    subject: {
      ...DEFAULT_INPUT.subject,
      ...(random(2) === 0 && { type: 'user', issuer: 'corp', sub: pick(random, ['alice', 'mallory']) }),
      groups: some(random, GROUPS),
      claims: toClaims(random),
    },
    resource: isLogin
      ? null
      : {
          identifier: `resource://${target}`,
          namespace: pick(random, ['shop', 'shop-prod', 'shop-staging']),
          name: target,
          type: 'HTTP',
          scopes: ['read', 'write'],
        },
    request: { scopes: [scope, 'extra'].slice(0, 1 + random(2)), ttl_seconds: 30 + random(600), use: 'resource' },
    time: { ...DEFAULT_INPUT.time, weekday, hour: random(24), minute: random(60) },
  };
}
